// The views: each makes the plates and signs of its picture, and the sentences under it, anew for a layer.

import {combinations, coverage, flat, outSize, period, phases, product, range, receptiveField, unflat} from "./relation.js";
import {MANY} from "./draw.js";
import {forward, kept, parts, steps, toCanvas, toOutput} from "./layer.js";
import {filled, inverses, MOST, multiply, residual, times, transpose, transposedMatrix, undo} from "./linear.js";
import {
  allW, channelsX, channelsY, plateBack, plateCanvas, plateForward, plateMatrix, plateMet, platePhase, platePut, plateStamp,
  plateVector, plateW, plateX, plateY,
} from "./plates.js";
import {chained} from "./chains.js";
import {neurons, windowed} from "./neurons.js";
import {by, factor, named, number, say} from "./words.js";

const LARGEST = {matrix: 400000, square: 150, written: 10, heat: 20000};

/**
 * {items, notes} of each view, by its name; `arrange` moves the plates of a picture, `edges` draws between them. A picture of
 * other layers than the page's has `among`, which lights what is looked at in it and says what that is, `about` in the place
 * of the view's sentence, and may have a `table` of counts.
 */
export const PICTURES = {layer: whole, stamp, gather, steps: fourSteps, matrix, windows: windowed, neurons: neuronsOrChain, phases: interleaved, col2im, forward: downwards, coverage: heat, undo: undone};

function neuronsOrChain(layer, {chain, width}) {
  return chain === "layer" ? neurons(layer) : chained(chain, width);
}

function whole(layer) {
  return {
    items: [channelsX(layer).map((c) => plateX(layer, c, true)), "·", allW(layer, (c, e) => plateW(layer, c, e, {edit: true})), "=",
      channelsY(layer).map((e) => plateY(layer, e, {walks: true}))],
  };
}

function stamp(layer) {
  return {
    items: [channelsY(layer).map((e) => plateStamp(layer, e)), "→", channelsY(layer).map((e) => plateCanvas(layer, e))],
    notes: layer.b ? [say("bias_after")] : [],
  };
}

function gather(layer) {
  const lines = allW(layer, (c, e) => [plateMet(layer, c, e, false), "·", plateW(layer, c, e), "=", plateMet(layer, c, e, true), "→"]);
  return {items: lines.flatMap((line, n) => [...line, n < lines.length - 1 ? "\n" : channelsY(layer).map((e) => plateY(layer, e))])};
}

function fourSteps(layer) {
  const made = steps(layer);
  return {
    items: [
      channelsX(layer).map((c) => platePut(layer, c, made, false)), "→", channelsX(layer).map((c) => platePut(layer, c, made, true)), "·",
      allW(layer, (c, e) => plateW(layer, c, e, {flipped: true})), "=",
      channelsY(layer).map((e) => plateY(layer, e, {name: "convolved", title: `${say("convolved")}${layer.co > 1 ? ` [${e}]` : ""}`, withBias: false})),
    ],
  };
}

function matrix(layer, {zoomed}) {
  const [rows, columns] = [layer.co * layer.cells.y, layer.ci * layer.cells.x];
  if (rows * columns > LARGEST.matrix) return {items: [], notes: [say("too_large", {what: "C^T", rows, columns})]};
  const up = transposedMatrix(layer);
  const down = transpose(up);
  const row = (pair) => (kept(layer, pair.p) ? pair.e * layer.cells.y + flat(toOutput(layer, pair.p), layer.shape.y) : -1);
  const column = (pair) => pair.c * layer.cells.x + flat(pair.i, layer.shape.x);
  const isRow = (look) => (look.kind === "p" && kept(layer, look.at) ? look.e * layer.cells.y + flat(toOutput(layer, look.at), layer.shape.y) : -1);
  const isColumn = (look) => (look.kind === "x" ? look.c * layer.cells.x + flat(look.at, layer.shape.x) : -1);
  const lookX = (n) => ({kind: "x", c: Math.floor(n / layer.cells.x), at: unflat(n % layer.cells.x, layer.shape.x)});
  const lookY = (n) => ({kind: "p", e: Math.floor(n / layer.cells.y), at: toCanvas(layer, unflat(n % layer.cells.y, layer.shape.y))});
  const entry = (o, i) => pairAt(layer, lookX(i), lookY(o)) ?? lookY(o);
  const cell = (r, c, wide) => (pair) => (r(pair) < 0 || c(pair) < 0 ? -1 : r(pair) * wide + c(pair));
  const x = [...layer.x];
  const items = [
    plateMatrix("matrix", "C^T", up, {hits: cell(row, column, columns), pick: (n) => entry(Math.floor(n / columns), n % columns)}), "·",
    plateVector("vector_x", "x", "input", x, {hits: column, owns: isColumn, pick: lookX}), "=",
    plateVector("vector_y", "C^T x", "output", times(filled(up), x), {hits: row, owns: isRow, pick: lookY}), "\n",
    plateMatrix("matrix_c", "C", down, {hits: cell(column, row, rows), pick: (n) => entry(n % rows, Math.floor(n / rows))}),
  ];
  const notes = [];
  squares(items, notes, zoomed, "C C^T", down, up, (pick) => lookX(pick));
  squares(items, notes, zoomed, "C^T C", up, down, (pick) => lookY(pick));
  return {items, notes};
}

