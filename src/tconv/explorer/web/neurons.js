// Two more ways to look at the matrix: as neurons that are joined by edges, and row by row as windows and stamps.

import {corners, element} from "./draw.js";
import {kept, links, pairsOf, placeW, steps, toCanvas, toOutput, valueW} from "./layer.js";
import {times, transpose, transposedMatrix} from "./linear.js";
import {allW, plateBack, plateMatrix, platePut, plateVector, plateW, plateY} from "./plates.js";
import {combinations, flat, inside, range, unflat} from "./relation.js";
import {number, say} from "./words.js";

const LONGEST = 40; // neurons that stand in one column
const APART = 190;
const FULLY = 400; // weights of a fully connected layer that are written out
const WINDOWS = 9; // and two, where each is large

/** All multiplications that are kept, as pairs. */
export const keptPairs = (layer) => links(layer).flatMap(([c, e]) => combinations(layer.shape.w.map(range)).flatMap((k) => (
  pairsOf(layer, {kind: "w", c, e, at: k}).filter((pair) => kept(layer, pair.p)))));

/** The flat input of a pair, its flat output, and the place of its number in w. */
export const inputOf = (layer, pair) => pair.c * layer.cells.x + flat(pair.i, layer.shape.x);
export const outputOf = (layer, pair) => pair.e * layer.cells.y + flat(toOutput(layer, pair.p), layer.shape.y);
export const numberOf = (layer, pair) => placeW(layer, pair.c, pair.e) * layer.cells.w + flat(pair.k, layer.shape.w);

/** Every cell a neuron, every multiplication that is kept an edge; edges of one colour share one number of the kernel. */
export function neurons(layer) {
  const [ins, outs] = [layer.ci * layer.cells.x, layer.co * layer.cells.y];
  const edges = keptPairs(layer);
  const counts = say("neurons_count", {full: ins * outs, edges: edges.length, shared: layer.w.length});
  if (Math.max(ins, outs) > LONGEST) return {items: [], notes: [say("too_large", {what: say("neurons"), rows: outs, columns: ins}), counts]};
  const [from, to] = [(pair) => inputOf(layer, pair), (pair) => outputOf(layer, pair)];
  const colour = (pair) => numberOf(layer, pair) % 6;
  const x = plateVector("neuron_x", "x", "input", [...layer.x], {
    hits: from, owns: (look) => (look.kind === "x" ? look.c * layer.cells.x + flat(look.at, layer.shape.x) : -1),
    pick: (n) => ({kind: "x", c: Math.floor(n / layer.cells.x), at: unflat(n % layer.cells.x, layer.shape.x)}),
  });
  const y = plateVector("neuron_y", "y", "output", layer.y.flatMap((each) => [...each]), {
    hits: (pair) => (kept(layer, pair.p) ? to(pair) : -1),
    owns: (look) => (look.kind === "p" && kept(layer, look.at) ? look.e * layer.cells.y + flat(toOutput(layer, look.at), layer.shape.y) : -1),
    pick: (n) => ({kind: "p", e: Math.floor(n / layer.cells.y), at: toCanvas(layer, unflat(n % layer.cells.y, layer.shape.y))}),
  });
  const taps = allW(layer, (c, e) => ({...plateW(layer, c, e), name: `neuronw${c}.${e}`, shade: "edged", role: (n) => `phase${(placeW(layer, c, e) * layer.cells.w + n) % 6}`}));
  const joins = new Map(edges.map((pair) => [to(pair) * ins + from(pair), pair]));
  const all = {
    ...plateMatrix("neuron_full", say("neurons_full"), transposedMatrix(layer), {
      hits: (pair) => (kept(layer, pair.p) ? to(pair) * ins + from(pair) : -1), role: (n) => (joins.has(n) ? `phase${colour(joins.get(n))}` : "zero"),
      pick: (n) => (joins.has(n) ? {kind: "pair", c: joins.get(n).c, i: joins.get(n).i, e: joins.get(n).e, k: joins.get(n).k} : y.pick(Math.floor(n / ins))),
    }), shade: "edged", ...(ins * outs > FULLY ? {dots: true} : {}),
  };
  return {
    items: [x, y, all, taps], notes: [counts],
    arrange: (picture) => apart(picture, x, y, all, taps),
    edges: (svg) => {
      const shine = joined(svg, edges, colour, (pair) => edgeLine(x, from(pair), y, to(pair)));
      return (pairs) => shine(pairs.filter((pair) => kept(layer, pair.p)));
    },
  };
}

/** The two columns far enough apart for edges, their middles on one line; the matrix and the kernels beside them. */
function apart(picture, x, y, all, taps) {
  picture.height = Math.max(x.size.down, y.size.down, all.size.down, taps.reduce((sum, plate) => sum + plate.size.down + 8, 0)) + 2;
  for (const plate of [x, y]) plate.y = (picture.height - plate.size.down) / 2;
  x.x = 0;
  y.x = x.size.across + APART;
  [all.x, all.y] = [y.x + y.size.across + 36, y.y];
  for (const plate of taps) plate.x = all.x + all.size.across + 36;
  picture.width = taps[0].x + Math.max(...taps.map((plate) => plate.size.across)) + 2;
}

