// The arrays that views are made of: each knows its numbers, its colours, and which pairs light which cell.

import {flat, inside, range, unflat} from "./relation.js";
import {canvas, connects, kept, links, output, placeW, toCanvas, toOutput, valueW, valueX} from "./layer.js";
import {named, number, say} from "./words.js";

const sameIndex = (a, b) => a.length === b.length && a.every((n, axis) => n === b[axis]);
const several = (letter, count, channel) => (count > 1 ? `${letter}[${channel}]` : letter);
const placeIn = (index, shape) => (inside(index, shape) ? flat(index, shape) : -1);

/** x, one plate per channel. */
export function plateX(layer, c, edit = false) {
  const shape = layer.shape.x;
  return {
    name: `x${c}`, title: `${several("x", layer.ci, c)} ${say("input")}`, hue: "input", shape, edit: edit ? {array: "x", first: c * layer.cells.x} : null,
    value: (n) => layer.x[c * layer.cells.x + n], text: (n) => number(layer.x[c * layer.cells.x + n]), role: () => "input",
    hits: (pair) => (pair.c === c ? flat(pair.i, shape) : -1),
    owns: (look) => (look.kind === "x" && look.c === c ? flat(look.at, shape) : -1),
    pick: (n) => ({kind: "x", c, at: unflat(n, shape)}),
  };
}

/** w, one plate per pair of connected channels; flipped, every tap stands at the other end. */
export function plateW(layer, c, e, {edit = false, flipped = false} = {}) {
  const shape = layer.shape.w;
  const first = placeW(layer, c, e) * layer.cells.w;
  const turn = (n) => (flipped ? layer.cells.w - 1 - n : n);
  const channels = layer.ci * layer.co > 1 ? `w[${c},${e % (layer.co / layer.g)}]` : "w";
  const joins = layer.g > 1 ? ` (x[${c}] → y[${e}])` : "";
  return {
    name: `w${c}.${e}`, title: flipped ? `${say("flipped")} ${channels === "w" ? "" : channels}`.trim() : `${channels} ${say("kernel")}${joins}`,
    hue: "kernel", shape, edit: edit ? {array: "w", first} : null,
    value: (n) => layer.w[first + turn(n)], text: (n) => number(layer.w[first + turn(n)]), role: () => "kernel",
    hits: (pair) => (pair.c === c && pair.e === e ? turn(flat(pair.k, shape)) : -1),
    owns: (look) => (look.kind === "w" && look.c === c && look.e === e ? turn(flat(look.at, shape)) : -1),
    pick: (n) => ({kind: "w", c, e, at: unflat(turn(n), shape)}),
  };
}

/** An array of outputs, one plate per output channel: y, or what another form has in its place; y may walk with the player. */
export function plateY(layer, e, {title = null, values = null, name = "y", withBias = true, walks = false} = {}) {
  const shape = layer.shape.y;
  const position = (n) => toCanvas(layer, unflat(n, shape));
  let now = null; // the sums so far, while somebody walks through the layer
  const far = (n) => (inside(position(n), layer.shape.full) ? now[e][flat(position(n), layer.shape.full)] : 0);
  const value = values ?? ((n) => (now ? far(n) : withBias ? output(layer, e, n) : layer.y[e][n]));
  return {
    ...(walks ? {live: "time", longest: longest(layer), turn: (time) => { now = time ? sofar(layer, time) : null; }} : {}),
    name: `${name}${e}`, title: title ?? `${several("y", layer.co, e)} ${say("output")}`, hue: "output", shape,
    value, text: (n) => number(value(n)), role: (n) => (reached(layer, position(n)) ? "output" : "hole"),
    hits: (pair) => (pair.e === e && kept(layer, pair.p) ? flat(toOutput(layer, pair.p), shape) : -1),
    owns: (look) => (look.kind === "p" && look.e === e && kept(layer, look.at) ? flat(toOutput(layer, look.at), shape) : -1),
    pick: (n) => ({kind: "p", e, at: position(n)}),
  };
}

export const reached = (layer, p) => inside(p, layer.shape.full) && layer.covered[flat(p, layer.shape.full)] === 1;

/** The whole canvas of one output channel, beyond which the window may reach; the frame is what is kept. */
export function plateCanvas(layer, e) {
  const first = layer.axes.map((axis) => Math.min(0, axis.lo));
  const shape = layer.axes.map((axis, a) => Math.max(layer.shape.full[a], axis.lo + layer.shape.y[a]) - first[a]);
  const place = (n) => unflat(n, shape).map((m, a) => m + first[a]);
  const back = (p) => placeIn(p.map((m, a) => m - first[a]), shape);
  let now = layer.full;
  const plate = {
    name: `canvas${e}`, title: `${several(say("canvas"), layer.co, e)}, ${say("frame_is", {y: several("y", layer.co, e)})}`, hue: "output", shape, first,
    value: (n) => (inside(place(n), layer.shape.full) ? now[e][flat(place(n), layer.shape.full)] : 0),
    text: (n) => (reached(layer, place(n)) ? number(plate.value(n)) : ""),
    role: (n) => (kept(layer, place(n)) ? (reached(layer, place(n)) ? "canvas" : "hole") : reached(layer, place(n)) ? "cropped" : "zero"),
    hits: (pair) => (pair.e === e ? back(pair.p) : -1),
    owns: (look) => (look.kind === "p" && look.e === e ? back(look.at) : -1),
    pick: (n) => ({kind: "p", e, at: place(n)}),
    frame: layer.axes.map((axis, a) => [axis.lo - first[a], axis.lo - first[a] + layer.shape.y[a]]),
    live: "time", longest: longest(layer),
    turn: (time) => { now = time ? sofar(layer, time) : layer.full; },
  };
  return plate;
}