/** A product beside the identity, if it is small enough to be seen; a larger one as dots until somebody zooms in. */
function squares(items, notes, zoomed, title, a, b, look) {
  const size = a.length;
  if (size > LARGEST.square) {
    notes.push(say("too_large", {what: title, rows: size, columns: size}));
    return;
  }
  const name = title.replace(/\W/g, "").toLowerCase() === "cct" ? "cct" : "ctc";
  const made = multiply(filled(a), filled(b));
  const unit = range(size).map((r) => range(size).map((c) => Number(r === c)));
  const hue = name === "cct" ? "input" : "output";
  const plain = (rows) => (n) => (rows[Math.floor(n / size)][n % size] === 0 ? "zero" : hue);
  const pick = (n) => look(Math.floor(n / size));
  const zoom = size > LARGEST.written ? {zooms: name, dots: !zoomed.has(name)} : {};
  items.push("\n", {...plateMatrix(name, title, made, {hue, role: plain(made), pick}), ...zoom}, equal(made, unit) ? "=" : "≠",
    {...plateMatrix(`identity_${name}`, `I, ${say("identity")}`, unit, {hue, role: plain(unit), pick}), ...zoom});
}

const equal = (a, b) => a.every((row, r) => row.every((value, c) => Math.abs(value - b[r][c]) < 1e-9));

/** The pair of an input and an output, if a tap joins them. */
function pairAt(layer, x, y) {
  const k = y.at.map((p, a) => (p - layer.s[a] * x.at[a]) / layer.d[a]);
  const joined = k.every((tap, a) => Number.isInteger(tap) && tap >= 0 && tap < layer.k[a]);
  return joined && Math.floor(x.c * layer.g / layer.ci) === Math.floor(y.e * layer.g / layer.co) ? {kind: "pair", c: x.c, i: x.at, e: y.e, k} : null;
}

function interleaved(layer) {
  const found = parts(layer);
  const phaseOf = (key) => {
    const owner = new Map();
    found.forEach((part, n) => (key === "taps" ? part.taps : combinations(part.outputs)).forEach((index) => {
      owner.set(flat(index, key === "taps" ? layer.shape.w : layer.shape.y), n);
    }));
    return (n) => (owner.has(n) ? `phase${owner.get(n) % 6}` : "zero");
  };
  const [tap, cell] = [phaseOf("taps"), phaseOf("outputs")];
  const dots = layer.cells.y * layer.co > MANY.cells;
  const small = found.slice(0, 16).map((part, n) => channelsY(layer).map((e) => ({...platePhase(layer, e, part, n), dots})));
  return {
    items: [
      allW(layer, (c, e) => ({...plateW(layer, c, e), name: `phasetaps${c}.${e}`, role: tap})), "→", ...small, "→",
      channelsY(layer).map((e) => ({
        ...plateY(layer, e, {name: "interleaved", title: `${say("interleaved")}${layer.co > 1 ? ` y[${e}]` : ""}`, withBias: false}), role: cell,
      })),
    ],
  };
}

