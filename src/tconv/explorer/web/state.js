// What the page shows, as plain data; written into the address and read back. What is read is checked as if a stranger
// had written it: numbers are numbers within limits, words come from a list, anything else is refused with a message.

import {broken, DRAWN} from "./laws.js";
import {product, range} from "./relation.js";

export const VIEWS = ["all", "stamp", "gather", "steps", "matrix", "phases", "col2im", "forward", "coverage", "undo"];
export const LANGUAGES = ["en", "zh"];
export const THEMES = ["auto", "light", "dark"];

export const START = {
  n: [2, 2], k: [3, 3], s: [2, 2], lo: [1, 1], hi: [1, 1], op: [1, 1], d: [1, 1], ci: 1, co: 1, g: 1,
  x: [2, 3, 1, 3], w: [0, 1, 1, 0, 1, 0, 1, 0, 1], b: null, view: "all", lang: "en", theme: "auto", stack: [],
};

const PER_AXIS = {n: [1, DRAWN.n], k: [1, DRAWN.k], s: [1, DRAWN.s], op: [0, DRAWN.s], d: [1, DRAWN.d]};
const WHOLE = /^-?\d{1,4}$/;
export const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?$/i;

export const sizes = (p) => ({x: p.ci * product(p.n), w: p.ci * (p.co / p.g) * product(p.k), b: p.co});

/** The state as the text behind #, and nothing that is as at the start. */
export function format(state) {
  const pads = state.lo.map((lo, a) => (lo === state.hi[a] ? `${lo}` : `${lo}:${state.hi[a]}`));
  const parts = Object.keys(PER_AXIS).map((name) => `${name}=${state[name].join(",")}`);
  parts.push(`p=${pads.join(",")}`, `c=${state.ci},${state.co},${state.g}`);
  for (const name of ["x", "w", "b"]) if (state[name]) parts.push(`${name}=${state[name].map(short).join(",")}`);
  for (const name of ["view", "lang", "theme"]) if (state[name] !== START[name]) parts.push(`${name}=${state[name]}`);
  if (state.stack.length) parts.push(`stack=${state.stack.map((layer) => layer.join(".")).join(",")}`);
  return parts.join("&");
}

const short = (value) => String(Number(value.toPrecision(10)));

/**
 * {state, wrong, problems}: the state that a text describes, what it leaves out being as in `base`; what of it could not be
 * read; and the laws that it breaks. The state is null where there is no layer.
 */
