// Layers one after another as neurons: two convolutions, the transposed ones, and three channels in the middle.
//
// An edge is {n, from, to, number}: its layer, the neurons that it joins in columns n and n + 1, and which number of the
// layer's kernel it has. A look is {kind: "neuron", m, at} in column m, {kind: "number", n, at} of a kernel, or
// {kind: "none", n, from, to}, a weight that is left out; `weight`, [n, cell], is where a matrix was pointed at.

import {light} from "./draw.js";
import {forward, links, makeLayer, placeW} from "./layer.js";
import {transpose, transposedMatrix} from "./linear.js";
import {edgeLine, inputOf, joined, keptPairs, numberOf, outputOf} from "./neurons.js";
import {plateMatrix, plateVector, plateW} from "./plates.js";
import {product, range, unflat} from "./relation.js";
import {named, number, say} from "./words.js";

const CHAIN_KERNELS = [[1, 2, 0, 1], [1, 0, 2, 1]]; // of 2x2 to 3x3, and of 3x3 to 4x4
const ROOM = {beside: 900, written: 600}; // less than this, and matrices stand below; then without numbers
const FAR = 180;
const NEAR = 100;
const FRAME = 44; // borders and paddings of a card
const ASIDE = 36;
const BELOW = 8;

/** A layer with kernel 2 and stride 1 that cuts nothing off. */
function byTwo(n, ci, co, x, w) {
  const all = (value) => n.map(() => value);
  return makeLayer({n, k: all(2), s: all(1), lo: all(0), hi: all(0), op: all(0), d: all(1), ci, co, g: 1, x, w, b: null});
}

const counting = (count) => range(count).map((n) => n % 9 + 1);

/** {layers, columns, down}: the numbers of every column; `down` where the layers' convolutions are meant, read from y to x. */
const CHAINED = {
  up: () => {
    const first = byTwo([2, 2], 1, 1, counting(4), CHAIN_KERNELS[0]);
    return upwards([first, byTwo([3, 3], 1, 1, first.y.flat(), CHAIN_KERNELS[1])]);
  },
  channels: () => {
    const first = byTwo([2], 1, 3, counting(2), counting(6));
    return upwards([first, byTwo([3], 3, 1, first.y.flat(), counting(6))]);
  },
  down: () => {
    const layers = [byTwo([3, 3], 1, 1, counting(9), CHAIN_KERNELS[1]), byTwo([2, 2], 1, 1, counting(4), CHAIN_KERNELS[0])];
    const columns = [neuronsOf("x", "input", [4, 4], [counting(16)])];
    for (const [layer, letter, hue] of [[layers[0], "h", "canvas"], [layers[1], "y", "output"]]) {
      columns.push(neuronsOf(letter, hue, layer.shape.x, forward(layer, columns.at(-1).values)));
    }
    return {layers, columns, down: true};
  },
};

const neuronsOf = (letter, hue, shape, values) => ({letter, hue, shape, values, cells: product(shape)});

function upwards(layers) {
  const [{shape, cells, ci, x}] = layers;
  const begin = neuronsOf("x", "input", shape.x, range(ci).map((c) => x.slice(c * cells.x, (c + 1) * cells.x)));
  return {layers, down: false, columns: [begin, ...layers.map((layer, n) => neuronsOf(...(n ? ["y", "output"] : ["h", "canvas"]), layer.shape.y, layer.y))]};
}

