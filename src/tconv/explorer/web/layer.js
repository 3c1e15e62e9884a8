// One layer with its numbers: what every form computes, from the relation alone.
//
// A pair is one multiplication: {c, i, e, k, p}: input channel and cell, output channel, tap, canvas position.

import {combinations, flat, fullSize, inside, modulo, outSize, phases, product, range, sources, unflat} from "./relation.js";

/** `given` has n, k, s, d, lo, hi, op per axis, channels ci, co, groups g, and the flat arrays x, w, b (or null). */
export function makeLayer(given) {
  const axes = given.n.map((n, a) => (
    {n, k: given.k[a], s: given.s[a], d: given.d[a], lo: given.lo[a], hi: given.hi[a] - given.op[a]}
  ));
  const layer = {
    ...given, axes, ndim: axes.length,
    shape: {x: given.n, w: given.k, full: axes.map(fullSize), y: axes.map(outSize)},
  };
  layer.cells = Object.fromEntries(Object.entries(layer.shape).map(([name, shape]) => [name, product(shape)]));
  layer.full = canvas(layer, () => true);
  layer.covered = covered(layer);
  layer.y = range(layer.co).map((e) => range(layer.cells.y).map((o) => {
    const p = unflat(o, layer.shape.y).map((n, a) => n + axes[a].lo);
    return (inside(p, layer.shape.full) ? layer.full[e][flat(p, layer.shape.full)] : 0);
  }));
  return layer;
}

export const bias = (layer, e) => (layer.b ? layer.b[e] : 0);
export const output = (layer, e, o) => layer.y[e][o] + bias(layer, e);
export const valueX = (layer, c, i) => layer.x[c * layer.cells.x + flat(i, layer.shape.x)];
export const valueW = (layer, c, e, k) => layer.w[placeW(layer, c, e) * layer.cells.w + flat(k, layer.shape.w)];
export const connects = (layer, c, e) => Math.floor(c * layer.g / layer.ci) === Math.floor(e * layer.g / layer.co);
/** Which kernel of w, (in_channels, out_channels/groups, *kernel), joins the two channels. */
export const placeW = (layer, c, e) => c * (layer.co / layer.g) + e % (layer.co / layer.g);

/** The (channel, channel) pairs that have a kernel. */
export function links(layer) {
  return combinations([range(layer.ci), range(layer.co)]).filter(([c, e]) => connects(layer, c, e));
}

/** All stamps added up, per output channel; `counts(c, i, e, k)` on flat indices says which pairs to add. */
export function canvas(layer, counts) {
  const {bases, steps} = offsets(layer);
  const full = range(layer.co).map(() => new Float64Array(layer.cells.full));
  for (const [c, e] of links(layer)) {
    const first = placeW(layer, c, e) * layer.cells.w;
    bases.forEach((base, i) => steps.forEach((step, k) => {
      if (counts(c, i, e, k)) full[e][base + step] += layer.x[c * layer.cells.x + i] * layer.w[first + k];
    }));
  }
  return full;
}

/** Where each input's stamp begins on the flat canvas, and how far each tap lies from there. */
export function offsets(layer) {
  const along = layer.shape.full.map((_, a) => product(layer.shape.full.slice(a + 1)));
  const at = (shape, distance) => range(product(shape)).map(
    (n) => unflat(n, shape).reduce((sum, index, a) => sum + index * distance[a] * along[a], 0));
  return {bases: at(layer.shape.x, layer.s), steps: at(layer.shape.w, layer.d)};
}

function covered(layer) {
  const {bases, steps} = offsets(layer);
  const marks = new Uint8Array(layer.cells.full);
  for (const base of bases) for (const step of steps) marks[base + step] = 1;
  return marks;
}

// What is looked at: {kind: "x", c, at}, {kind: "w", c, e, at}, {kind: "p", e, at} (a canvas position, whether it is
// kept or not), or {kind: "pair", c, i, e, k}.