function col2im(layer) {
  const [rows, columns] = [layer.cells.w, layer.cells.x];
  if (rows * columns > LARGEST.matrix) return {items: [], notes: [say("too_large", {what: "col2im", rows, columns})]};
  const items = channelsY(layer).flatMap((e) => {
    const linked = channelsX(layer).filter((c) => Math.floor(c * layer.g / layer.ci) === Math.floor(e * layer.g / layer.co));
    const value = (k, i) => linked.reduce((sum, c) => (
      sum + layer.x[c * columns + i] * layer.w[(c * (layer.co / layer.g) + e % (layer.co / layer.g)) * rows + k]), 0);
    const target = (k, i) => toOutput(layer, unflat(i, layer.shape.x).map((n, a) => layer.s[a] * n + layer.d[a] * unflat(k, layer.shape.w)[a]));
    const lands = (k, i) => kept(layer, toCanvas(layer, target(k, i)));
    const table = range(rows).map((k) => range(columns).map((i) => value(k, i)));
    const mark = layer.co > 1 ? ` [${e}]` : "";
    const hits = (pair) => (pair.e === e ? flat(pair.k, layer.shape.w) * columns + flat(pair.i, layer.shape.x) : -1);
    const pick = (n) => ({kind: "pair", c: linked[0], i: unflat(n % columns, layer.shape.x), e, k: unflat(Math.floor(n / columns), layer.shape.w)});
    const role = (n) => (lands(Math.floor(n / columns), n % columns) ? "canvas" : "cropped");
    return [
      plateMatrix(`column${e}`, say("products") + mark, table, {hue: "output", hits, pick, role}), "→",
      {
        ...plateMatrix(`target${e}`, say("goes_to") + mark, table, {hue: "output", hits, pick, role}),
        text: (n) => (lands(Math.floor(n / columns), n % columns) ? target(Math.floor(n / columns), n % columns).join(",") : "✂"),
      }, "→",
      plateY(layer, e, {name: "folded", title: `${say("folded")} y${mark}`, withBias: false}), "\n",
    ];
  });
  return {items};
}

function downwards(layer) {
  const back = forward(layer, layer.y);
  return {
    items: [channelsY(layer).map((e) => plateForward(layer, e)), "·", allW(layer, (c, e) => plateW(layer, c, e)), "=",
      channelsX(layer).map((c) => plateBack(layer, c, "back", "C y", back[c])), "≠", channelsX(layer).map((c) => plateX(layer, c))],
  };
}

function heat(layer, state) {
  const counted = layer.axes.map((axis) => coverage(axis, range(axis.n).map(() => 1)));
  const taps = layer.axes.map((axis) => phases(axis).map((each) => each.length));
  const pick = (n) => ({kind: "p", e: 0, at: toCanvas(layer, unflat(n, layer.shape.y))});
  const owns = (look) => (look.kind === "p" && kept(layer, look.at) ? flat(toOutput(layer, look.at), layer.shape.y) : -1);
  const items = [{...plateHeat("coverage", say("this_layer"), counted), pick, owns}];
  const notes = [verdict(counted, taps)];
  if (state.stack.length) {
    const layers = state.stack.map(([k, s, d, lo, hi]) => ({k, s, d, lo, hi}));
    const reached = layer.axes.map((axis) => stacked(layers, axis.n));
    if (reached.every(Boolean) && product(reached.map((counts) => counts.length)) <= LARGEST.heat) {
      const sizes = layers.reduce((all, each) => [...all, outSize({...each, n: all.at(-1)})], [layer.axes.at(-1).n]).join(" → ");
      items.push("\n", plateHeat("stacked", say("stack_of", {n: layers.length, sizes}), reached));
      const pattern = inner(layers);
      if (pattern) notes.push(`${verdict(reached, layer.axes.map(() => pattern))} ${say("field", {field: receptiveField(layers)})}`);
    } else {
      notes.push(say("too_large", {what: say("stack_of", {n: layers.length, sizes: ""}), rows: "?", columns: "?"}));
    }
  }
  return {items, notes};
}

/** How often every output of a stack is reached on one axis; null where a layer's output would be empty or huge. */
export function stacked(layers, n) {
  let counts = range(n).map(() => 1);
  for (const each of layers) {
    const axis = {...each, n: counts.length};
    if (outSize(axis) < 1 || outSize(axis) > 20000) return null;
    counts = coverage(axis, counts);
  }
  return counts;
}

/** The counts of one period of a stack, far from its borders; null where that is too long. */
function inner(layers) {
  const repeats = product(layers.map((each) => each.s));
  if (repeats > 256) return null;
  const whole = layers.map((each) => ({...each, lo: 0, hi: 0}));
  const counts = stacked(whole, 24 + Math.ceil(2 * layers.reduce((sum, each) => sum + each.d * each.k, 0)));
  if (!counts) return null;
  const from = Math.floor(counts.length / 2 / repeats) * repeats;
  return counts.slice(from, from + repeats);
}