/** The picture of a chain in a card of this width; `among` lights a look at it and says what is seen. */
export function chained(name, width) {
  const chain = CHAINED[name]();
  chain.edges = chain.layers.map((layer, n) => keptPairs(layer).map((pair) => {
    const ends = [inputOf(layer, pair), outputOf(layer, pair)];
    const [from, to] = chain.down ? ends.reverse() : ends;
    return {n, from, to, number: numberOf(layer, pair)};
  }));
  const columns = chain.columns.map((each, m) => each.values.map((values, c) => plateColumn(chain, m, c, values)));
  const fulls = chain.layers.map((layer, n) => ({...plateFull(chain, n), ...(width < ROOM.written ? {dots: true} : {})}));
  const kernels = chain.layers.map((layer, n) => links(layer).map(([c, e]) => plateShared(layer, n, c, e)));
  const cell = (m, at) => [columns[m][Math.floor(at / chain.columns[m].cells)], at % chain.columns[m].cells];
  const line = (edge) => edgeLine(...cell(edge.n, edge.from), ...cell(edge.n + 1, edge.to));
  const plates = [columns, fulls, kernels].flat(2);
  const begin = {kind: "neuron", m: chain.down ? 1 : 0, at: 0};
  let shine = null;
  const among = (look = begin) => {
    const lit = litBy(chain, look);
    for (const plate of plates) light(plate, look, lit);
    shine(lit);
    return [{text: saysOf(chain, look, lit)}];
  };
  for (const plate of plates) plate.among = among;
  return {
    items: [...columns, fulls, kernels.flat()], wide: true, among,
    about: say(`chain_says_${name}`, {sizes: chain.columns.map(sizeOf).join(" → ")}), notes: [say("chain_full_is")], table: counted(chain),
    arrange: (picture) => arranged(picture, columns, fulls, kernels, width),
    edges: (svg) => { shine = joined(svg, chain.edges.flat(), (edge) => edge.number % 6, line); },
  };
}

const sizeOf = ({shape, values}) => (values.length > 1 ? `${values.length}\u00a0×\u00a0${shape.join("×")}` : shape.join("×"));

/** Columns with their middles on one line; the matrices with their kernels beside them, or below where room is scarce. */
function arranged(picture, columns, fulls, kernels, width) {
  const tall = (plates) => plates.reduce((sum, {size}) => sum + size.down + BELOW, -BELOW);
  const across = (plates) => Math.max(...plates.map(({size}) => size.across));
  const stand = (plates, x, y) => plates.reduce((top, plate) => { [plate.x, plate.y] = [x, top]; return top + plate.size.down + BELOW; }, y);
  const between = width < ROOM.written ? NEAR : FAR;
  const lefts = columns.map((_, m) => columns.slice(0, m).reduce((sum, plates) => sum + across(plates) + between, 0));
  const end = lefts.at(-1) + across(columns.at(-1));
  const rows = fulls.map((full, n) => Math.max(full.size.down, tall(kernels[n])) + 2 * BELOW);
  const left = Math.max(...columns.map(tall));
  const [first, second] = fulls.map((full, n) => full.size.across + ASIDE + across(kernels[n]));
  const line = end + first + second + 2 * ASIDE <= width - FRAME; // both matrices beside the columns; or both in one column
  const beside = line || width >= ROOM.beside;
  const right = line ? Math.max(...rows) : rows[0] + rows[1];
  const height = beside ? Math.max(left, right) : left;
  columns.forEach((plates, m) => stand(plates, lefts[m], (height - tall(plates)) / 2));
  const [x, y] = beside ? [end + ASIDE, (height - right) / 2] : [0, left + 2 * BELOW];
  fulls.forEach((full, n) => {
    const [from, top] = line ? [x + n * (first + ASIDE), (height - rows[n]) / 2] : [x, y + n * rows[0]];
    stand([full], from, top);
    stand(kernels[n], from + (line ? full.size.across : across(fulls)) + ASIDE, top);
  });
  picture.width = Math.max(end + 12, ...kernels.flat().map((plate) => plate.x + plate.size.across)) + 2;
  picture.height = (beside ? height : y + right) + 2;
}

/** One channel of a column of neurons. */
function plateColumn(chain, m, c, values) {
  const {letter, hue, cells, values: channels} = chain.columns[m];
  const within = (at) => (Math.floor(at / cells) === c ? at - c * cells : -1);
  const title = channels.length > 1 ? `${letter}[${c}]` : `${letter} ${sizeOf(chain.columns[m])}`;
  return plateVector(`chain${m}.${c}`, title, hue, values, {
    hits: (edge) => (edge.n === m ? within(edge.from) : edge.n === m - 1 ? within(edge.to) : -1),
    owns: (look) => {
      if (look.kind === "neuron" && look.m === m) return within(look.at);
      return look.kind === "none" && (look.n === m || look.n === m - 1) ? within(look.n === m ? look.from : look.to) : -1;
    },
    pick: (n) => ({kind: "neuron", m, at: c * cells + n}),
  });
}