/** All multiplications that take part in what is looked at. */
export function pairsOf(layer, look) {
  const places = (i, k) => i.map((n, a) => layer.s[a] * n + layer.d[a] * k[a]);
  if (look.kind === "pair") return [{...look, p: places(look.i, look.k)}];
  if (look.kind === "w") {
    return combinations(layer.shape.x.map(range)).map((i) => ({c: look.c, i, e: look.e, k: look.at, p: places(i, look.at)}));
  }
  if (look.kind === "x") {
    const taps = combinations(layer.shape.w.map(range));
    return range(layer.co).filter((e) => connects(layer, look.c, e)).flatMap(
      (e) => taps.map((k) => ({c: look.c, i: look.at, e, k, p: places(look.at, k)})));
  }
  const met = combinations(layer.axes.map((axis, a) => sources(axis, look.at[a])));
  return range(layer.ci).filter((c) => connects(layer, c, look.e)).flatMap(
    (c) => met.map((each) => ({c, i: each.map(([i]) => i), e: look.e, k: each.map(([, k]) => k), p: look.at})));
}

export const kept = (layer, p) => p.every((n, a) => n >= layer.axes[a].lo && n < layer.axes[a].lo + layer.shape.y[a]);
export const toOutput = (layer, p) => p.map((n, a) => n - layer.axes[a].lo);
export const flatOutput = (layer, look) => output(layer, look.e, flat(toOutput(layer, look.at), layer.shape.y));
export const toCanvas = (layer, o) => o.map((n, a) => n + layer.axes[a].lo);

/** The first output with as many products as any: what the page shows before anybody points at something. */
export function busiest(layer) {
  const most = layer.axes.map((axis, a) => {
    const counts = range(layer.shape.y[a]).map((o) => sources(axis, o + axis.lo).length);
    return counts.indexOf(Math.max(...counts)) + axis.lo;
  });
  return {kind: "p", e: 0, at: most};
}

/** The four steps: sizes, the shapes on the way, and where an input lands. */
export function steps(layer) {
  const low = layer.axes.map((axis) => axis.d * (axis.k - 1) - axis.lo);
  const inserted = layer.axes.map((axis) => axis.s * (axis.n - 1) + 1);
  const padded = layer.axes.map((axis, a) => inserted[a] + low[a] + axis.d * (axis.k - 1) - axis.hi);
  return {
    low, inserted, padded,
    spread: (i) => i.map((n, a) => layer.s[a] * n),
    origin: (at) => (at.every((n, a) => n % layer.s[a] === 0) ? at.map((n, a) => n / layer.s[a]) : null),
  };
}

/** The phases with cells in the window: taps, the outputs they make, and how many cells they have per axis. */
export function parts(layer) {
  const perAxis = layer.axes.map((axis, a) => phases(axis).map((taps, residue) => (
    {taps, outputs: range(layer.shape.y[a]).filter((o) => modulo(o + axis.lo, axis.s) === residue)}
  )));
  return combinations(perAxis).map((each) => ({
    taps: combinations(each.map((part) => part.taps)),
    outputs: each.map((part) => part.outputs),
    shape: each.map((part) => part.outputs.length),
  })).filter((part) => product(part.shape) > 0);
}

/** C z, the forward convolution of arrays like y (without bias): one array like x per input channel. */
export function forward(layer, z) {
  const taps = combinations(layer.shape.w.map(range));
  return range(layer.ci).map((c) => combinations(layer.shape.x.map(range)).map((i) => {
    let sum = 0;
    for (const e of range(layer.co).filter((each) => connects(layer, c, each))) {
      for (const k of taps) {
        const o = toOutput(layer, i.map((n, a) => layer.s[a] * n + layer.d[a] * k[a]));
        if (inside(o, layer.shape.y)) sum += z[e][flat(o, layer.shape.y)] * valueW(layer, c, e, k);
      }
    }
    return sum;
  }));
}