function plateHeat(name, title, counted) {
  const shape = counted.map((counts) => counts.length);
  const value = (n) => product(unflat(n, shape).map((at, a) => counted[a][at]));
  const most = Math.max(1, product(counted.map((counts) => Math.max(...counts))));
  return {
    name, title, hue: "output", shade: "none", shape, value, text: (n) => number(value(n)), pick: () => null,
    role: (n) => (value(n) ? `heat${Math.floor(4 * value(n) / most)}` : "hole"),
  };
}

function verdict(counted, patterns) {
  const [least, most] = [Math.min, Math.max].map((of) => product(patterns.map((pattern) => of(...pattern))));
  const all = product(counted.map((counts) => counts.length));
  const holes = all - product(counted.map((counts) => counts.filter(Boolean).length));
  const words = [];
  if (holes) words.push(say("cover_holes", {count: holes, all}));
  if (least !== most) words.push(say("cover_uneven", {least, most, period: by(patterns.map(period))}));
  else if (!holes) words.push(say("cover_even", {most}));
  return words.join(" ");
}

function undone(layer, {free}) {
  const [rows, columns] = [layer.co * layer.cells.y, layer.ci * layer.cells.x];
  if (rows > MOST.rows || columns > MOST.columns) return {items: [], notes: [say("too_large", {what: "C^T", rows, columns})]};
  const up = filled(transposedMatrix(layer));
  const y = layer.y.flat();
  const back = forward(layer, layer.y);
  const found = undo(up, y);
  const planes = channelsX(layer).map((c) => found.x.slice(c * layer.cells.x, (c + 1) * layer.cells.x).map(rounded));
  const [down, inverse] = [residual(back.flat(), [...layer.x]), residual(found.x, [...layer.x])];
  const condition = number(found.condition);
  return {
    items: [
      channelsX(layer).map((c) => plateX(layer, c)), "→",
      channelsY(layer).map((e) => plateY(layer, e, {name: "up", title: layer.co > 1 ? `y[${e}] = C^T x` : "y = C^T x", withBias: false})), "→",
      channelsX(layer).map((c) => plateBack(layer, c, "transposed", "C y", back[c])),
      channelsX(layer).map((c) => plateBack(layer, c, "recovered", "pinv(C^T) y", planes[c])), ...family(up, found, free),
    ],
    notes: [
      down < 1e-9 && found.lost === 0 ? say("undo_both") : found.lost ? say("undo_no", {lost: found.lost}) : say("undo_yes"),
      say("residual_is", {what: say("back_by_transpose"), value: number(rounded(down))}),
      say("residual_is", {what: say("back_by_inverse"), value: number(rounded(inverse))}),
      say("rank_is", {rows, columns, rank: found.rank, condition}), say(found.lost ? "family_none" : rows === columns ? "family_one" : "family_all"),
    ],
    facts: {rank: found.rank, lost: found.lost, transposed: down, recovered: inverse},
  };
}

/** One of all the matrices that undo the layer, times the layer: the identity, whichever of them it is. */
function family(up, found, free) {
  const exact = inverses(up, found.pinv, free);
  const [b, brought] = [exact, multiply(exact, up)].map((table) => table.map((row) => row.map(rounded)));
  const [rows, columns] = [b.length, b[0].length];
  const role = (hue, table) => (n) => (table[Math.floor(n / table[0].length)][n % table[0].length] ? hue : "zero");
  const dots = columns > 16 || rows > 10;
  return [
    "\n", {...plateMatrix("family", "B", b, {hue: "kernel", role: role("kernel", b)}), dots}, "→",
    {...plateMatrix("undoes", "B C^T", brought, {hue: "input", role: role("input", brought)}), dots: rows > 10},
  ];
}

/** Without the noise of rounding, which would be shown as 2.0000000000000004. */
const rounded = (value) => (Math.abs(value) < 1e-9 ? 0 : Number(value.toPrecision(9)));