/** The canvas after the first steps of a walk through inputs, taps or outputs. */
function sofar(layer, {order, step}) {
  const position = (i, k) => unflat(i, layer.shape.x).map((n, a) => layer.s[a] * n + layer.d[a] * unflat(k, layer.shape.w)[a]);
  if (order === "x") return canvas(layer, (c, i) => c * layer.cells.x + i <= step);
  if (order === "w") return canvas(layer, (c, i, e, k) => placeW(layer, c, e) * layer.cells.w + k <= step);
  return canvas(layer, (c, i, e, k) => {
    const o = toOutput(layer, position(i, k));
    return inside(o, layer.shape.y) && e * layer.cells.y + flat(o, layer.shape.y) <= step;
  });
}

/** The stamp of the input that is looked at, or of the first that takes part. */
export function plateStamp(layer, e) {
  let [i, c] = [layer.shape.x.map(() => 0), 0];
  const value = (n) => valueX(layer, c, i) * valueW(layer, c, e, unflat(n, layer.shape.w));
  const title = () => {
    const name = named("x", i, layer.ci > 1 ? c : null);
    if (!connects(layer, c, e)) return say("no_stamp", {name, y: `y[${e}]`});
    return say("one_stamp", {name}) + (layer.co > 1 ? ` → y[${e}]` : "");
  };
  const plate = {
    name: `stamp${e}`, title: title(), hue: "output", shape: layer.shape.w, live: "look", longest: longest(layer),
    value: (n) => (connects(layer, c, e) ? value(n) : 0), text: (n) => (connects(layer, c, e) ? number(value(n)) : ""), role: () => "canvas",
    hits: (pair) => (pair.e === e && pair.c === c && sameIndex(pair.i, i) ? flat(pair.k, layer.shape.w) : -1),
    pick: (n) => ({kind: "pair", c, i, e, k: unflat(n, layer.shape.w)}),
    turn: (look, pairs) => {
      [i, c] = look.kind === "x" ? [look.at, look.c] : pairs.length ? [pairs[0].i, pairs[0].c] : [i, c];
      plate.title = title();
    },
  };
  return plate;
}

/** Under every tap the input that it meets at the output that is looked at; or the products with the taps. */
export function plateMet(layer, c, e, products) {
  let met = new Map();
  const shape = layer.shape.w;
  const value = (n) => (met.has(n) ? valueX(layer, c, met.get(n)) * (products ? valueW(layer, c, e, unflat(n, shape)) : 1) : 0);
  return {
    name: `${products ? "product" : "met"}${c}.${e}`, shape, hue: products ? "output" : "input", live: "look", longest: longest(layer),
    title: `${say(products ? "products" : "under_taps")}${layer.ci * layer.co > 1 ? ` [${c},${e}]` : ""}`,
    value, text: (n) => (met.has(n) ? number(value(n)) : ""), role: (n) => (met.has(n) ? (products ? "canvas" : "input") : "zero"),
    hits: (pair) => (pair.c === c && pair.e === e && met.has(flat(pair.k, shape)) && sameIndex(met.get(flat(pair.k, shape)), pair.i) ? flat(pair.k, shape) : -1),
    pick: (n) => (met.has(n) ? {kind: "pair", c, i: met.get(n), e, k: unflat(n, shape)} : {kind: "w", c, e, at: unflat(n, shape)}),
    turn: (look, pairs, output) => {
      met = new Map(output.filter((pair) => pair.c === c && pair.e === e).map((pair) => [flat(pair.k, shape), pair.i]));
    },
  };
}

/** x with zeros between, or between and around, its cells. */
export function platePut(layer, c, steps, around) {
  const shape = around ? steps.padded : steps.inserted;
  const low = around ? steps.low : steps.low.map(() => 0);
  const origin = (n) => {
    const i = steps.origin(unflat(n, shape).map((m, a) => m - low[a]));
    return i && inside(i, layer.shape.x) ? i : null;
  };
  const value = (n) => (origin(n) ? valueX(layer, c, origin(n)) : 0);
  return {
    name: `${around ? "padded" : "inserted"}${c}`, title: `${say(around ? "padded" : "inserted")}${layer.ci > 1 ? ` x[${c}]` : ""}`, hue: "input", shape,
    value, text: (n) => (origin(n) ? number(value(n)) : "0"), role: (n) => (origin(n) ? "input" : "zero"),
    hits: (pair) => (pair.c === c ? placeIn(steps.spread(pair.i).map((m, a) => m + low[a]), shape) : -1),
    pick: (n) => (origin(n) ? {kind: "x", c, at: origin(n)} : null),
    span: (look) => (around && look.kind === "p" && kept(layer, look.at)
      ? toOutput(layer, look.at).map((o, a) => [o, o + layer.d[a] * (layer.k[a] - 1) + 1]) : null),
  };
}

