// What the page shows, as plain data; written into the address and read back. What is read is checked as if a stranger
// had written it: numbers are numbers within limits, words come from a list, anything else is refused with a message.

import {broken, DRAWN} from "./laws.js";
import {product, range} from "./relation.js";

export const VIEWS = ["all", "stamp", "gather", "steps", "matrix", "windows", "neurons", "phases", "col2im", "forward", "coverage", "undo"];
export const CHAINS = ["layer", "down", "up", "channels"]; // whose neurons are shown: this layer's, or those of several
export const LANGUAGES = ["en", "zh"];
export const STEPS = 10; // of the lesson; 0 is the explorer
export const THEMES = ["auto", "light", "dark"];

export const START = {
  n: [2, 2], k: [3, 3], s: [2, 2], lo: [1, 1], hi: [1, 1], op: [1, 1], d: [1, 1], ci: 1, co: 1, g: 1,
  x: [2, 3, 1, 3], w: [0, 1, 1, 0, 1, 0, 1, 0, 1], b: null, view: "stamp", lang: "en", theme: "auto", chain: "layer", stack: [], lesson: 0,
};

const PER_AXIS = {n: [1, DRAWN.n], k: [1, DRAWN.k], s: [1, DRAWN.s], op: [0, DRAWN.s], d: [1, DRAWN.d]};
const WHOLE = /^-?\d{1,4}$/;
export const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?$/i;

export const sizes = (p) => ({x: p.ci * product(p.n), w: p.ci * (p.co / p.g) * product(p.k), b: p.co});

/** The state as the text behind #, and nothing that is as at the start. */
export function format(state) {
  if (state.lesson) return [`lesson=${state.lesson}`, ...chosen(state, ["lang", "theme"])].join("&");
  const pads = state.lo.map((lo, a) => (lo === state.hi[a] ? `${lo}` : `${lo}:${state.hi[a]}`));
  const parts = Object.keys(PER_AXIS).map((name) => `${name}=${state[name].join(",")}`);
  parts.push(`p=${pads.join(",")}`, `c=${state.ci},${state.co},${state.g}`);
  for (const name of ["x", "w", "b"]) if (state[name]) parts.push(`${name}=${state[name].map(short).join(",")}`);
  parts.push(...chosen(state, ["view", "chain", "lang", "theme"]));
  if (state.stack.length) parts.push(`stack=${state.stack.map((layer) => layer.join(".")).join(",")}`);
  return parts.join("&");
}

const chosen = (state, names) => names.filter((name) => state[name] !== START[name]).map((name) => `${name}=${state[name]}`);
const short = (value) => String(Number(value.toPrecision(10)));

/**
 * {state, shape, wrong, problems}: the state that a text describes, what it leaves out being as in `base`; what of it could
 * not be read; and the laws that it breaks. The state is null where there is no layer; then `shape` is what was asked for.
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
  for (const name of PER_AXIS_NAMES) {
    if (!Object.hasOwn(read, name) || shape[name].length === 1) shape[name] = range(ndim).map((a) => shape[name][a] ?? shape[name][0]);
    if (shape[name].length !== ndim) return {state: null, wrong: [...wrong, name], problems: []};
  }
  if (shape.stack.length && !Object.hasOwn(read, "stack")) shape.stack = [];
  const problems = broken(shape);
  return {state: problems.length ? null : resized(shape, wrong, read), shape, wrong, problems};
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
  if (name === "lesson") return WHOLE.test(value) && value >= 0 && value <= STEPS ? {lesson: Number(value)} : null;
  const known = new Map([["view", VIEWS], ["chain", CHAINS], ["lang", LANGUAGES], ["theme", THEMES]]).get(name);
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
  next.w = carried(state.w, [state.ci, state.co / state.g, ...state.k], [next.ci, next.co / next.g, ...next.k], 2);
  if (next.b && !set.b) next.b = carried(state.b, [state.co], [next.co], 1, () => 0);
  return next;
}

/** The numbers of an array, channels first, in another shape. A new axis repeats them; of a lost one the first is kept. */
function carried(values, before, after, channels = 1, fresh = (n) => n % 9 + 1) {
  const along = (shape) => shape.map((_, a) => product(shape.slice(a + 1)));
  const [old, now] = [along(before), along(after)];
  const lost = before.length - after.length;
  return range(product(after)).map((n) => {
    const index = after.map((size, a) => Math.floor(n / now[a]) % size);
    const from = before.map((_, a) => (a < channels ? index[a] : a - lost < channels ? 0 : index[a - lost]));
    const was = from.reduce((sum, at, a) => sum + at * old[a], 0);
    return from.every((at, a) => at < before[a]) && was < values.length ? values[was] : fresh(n);
  });
}

export const PER_AXIS_NAMES = ["n", "k", "s", "lo", "hi", "op", "d"];

/** The same layer with another number of axes: its last ones, or the first one again. */
export function withAxes(state, ndim) {
  const set = {};
  for (const name of PER_AXIS_NAMES) set[name] = range(ndim).map((a) => state[name][Math.max(0, a + state[name].length - ndim)]);
  if (ndim === 3) {
    set.n = set.n.map((n) => Math.min(n, 3));
    set.k = set.k.map((k) => Math.min(k, 3));
  }
  return changed(state, {...set, stack: []});
}

/** `state` with the numbers of an earlier state, where its arrays have the same shapes. */
export function withNumbersOf(state, earlier) {
  const alike = (names) => names.every((name) => String(state[name]) === String(earlier[name]));
  return {
    ...state, x: alike(["n", "ci"]) ? earlier.x : state.x, w: alike(["k", "ci", "co", "g"]) ? earlier.w : state.w,
  };
}

/** Numbers written in brackets, or in lines with commas, tabs or blanks between: as a flat list; null if they are not. */
export function pasted(text) {
  const words = text.replace(/[[\](){}]/g, " ").split(/[\s,;]+/).filter(Boolean);
  return words.length ? numbers(words) : null;
}