/** What is looked at, in one line: the sum written out, or what a cell is used for. */
export function sentence(layer, look, pairs, value) {
  const cropped = pairs.filter((pair) => !kept(layer, pair.p)).length;
  const x = (pair) => layer.x[pair.c * layer.cells.x + flat(pair.i, layer.shape.x)];
  const w = (pair) => layer.w[(pair.c * (layer.co / layer.g) + pair.e % (layer.co / layer.g)) * layer.cells.w + flat(pair.k, layer.shape.w)];
  if (look.kind === "x") {
    const name = named("x", look.at, layer.ci > 1 ? look.c : null);
    return [{text: say("says_input", {name, value: number(layer.x[look.c * layer.cells.x + flat(look.at, layer.shape.x)]), count: pairs.length, cropped})}];
  }
  if (look.kind === "w") {
    const name = named("w", look.at, layer.ci * layer.co > 1 ? `${look.c},${look.e % (layer.co / layer.g)}` : null);
    return [{text: say("says_tap", {name, value: number(w(pairs[0])), count: pairs.length, cropped})}];
  }
  if (look.kind === "pair") {
    const to = kept(layer, pairs[0].p) ? named("y", toOutput(layer, pairs[0].p), layer.co > 1 ? look.e : null) : say("cropped_cell");
    return [{text: say("says_pair", {x: number(x(pairs[0])), w: number(w(pairs[0])), value: number(x(pairs[0]) * w(pairs[0])), to})}];
  }
  return sum(layer, look, pairs, value, x, w);
}

function sum(layer, look, pairs, value, x, w) {
  const terms = pairs.flatMap((pair, n) => [
    ...(n ? [{text: " + "}] : []), {text: factor(x(pair)), hue: "input"}, {text: "*"}, {text: factor(w(pair)), hue: "kernel"},
  ]);
  const total = pairs.reduce((all, pair) => all + x(pair) * w(pair), 0);
  if (!kept(layer, look.at)) {
    const canvas_ = `${say("canvas")}${named("", look.at, layer.co > 1 ? look.e : null)}`;
    if (!pairs.length) return [{text: say("says_outside", {canvas: canvas_})}];
    return [{text: `${canvas_} = `}, ...terms, {text: ` = ${number(total)}`, hue: "cropped"}, {text: say("says_cropped")}];
  }
  const name = named("y", toOutput(layer, look.at), layer.co > 1 ? look.e : null);
  const shown = number(value);
  if (!pairs.length) return [{text: say("says_hole", {name, value: shown})}];
  const bias = layer.b ? [{text: ` + ${factor(layer.b[look.e])}`}] : [];
  return [{text: `${name} = `}, ...terms, ...bias, {text: " = "}, {text: shown, hue: "output"}];
}

/** What follows from the sizes, one sentence each. */
export function facts(layer, field) {
  const sizes = layer.axes.map((axis, a) => `${axis.s}*(${axis.n}-1) + ${axis.d}*(${axis.k}-1) + 1 - ${factor(layer.lo[a])} - ${factor(layer.hi[a])} + ${layer.op[a]} = ${layer.shape.y[a]}`);
  const alike = layer.axes.every((axis, a) => JSON.stringify([axis, layer.op[a]]) === JSON.stringify([layer.axes[0], layer.op[0]]));
  const perAxis = (alike ? [0] : range(layer.ndim)).flatMap((a) => choices(layer, a, alike ? "" : `${say(`axis${a}of${layer.ndim}`)}${say("colon")}`));
  const macs = product(layer.axes.map((axis) => coverage(axis, range(axis.n).map(() => 1)).reduce((a, b) => a + b, 0))) * layer.ci * layer.co / layer.g;
  const wasted = product(layer.shape.y) * layer.cells.w * layer.ci * layer.co / layer.g;
  return {
    formula: [...new Set(sizes)],
    lines: [
      ...perAxis, say("field", {field: by(field.map((cells, a) => Math.min(cells, layer.shape.x[a])))}), say("macs", {macs, wasted}),
    ],
  };
}

/** What output_padding chooses from on one axis: the sizes that a convolution maps to one. */
function choices(layer, a, label) {
  const axis = layer.axes[a];
  const [smallest, most] = [outSize(axis) - layer.op[a], Math.max(axis.s, axis.d) - 1];
  return [
    label + say(axis.s > 1 ? "forward_from" : "forward_one", {from: Math.max(1, smallest), to: smallest + axis.s - 1, n: axis.n}),
    ...(most > 0 ? [label + say("reachable", {most, from: smallest, to: smallest + most})] : []),
  ];
}