/** A line from the right of a plate's cell to the left of another one's. */
export function edgeLine(x, from, y, to) {
  const end = (plate, at, right) => {
    const [left, top] = corners(plate, at);
    return `${plate.x + left + (right ? plate.size.width : 0)} ${plate.y + top + plate.size.height / 2}`;
  };
  return `M${end(x, from, true)}L${end(y, to, false)}`;
}

/** Draw the edges under the neurons, each as its `line` and in its `colour`, 0 to 5; returns what lights some of them. */
export function joined(svg, edges, colour, line) {
  const group = element("g", {class: "edges", "aria-hidden": "true"}, ...range(6).map((hue) => (
    element("path", {class: `edge phase${hue}`, d: edges.filter((edge) => colour(edge) === hue).map(line).join("")}))));
  const lit = element("path", {class: "edge-lit", "aria-hidden": "true"});
  svg.prepend(group, lit);
  return (some) => lit.setAttribute("d", some.map(line).join(""));
}

/** The rows of C as windows on y, which are the columns of C^T as stamps; and the row of C^T that is looked at, over x. */
export function windowed(layer) {
  const [c, e] = links(layer)[0];
  const inputs = combinations(layer.shape.x.map(range));
  const most = layer.cells.y > 150 ? 2 : WINDOWS;
  const shown = inputs.slice(0, most).map((i, n) => plateWindow(layer, c, e, i, n));
  const made = steps(layer);
  const notes = [];
  const back = layer.cells.y > 150 ? [] : thereAndBack(layer, c, e, notes);
  if (inputs.length > most) notes.push(say("windows_some", {shown: most, all: inputs.length}));
  if (layer.ci * layer.co > 1) notes.push(say("windows_channels"));
  return {
    items: [
      ...shown, "\n", plateW(layer, c, e), "→", {...plateW(layer, c, e, {flipped: true}), name: "flipped"}, "→", plateRow(layer, c, e, made), "·", platePut(layer, c, made, true), ...back,
    ],
    notes,
  };
}

/** y taken as an image I: I C = O, and O C^T = P, which is as large as I and is not I. */
function thereAndBack(layer, c, e, notes) {
  const up = transposedMatrix(layer).slice(e * layer.cells.y, (e + 1) * layer.cells.y).map((row) => row.slice(c * layer.cells.x, (c + 1) * layer.cells.x).map((value) => value ?? 0));
  const image = [...layer.y[e]];
  const small = times(transpose(up), image);
  const again = times(up, small);
  const same = again.every((value, n) => Math.abs(value - image[n]) < 1e-9 * (1 + Math.abs(image[n])));
  notes.push(say(same ? "window_same" : "window_back"));
  const plate = (name, title, values) => plateY(layer, e, {name, title, values: (n) => values[n], withBias: false});
  return ["\n", plate("image", "I = y", image), "→", plateBack(layer, c, "brought", "O = I C", small), "→", plate("again", "P = O C^T", again)];
}

function plateWindow(layer, c, e, i, n) {
  const shape = layer.shape.y;
  const tap = (at) => {
    const k = toCanvas(layer, unflat(at, shape)).map((p, a) => (p - layer.s[a] * i[a]) / layer.d[a]);
    return k.every((each, a) => Number.isInteger(each) && each >= 0 && each < layer.k[a]) ? k : null;
  };
  return {
    name: `window${n}`, title: say("window_row", {n}), hue: "kernel", shape,
    value: (at) => (tap(at) ? valueW(layer, c, e, tap(at)) : 0), text: (at) => (tap(at) ? number(valueW(layer, c, e, tap(at))) : ""),
    role: (at) => (tap(at) ? "kernel" : "zero"),
    hits: (pair) => (pair.c === c && pair.e === e && String(pair.i) === String(i) && kept(layer, pair.p) ? flat(toOutput(layer, pair.p), shape) : -1),
    pick: (at) => (tap(at) ? {kind: "pair", c, i, e, k: tap(at)} : {kind: "p", e, at: toCanvas(layer, unflat(at, shape))}),
  };
}

/** The row of C^T for the output that is looked at, in the shape of x with its zeros: the flipped kernel at its place. */
function plateRow(layer, c, e, made) {
  const shape = made.padded;
  let o = layer.shape.y.map(() => 0);
  const tap = (n) => {
    const k = unflat(n, shape).map((m, a) => layer.k[a] - 1 - (m - o[a]) / layer.d[a]);
    return k.every((each, a) => Number.isInteger(each) && each >= 0 && each < layer.k[a]) ? k : null;
  };
  const meets = (n) => {
    const i = made.origin(unflat(n, shape).map((m, a) => m - made.low[a]));
    return i && inside(i, layer.shape.x);
  };
  const title = () => say("window_row_t", {o: o.join(",")});
  const plate = {
    name: "slid", title: title(), hue: "kernel", shape, live: "look", longest: Math.max(...layer.w.map((value) => number(value).length)),
    value: (n) => (tap(n) ? valueW(layer, c, e, tap(n)) : 0), text: (n) => (tap(n) ? number(valueW(layer, c, e, tap(n))) : ""),
    role: (n) => (tap(n) && meets(n) ? "kernel" : "zero"), pick: () => null,
    turn: (look, pairs, output) => {
      const at = output.find((pair) => pair.e === e && kept(layer, pair.p))?.p ?? (look.kind === "p" && kept(layer, look.at) ? look.at : null);
      if (at) o = toOutput(layer, at);
      plate.title = title();
    },
  };
  return plate;
}