/** The weights of a fully connected layer, outputs by inputs: those that are left in the colours of their edges. */
function plateFull(chain, n) {
  const up = transposedMatrix(chain.layers[n]);
  const rows = chain.down ? transpose(up) : up;
  const ins = rows[0].length;
  const numbers = new Map(chain.edges[n].map((edge) => [edge.to * ins + edge.from, edge.number]));
  return {
    ...plateMatrix(`chainfull${n}`, say("chain_full", {n: n + 1}), rows, {
      hits: (edge) => (edge.n === n ? edge.to * ins + edge.from : -1),
      role: (at) => (numbers.has(at) ? `phase${numbers.get(at) % 6}` : "zero"),
      pick: (at) => {
        const [from, to] = [at % ins, Math.floor(at / ins)];
        if (!numbers.has(at)) return {kind: "none", n, from, to, weight: [n, at]};
        return {kind: "neuron", m: chain.down ? n + 1 : n, at: chain.down ? to : from, weight: [n, at]};
      },
    }), shade: "edged", owns: (look) => (look.weight?.[0] === n ? look.weight[1] : -1),
  };
}

/** A kernel of a layer, in the colours of its edges. */
function plateShared(layer, n, c, e) {
  const first = placeW(layer, c, e) * layer.cells.w;
  const within = (at) => (at >= first && at < first + layer.cells.w ? at - first : -1);
  return {
    ...plateW(layer, c, e), name: `chainw${n}.${c}.${e}`, shade: "edged", role: (at) => `phase${(first + at) % 6}`,
    hits: (edge) => (edge.n === n ? within(edge.number) : -1), owns: (look) => (look.kind === "number" && look.n === n ? within(look.at) : -1),
    pick: (at) => ({kind: "number", n, at: first + at}),
  };
}

/** The layer whose edges a neuron shows, and by which end: those of its own copy of the kernel, if it has one. */
function shownBy(chain, m) {
  const last = chain.layers.length;
  if (chain.down) return m ? {n: m - 1, end: "to", own: true} : {n: 0, end: "from", own: false};
  return m < last ? {n: m, end: "from", own: true} : {n: last - 1, end: "to", own: false};
}

function litBy(chain, look) {
  if (look.kind === "none") return [];
  if (look.kind === "number") return chain.edges[look.n].filter((edge) => edge.number === look.at);
  const {n, end} = shownBy(chain, look.m);
  return chain.edges[n].filter((edge) => edge[end] === look.at);
}

function saysOf(chain, look, lit) {
  const neuron = (m, at) => {
    const {letter, shape, cells, values} = chain.columns[m];
    return named(letter, unflat(at % cells, shape), values.length > 1 ? Math.floor(at / cells) : null);
  };
  if (look.kind === "none") return say("chain_none", {from: neuron(look.n, look.from), to: neuron(look.n + 1, look.to), n: look.n + 1});
  const {n, end, own} = look.kind === "number" ? look : shownBy(chain, look.m);
  const layer = chain.layers[n];
  const several = layer.ci * layer.co > 1;
  const kernel = (at) => unflat(Math.floor(at / layer.cells.w), [layer.ci, layer.co]);
  if (look.kind === "number") {
    const tap = unflat(look.at % layer.cells.w, layer.shape.w);
    return say("chain_number", {w: named("w", several ? [...kernel(look.at), ...tap] : tap), value: number(layer.w[look.at]), n: n + 1, count: lit.length});
  }
  const w = several ? [...new Set(lit.map((edge) => `w[${kernel(edge.number).join(",")}]`))].join(", ") : "w";
  const name = neuron(look.m, look.at);
  const copies = chain.columns[chain.down ? n + 1 : n];
  const all = own ? copies.cells : copies.cells * copies.values.length;
  return say(`chain_${own ? "own" : "other"}_${end}`, {name, count: lit.length, w, n: n + 1, all});
}

/** How many weights a fully connected layer has, how many are left, and how many numbers they share: per layer, in all. */
function counted({layers, columns, edges}) {
  const size = ({cells, values}) => cells * values.length;
  const rows = layers.map((layer, n) => [say("chain_row", {n: n + 1, from: sizeOf(columns[n]), to: sizeOf(columns[n + 1])}),
    size(columns[n]) * size(columns[n + 1]), edges[n].length, layer.w.length]);
  const all = [1, 2, 3].map((at) => rows.reduce((sum, row) => sum + row[at], 0));
  return {heads: ["chain_weights", "neurons_full", "chain_sparse", "chain_shared"].map((key) => say(key)), rows: [...rows, [say("chain_all"), ...all]]};
}