/** A matrix over flattened arrays; `pair` finds the cell of a pair, `look` what a cell stands for. */
export function plateMatrix(name, title, rows, {hue = "kernel", hits = null, pick = () => null, role = null} = {}) {
  const shape = [rows.length, rows[0].length];
  const entry = (n) => rows[Math.floor(n / shape[1])][n % shape[1]];
  return {
    name, title: `${title} ${shape.join("×")}`, hue, shape, value: (n) => entry(n) ?? 0,
    text: (n) => (entry(n) === null ? "" : number(entry(n))), role: role ?? ((n) => (entry(n) === null ? "zero" : "kernel")), hits, pick,
  };
}

/** A flattened array as a column. */
export function plateVector(name, title, hue, values, {hits, owns, pick}) {
  return {
    name, title, hue, shape: [values.length, 1], value: (n) => values[n], text: (n) => number(values[n]), role: () => hue, hits, owns, pick,
  };
}

/** The cells of one phase, and which of the outputs they are. */
export function platePhase(layer, e, part, number_) {
  const index = (n) => unflat(n, part.shape).map((m, a) => part.outputs[a][m]);
  const find = (p) => {
    const cell = toOutput(layer, p).map((o, a) => part.outputs[a].indexOf(o));
    return cell.every((m) => m >= 0) ? flat(cell, part.shape) : -1;
  };
  const value = (n) => layer.y[e][flat(index(n), layer.shape.y)];
  return {
    name: `phase${number_}.${e}`, title: `${say("phase", {n: number_})}${layer.co > 1 ? ` y[${e}]` : ""}`, hue: `phase${number_ % 6}`, shape: part.shape,
    value, text: (n) => number(value(n)), role: () => `phase${number_ % 6}`,
    hits: (pair) => (pair.e === e ? find(pair.p) : -1), owns: (look) => (look.kind === "p" && look.e === e ? find(look.at) : -1),
    pick: (n) => ({kind: "p", e, at: toCanvas(layer, index(n))}),
  };
}

/** y with the padding of the forward convolution, and its kernel's place for the x cell that is looked at. */
export function plateForward(layer, e) {
  const shape = layer.axes.map((axis, a) => layer.shape.y[a] + Math.max(axis.lo, 0) + Math.max(axis.hi, 0));
  const first = layer.axes.map((axis) => Math.min(0, -axis.lo));
  const output_ = (n) => unflat(n, shape).map((m, a) => m + first[a]);
  const value = (n) => (inside(output_(n), layer.shape.y) ? layer.y[e][flat(output_(n), layer.shape.y)] : 0);
  const back = (p) => placeIn(toOutput(layer, p).map((o, a) => o - first[a]), shape);
  return {
    name: `forward${e}`, title: `${say("padded_y")}${layer.co > 1 ? ` [${e}]` : ""}`, hue: "output", shape, first,
    value, text: (n) => number(value(n)), role: (n) => (inside(output_(n), layer.shape.y) ? "output" : "zero"),
    hits: (pair) => (pair.e === e ? back(pair.p) : -1), owns: (look) => (look.kind === "p" && look.e === e ? back(look.at) : -1),
    pick: (n) => ({kind: "p", e, at: toCanvas(layer, output_(n))}),
    span: (look) => (look.kind === "x" ? look.at.map((i, a) => {
      const from = layer.s[a] * i - layer.axes[a].lo - first[a];
      return [Math.max(from, 0), Math.min(from + layer.d[a] * (layer.k[a] - 1) + 1, shape[a])];
    }) : null),
  };
}

/** An array like x. */
export function plateBack(layer, c, name, title, values) {
  return {...plateX(layer, c), name: `${name}${c}`, title: several(title, layer.ci, c), value: (n) => values[n], text: (n) => number(values[n]), edit: null};
}

/** Letters that a number needs which is not known yet: a product, or a sum on its way. */
function longest(layer) {
  const most = (values) => values.reduce((all, value) => Math.max(all, Math.abs(value)), 0);
  const whole = [...layer.x, ...layer.w].every(Number.isInteger);
  return whole ? number(most(layer.x) * most(layer.w)).length + 1 : 6;
}

export const channelsX = (layer) => range(layer.ci);
export const channelsY = (layer) => range(layer.co);
export const allW = (layer, make) => links(layer).map(([c, e]) => make(c, e));