export function parse(text, base = START) {
  const wrong = [];
  const read = {};
  for (const part of text.replace(/^#/, "").split("&").filter(Boolean)) {
    const [name, value = ""] = decoded(part).split(/=(.*)/s);
    const found = field(name, value);
    if (found) Object.assign(read, found);
    else wrong.push(part.slice(0, 60));
  }
  const shape = {...base, ...read};
  const ndim = shape.n.length;
  for (const name of ["n", "k", "s", "lo", "hi", "op", "d"]) {
    if (!Object.hasOwn(read, name) || shape[name].length === 1) shape[name] = range(ndim).map((a) => shape[name][a] ?? shape[name][0]);
    if (shape[name].length !== ndim) return {state: null, wrong: [...wrong, name], problems: []};
  }
  if (shape.stack.length && !Object.hasOwn(read, "stack")) shape.stack = [];
  const problems = broken(shape);
  return {state: problems.length ? null : resized(shape, wrong, read), wrong, problems};
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** One field of the text as an update of the state; null if it is not one. */
function field(name, value) {
  const words = value.split(",");
  if (Object.hasOwn(PER_AXIS, name)) {
    const [least, most] = PER_AXIS[name];
    const fits = words.length <= 3 && words.every((word) => WHOLE.test(word) && word >= least && word <= most);
    return fits ? {[name]: words.map(Number)} : null;
  }
  if (name === "p") return pads(words);
  if (name === "c") {
    const fits = words.length === 3 && words.every((word) => WHOLE.test(word) && word >= 1 && word <= DRAWN.channels);
    return fits ? {ci: Number(words[0]), co: Number(words[1]), g: Number(words[2])} : null;
  }
  if (["x", "w", "b"].includes(name)) return numbers(words) && {[name]: numbers(words)};
  if (name === "stack") return stack(words);
  const known = new Map([["view", VIEWS], ["lang", LANGUAGES], ["theme", THEMES]]).get(name);
  return known?.includes(value) ? {[name]: value} : null;
}

function pads(words) {
  const pairs = words.map((word) => word.split(":"));
  const fits = (text) => WHOLE.test(text) && Math.abs(text) <= DRAWN.pad;
  if (pairs.length > 3 || !pairs.every((pair) => pair.length <= 2 && pair.every(fits))) return null;
  return {lo: pairs.map((pair) => Number(pair[0])), hi: pairs.map((pair) => Number(pair.at(-1)))};
}

/** Layers of a stack: kernel.stride.dilation.lo.hi each, one for all axes. */
function stack(words) {
  const layers = words.map((word) => word.split("."));
  const fits = layers.length <= 6 && layers.every((layer) => layer.length === 5 && layer.every((v) => WHOLE.test(v)));
  const legal = ([k, s, d]) => k >= 1 && k <= DRAWN.k && s >= 1 && s <= DRAWN.s && d >= 1 && d <= DRAWN.d;
  return fits && layers.every(legal) ? {stack: layers.map((layer) => layer.map(Number))} : null;
}

function numbers(words) {
  const fits = words.length <= 40000 && words.every((word) => NUMBER.test(word) && Math.abs(word) <= 1e9);
  return fits ? words.map(Number) : null;
}

/** `shape` with as many numbers as its sizes ask for: a ramp where there are more or fewer. */
function resized(shape, wrong, read) {
  const wanted = sizes(shape);
  const state = {...shape};
  for (const name of ["x", "w", "b"]) {
    if (name === "b" && !state.b) continue;
    if (state[name]?.length === wanted[name]) continue;
    if (Object.hasOwn(read, name)) wrong.push(name);
    state[name] = name === "b" ? range(wanted.b).map(() => 0) : ramp(wanted[name]);
  }
  return state;
}

export const ramp = (count) => range(count).map((n) => n % 9 + 1);

/** `state` after a change of sizes, its numbers kept where a cell of the same index was before. */
export function changed(state, set) {
  const next = {...state, ...set};
  if (broken(next).length) return next;
  next.x = carried(state.x, [state.ci, ...state.n], [next.ci, ...next.n]);
  next.w = carried(state.w, [state.ci, state.co / state.g, ...state.k], [next.ci, next.co / next.g, ...next.k]);
  if (next.b && !set.b) next.b = carried(state.b, [state.co], [next.co], () => 0);
  return next;
}

function carried(values, before, after, fresh = (n) => n % 9 + 1) {
  if (before.length !== after.length) return range(product(after)).map(fresh);
  const along = (shape) => shape.map((_, a) => product(shape.slice(a + 1)));
  const [old, now] = [along(before), along(after)];
  return range(product(after)).map((n) => {
    const index = after.map((size, a) => Math.floor(n / now[a]) % size);
    const was = index.reduce((sum, at, a) => sum + at * old[a], 0);
    return index.every((at, a) => at < before[a]) && was < values.length ? values[was] : fresh(n);
  });
}

/** The same layer with another number of axes. */
export function withAxes(state, ndim) {
  const set = {};
  for (const name of ["n", "k", "s", "lo", "hi", "op", "d"]) set[name] = range(ndim).map((a) => state[name][Math.min(a, state[name].length - 1)]);
  if (ndim === 3) {
    set.n = set.n.map((n) => Math.min(n, 3));
    set.k = set.k.map((k) => Math.min(k, 3));
  }
  return changed(state, {...set, stack: []});
}

/** Numbers written in brackets, or in lines with commas, tabs or blanks between: as a flat list; null if they are not. */
export function pasted(text) {
  const words = text.replace(/[[\](){}]/g, " ").split(/[\s,;]+/).filter(Boolean);
  return words.length ? numbers(words) : null;
}
