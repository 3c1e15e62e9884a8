// The ten steps of the lesson, each as what it draws, says and asks. All of them show one table: a row is the stamp of an
// input, a column what one output gathers. Every number is computed from the relation, for the reader's own numbers.

import {node} from "./controls.js";
import {forward, makeLayer, steps} from "./layer.js";
import {filled, transposedMatrix, undo} from "./linear.js";
import {coverage, extent, modulo, phases, range, sources} from "./relation.js";
import {pixels, strips} from "./strips.js";
import {factor, named, number, say} from "./words.js";

/** As many numbers as are wanted, from the reader's. */
const sized = (values, count) => range(count).map((n) => values[n % values.length]);

/** The layer of a step on one axis. */
export function layerOf(lab, own) {
  return makeLayer({
    n: [own.n], k: [own.k], s: [own.s], lo: [own.p], hi: [own.p], op: [own.op], d: [1], ci: 1, co: 1, g: 1,
    x: own.ones ? range(own.n).map(() => 1) : sized(lab.x, own.n), w: own.ones ? range(own.k).map(() => 1) : sized(lab.w, own.k), b: null,
  });
}

const axisOf = (layer) => layer.axes[0];
const fullOf = (layer) => layer.shape.full[0];
const sumAt = (layer, p) => (p >= 0 && p < fullOf(layer) ? layer.full[0][p] : 0);
const xName = (layer, i) => `${named("x", [i])} = ${number(layer.x[i])}`;
const term = (layer, [i, k]) => `${factor(layer.x[i])}·${factor(layer.w[k])}`;
const listed = (values) => values.map(number).join(", ");

/** y[o] as a sum of products. */
function written(layer, o) {
  const met = sources(axisOf(layer), o + axisOf(layer).lo);
  return met.length ? met.map((pair) => term(layer, pair)).join(" + ") : "0";
}

/** One row per input: what it stamps where. `own.pick` is a place to light, `own.row` an input. */
function stampRows(layer, own, hidden = null) {
  return range(layer.shape.x[0]).map((i) => ({
    label: xName(layer, i), hue: "input", lit: own.row === i,
    cell: (p) => {
      const k = p - layer.s[0] * i;
      if (k < 0 || k >= layer.k[0]) return null;
      return {text: number(layer.x[i] * layer.w[k]), role: "kernel", lit: own.row === i || own.pick === p, hidden: hidden === i};
    },
  }));
}

/** The canvas: all stamps added up; what lies in the frame is y. */
function sumRow(layer, own, hidden = null, label = "l_sum") {
  const {lo} = axisOf(layer);
  return {
    label: say(label), hue: "output",
    cell: (p) => ({
      text: number(sumAt(layer, p)), lit: own.pick === p, hidden: hidden === p,
      role: p < lo || p >= lo + layer.shape.y[0] ? "cropped" : p < fullOf(layer) && p >= 0 ? "output" : "hole",
    }),
  };
}

/** What padding crops, what is left, and what output_padding gives back, in words under their places. */
function frameRow(layer, own) {
  const [from, to, full] = [axisOf(layer).lo, axisOf(layer).lo + layer.shape.y[0], fullOf(layer)];
  return {label: say("l_frame"), spans: [
    {from: 0, to: from, text: say("l_cut", {p: own.p}), role: "cropped"},
    {from, to: to - own.op, text: say("l_output_cells", {n: layer.shape.y[0] - own.op}), role: "output"},
    {from: to - own.op, to, text: `+${own.op}`, role: "output"},
    {from: to, to: full, text: say("l_cut", {p: full - to}), role: "cropped"},
  ]};
}

const spanOf = (layer) => Math.max(fullOf(layer), axisOf(layer).lo + layer.shape.y[0]);

/** A step's layer as the explorer takes it. */
export function stateOf(layer, view) {
  const {n, k, s, lo, hi, op, d, ci, co, g, x, w} = layer;
  return {n, k, s, lo, hi, op, d, ci, co, g, x, w, b: null, stack: [], view};
}

const line = (own) => ({n: 3, k: 3, s: 2, p: 0, op: 0, ...own});

const stampStep = {
  key: "stamp", view: "stamp", own: line({s: 3, row: 0}),
  draw: (layer, own, {solved, set}) => strips({
    label: say("l_stamp_q"), columns: fullOf(layer), heads: (p) => p, rows: stampRows(layer, own, solved ? null : 1),
    pick: (p, row) => set({row}),
  }),
  says: (layer, own, {solved}) => {
    const i = own.row === 1 && !solved ? 0 : own.row;
    return say("l_stamp_says", {name: named("x", [i]), terms: layer.w.map((_, k) => term(layer, [i, k])).join(", "), stamp: listed(layer.w.map((w) => layer.x[i] * w))});
  },
  task: (now) => ({
    kind: "numbers", ask: () => say("l_stamp_ask", {x: number(now().layer.x[1])}), want: () => now().layer.w.map((w) => now().layer.x[1] * w),
    right: () => say("l_stamp_right"), wrong: () => say("l_stamp_wrong", {x: number(now().layer.x[1]), w: listed(now().layer.w)}),
  }),
};

const overlapStep = {
  key: "overlap", view: "stamp", own: line({pick: null}), controls: [["s", 1, 4]],
  draw: (layer, own, {solved}) => strips({
    label: say("l_overlap_q"), columns: fullOf(layer), heads: (p) => p,
    rows: [...stampRows(layer, {pick: layer.s[0]}), sumRow(layer, {pick: layer.s[0]}, solved ? null : layer.s[0])],
  }),
  says: (layer, own) => say(own.s < own.k ? "l_overlap_says" : "l_overlap_apart", {s: own.s, shared: own.k - own.s, n: own.n, k: own.k, full: fullOf(layer)}),
  task: (now) => ({
    kind: "numbers", ask: () => say("l_overlap_ask"), want: () => [sumAt(now().layer, now().own.s)],
    right: () => say("l_overlap_right", {sum: `${sources(axisOf(now().layer), now().own.s).map((pair) => term(now().layer, pair)).join(" + ")} = ${number(sumAt(now().layer, now().own.s))}`}),
    wrong: () => say("l_overlap_wrong", {values: sources(axisOf(now().layer), now().own.s).map(([i, k]) => number(now().layer.x[i] * now().layer.w[k])).join(say("and"))}),
  }),
};

const paddingStep = {
  key: "padding", view: "stamp", own: line({}), after: {p: 1}, controls: [["p", 0, 2]],
  draw: (layer, own) => strips({label: say("l_padding_q"), columns: spanOf(layer), heads: (p) => p, rows: [...stampRows(layer, {}), sumRow(layer, {}), frameRow(layer, own)]}),
  says: (layer, own) => say("l_padding_says", {p: own.p, full: fullOf(layer), out: layer.shape.y[0]}),
  task: (now) => {
    const sizes = () => [2, 0, -1, -2].map((more) => fullOf(now().layer) + more);
    return {
      kind: "choice", ask: () => say("l_padding_ask", {full: fullOf(now().layer)}), options: () => sizes().map(String), want: () => [3],
      right: () => say("l_padding_right", {full: fullOf(now().layer), out: sizes()[3]}),
      wrong: (n) => say(["l_padding_more", "l_padding_same", "l_padding_one"][n]),
    };
  },
};

/** How many cells a convolution with the step's kernel, stride and padding makes of m. */
const shrunkTo = (own, m) => Math.floor((m + 2 * own.p - own.k) / own.s) + 1;
/** All sizes that it maps to the n cells of x. */
const leadTo = (own) => range(40).filter((m) => m > 0 && shrunkTo(own, m) === own.n);

/** The convolution going down, from each of the sizes that it maps to n: other cells, the same windows. */
function readings(own) {
  const rows = leadTo(own).map((m, extra) => ({
    label: say("l_reads", {m, n: own.n}), hue: "output", lit: extra === own.op,
    cell: (p) => {
      if (p >= m + 2 * own.p) return null;
      const real = p >= own.p && p < own.p + m;
      return {text: real ? "" : "0", role: real ? "output" : "zero", lit: real && extra === own.op};
    },
  }));
  return [...rows, ...range(own.n).map((i) => ({label: `→ ${named("x", [i])}`, hue: "input", spans: [{from: own.s * i, to: own.s * i + own.k, text: say("l_window"), role: "input"}]}))];
}

const extraStep = {
  key: "op", view: "stamp", own: line({p: 1, pick: null}), after: {op: 1}, controls: [["op", 0, 1]],
  draw: (layer, own, {solved}) => {
    const last = own.p + leadTo(own)[0]; // the place that output_padding gives back
    const columns = last + 2 * own.p;
    const sum = sumRow(layer, {pick: own.op ? last : null}, solved ? null : last);
    const sizes = {first: leadTo(own)[0], last: leadTo(own).at(-1), n: own.n};
    return [
      strips({label: say("l_op_q"), title: say("l_op_down", sizes), columns, rows: readings(own)}),
      strips({label: say("l_op_q"), title: say("l_op_up", sizes), columns, heads: (p) => (p < spanOf(layer) ? p : ""), rows: [
        ...stampRows(layer, {}), {...sum, cell: (p) => (p < spanOf(layer) ? sum.cell(p) : null)}, frameRow(layer, own),
      ]}),
    ];
  },
  says: (layer, own) => {
    const sizes = leadTo(own);
    return say(own.op ? "l_op_says_1" : "l_op_says_0", {n: own.n, out: layer.shape.y[0], s: own.s, first: sizes[0], last: sizes.at(-1), beyond: sizes.at(-1) + 1, more: shrunkTo(own, sizes.at(-1) + 1)});
  },
  task: (now) => {
    const want = () => now().layer.x.at(-1) * now().layer.w.at(-1);
    return {
      kind: "numbers", ask: () => say("l_op_ask"), want: () => [want()],
      right: () => say("l_op_right", {term: term(now().layer, [now().own.n - 1, now().own.k - 1]), value: number(want())}),
      wrong: ([value]) => say(value === 0 ? "l_op_zero" : "l_op_wrong", {name: named("x", [now().own.n - 1]), x: number(now().layer.x.at(-1)), w: number(now().layer.w.at(-1))}),
    };
  },
};

const gatherStep = {
  key: "gather", view: "gather", own: line({p: 1, op: 1, o: 3}), controls: [["o", 0, 5]],
  draw: (layer, own, {set}) => {
    const place = own.o + axisOf(layer).lo;
    return strips({
      label: say("l_gather_q"), columns: spanOf(layer), heads: (p) => (p >= own.p && p < own.p + layer.shape.y[0] ? `y[${p - own.p}]` : ""),
      rows: [...stampRows(layer, {pick: place}), sumRow(layer, {pick: place})],
      pick: (p) => { if (p >= own.p && p < own.p + layer.shape.y[0]) set({o: p - own.p}); },
    });
  },
  says: (layer, own) => say("l_gather_says", {o: own.o, p: own.o + own.p, s: own.s, terms: written(layer, own.o), value: number(layer.y[0][own.o])}),
  task: (now) => {
    const needs = () => range(now().own.n).map((i) => sources(axisOf(now().layer), 3 + now().own.p).some(([from]) => from === i));
    return {
      kind: "set", ask: () => say("l_gather_ask", {o: 3}), options: () => range(now().own.n).map((i) => named("x", [i])), want: needs,
      right: () => say("l_gather_right", {o: 3, terms: written(now().layer, 3), rule: needs().map((need, i) => (need ? null : `${3 + now().own.p} − ${now().own.s}·${i} = ${3 + now().own.p - now().own.s * i}`)).filter(Boolean).join(say("and")), last: now().own.k - 1}),
      wrong: () => say("l_gather_wrong", {o: 3}),
    };
  },
};

const slideStep = {
  key: "steps", view: "steps", own: line({p: 1, op: 1, o: 1}), controls: [["o", 0, 5]],
  draw: (layer, own, {solved}) => {
    const made = steps(layer);
    const source = (p) => { const i = (p - made.low[0]) / own.s; return Number.isInteger(i) && i >= 0 && i < own.n ? i : null; };
    const at = (p) => p - own.o;
    return strips({
      label: say("l_steps_q"), columns: made.padded[0],
      rows: [
        {label: say("l_padded"), hue: "input", cell: (p) => ({text: source(p) === null ? "0" : number(layer.x[source(p)]), role: source(p) === null ? "zero" : "input", lit: source(p) !== null && at(p) >= 0 && at(p) < own.k})},
        {label: say("l_flipped"), hue: "kernel", cell: (p) => (at(p) >= 0 && at(p) < own.k ? {text: number(layer.w[own.k - 1 - at(p)]), role: "kernel", hidden: !solved, lit: true} : null)},
        {label: say("l_products"), hue: "kernel", cell: (p) => (at(p) >= 0 && at(p) < own.k ? {text: number((source(p) === null ? 0 : layer.x[source(p)]) * layer.w[own.k - 1 - at(p)]), role: source(p) === null ? "zero" : "kernel", hidden: !solved} : null)},
        {label: "y", hue: "output", cell: (p) => (p < layer.shape.y[0] ? {text: number(layer.y[0][p]), role: "output", lit: p === own.o} : null)},
      ],
    });
  },
  says: (layer, own) => {
    const met = sources(axisOf(layer), own.o + own.p).length;
    return say("l_steps_says", {o: own.o, terms: written(layer, own.o), value: number(layer.y[0][own.o]), zeros: own.k - met, k: own.k, between: own.s - 1});
  },
  task: (now) => {
    const forwards = () => listed(now().layer.w);
    const backwards = () => listed([...now().layer.w].reverse());
    const example = () => sources(axisOf(now().layer), 1 + now().own.p);
    return {
      kind: "choice", ask: () => say("l_steps_ask"), options: () => [forwards(), backwards()], want: () => (forwards() === backwards() ? [0, 1] : [1]),
      right: () => say("l_steps_right", {o: 1, terms: example().map(([i, k]) => `x[${i}]·w[${k}]`).join(say("and"))}),
      wrong: () => say("l_steps_wrong", {o: 1, terms: example().map(([i, k]) => `x[${i}]·w[${k}]`).join(say("and"))}),
    };
  },
};

const matrixStep = {
  key: "matrix", view: "matrix", own: line({p: 1, pick: 2, row: 3}),
  draw: (layer, own, {solved, set}) => {
    const rows = transposedMatrix(layer);
    return strips({
      label: say("l_matrix_q"), columns: own.n + 1, heads: (i) => (i < own.n ? named("x", [i]) : "y"),
      rows: rows.map((row, o) => ({
        label: `y[${o}]`, hue: "output",
        cell: (i) => (i === own.n ? {text: number(layer.y[0][o]), role: "output", lit: o === own.row}
          : row[i] === null && !(o === 1 && !solved) ? {text: "", role: "zero", lit: o === own.row || i === own.pick}
            : {text: number(row[i] ?? 0), role: "kernel", lit: o === own.row || i === own.pick, hidden: o === 1 && !solved}),
      })),
      pick: (i, o) => { if (i < own.n) set({pick: i, row: o}); },
    });
  },
  says: (layer, own, {solved}) => {
    const rows = transposedMatrix(layer);
    const column = rows.map((row) => row[own.pick]).filter((value) => value !== null);
    return say("l_matrix_says", {i: own.pick, column: listed(column), rows: rows.length, columns: own.n, o: own.row, terms: own.row === 1 && !solved ? "?" : written(layer, own.row), cropped: own.k - column.length});
  },
  task: (now) => ({
    kind: "numbers", ask: () => say("l_matrix_ask", {o: 1}), want: () => filled(transposedMatrix(now().layer))[1],
    right: () => say("l_matrix_right"), wrong: () => say("l_matrix_wrong", {o: 1, p: 1 + now().own.p, taps: range(now().own.n).map((i) => `x[${i}]: ${1 + now().own.p} − ${now().own.s}·${i} = ${1 + now().own.p - now().own.s * i}`).join("; "), last: now().own.k - 1}),
  }),
};

const inverseStep = {
  key: "inverse", view: "undo", own: line({p: 1}),
  draw: (layer, own, {solved}) => {
    const back = forward(layer, layer.y)[0];
    const found = undo(filled(transposedMatrix(layer)), layer.y[0]).x.map((value) => (Math.abs(value) < 1e-9 ? 0 : Number(value.toPrecision(6))));
    const columns = layer.shape.y[0];
    const row = (label, hue, values, hidden = false) => ({label, hue, cell: (p) => (p < values.length ? {text: number(values[p]), role: hue, hidden} : null)});
    return strips({label: say("l_inverse_q"), columns, rows: [
      row("x", "input", layer.x), row("C^T x", "output", layer.y[0]), row("C y", "input", back, !solved), solved ? row("pinv · y", "input", found) : null,
    ]});
  },
  says: (layer, own, {solved}) => {
    const found = undo(filled(transposedMatrix(layer)), layer.y[0]);
    return solved ? say(found.lost ? "l_inverse_lost" : "l_inverse_says", {rank: found.rank, n: own.n}) : say("l_inverse_before");
  },
  task: (now) => {
    const back = () => forward(now().layer, now().layer.y)[0];
    const same = () => back().every((value, i) => Math.abs(value - now().layer.x[i]) < 1e-9);
    return {
      kind: "choice", ask: () => say("l_inverse_ask"), options: () => [say("l_inverse_0"), say("l_inverse_1"), say("l_inverse_2")], want: () => (same() ? [0] : [1]),
      right: () => say(same() ? "l_inverse_same" : "l_inverse_right", {back: listed(back()), x: listed(now().layer.x)}),
      wrong: (n) => say(n === 2 ? "l_inverse_size" : "l_inverse_wrong", {first: transposedMatrix(now().layer).map((row, o) => (row[0] ? `${factor(row[0])}·${factor(now().layer.y[0][o])}` : null)).filter(Boolean).join(" + ") || "0", value: number(back()[0]), x: number(now().layer.x[0]), n: now().own.n}),
    };
  },
};

const checkerStep = {
  key: "checkers", view: "coverage", own: line({n: 6, ones: true}), controls: [["k", 2, 6], ["s", 2, 3]],
  draw: (layer) => {
    const counts = coverage(axisOf(layer), range(layer.shape.x[0]).map(() => 1));
    const most = Math.max(...counts);
    const square = counts.flatMap((row) => counts.map((column) => row * column));
    return [
      strips({label: say("l_checkers_q"), columns: Math.min(counts.length, 14), heads: (o) => o, rows: [
        {label: say("l_products_count"), hue: "output", cell: (o) => ({text: String(counts[o]), role: `heat${Math.floor(4 * counts[o] / most)}`})},
        {label: say("l_phase"), cell: (o) => ({text: String(modulo(o + axisOf(layer).lo, layer.s[0])), role: `phase${modulo(o, layer.s[0])}`})},
      ]}),
      node("div", {className: "beside"}, pixels(square, counts.length, say("l_checkers_image"), {size: 176, tint: [[242, 247, 244], [31, 122, 74]]}), node("p", {className: "small"}, say("l_checkers_image"))),
    ];
  },
  says: (layer) => say("l_checkers_says", {k: layer.k[0], s: layer.s[0], taps: phases(axisOf(layer)).map((taps) => taps.length).join(", ")}),
  task: (now) => ({
    kind: "reach", ask: () => say("l_checkers_ask", {s: now().own.s}),
    goals: () => [[say("l_checkers_goal"), even(now().layer)]],
    right: () => say("l_checkers_right", {k: now().own.k, s: now().own.s, taps: now().own.k / now().own.s}),
    wrong: () => say("l_checkers_wrong", {taps: phases(axisOf(now().layer)).map((taps) => taps.length).join(", ")}),
  }),
};

const even = (layer) => new Set(phases(axisOf(layer)).map((taps) => taps.length)).size === 1;

const fitStep = {
  key: "fit", view: "phases", own: line({n: 6, k: 3, ones: true}), controls: [["k", 2, 7], ["p", 0, 3], ["op", 0, 1]],
  draw: (layer, own) => strips({label: say("l_fit_q"), columns: Math.min(spanOf(layer), 18), rows: [sumRowCounts(layer), frameRow(layer, own)]}),
  says: (layer, own) => say("l_fit_says", {...own, out: layer.shape.y[0]}),
  task: (now) => ({
    kind: "reach", ask: () => say("l_fit_ask"),
    goals: () => [
      [say("l_fit_size", {out: now().layer.shape.y[0]}), now().layer.shape.y[0] === 12], [say("l_fit_even"), even(now().layer)],
      [say("l_fit_inside"), now().own.op <= now().own.p && now().own.p < extent(axisOf(now().layer))],
    ],
    right: () => say("l_fit_right", {...now().own, half: (now().own.k - now().own.s) / 2}), wrong: () => say("l_fit_wrong"),
  }),
  again: (now) => ({
    kind: "choice", ask: () => say("l_quiz_ask"), options: () => [say("l_quiz_0"), say("l_quiz_1"), say("l_quiz_2")], want: () => [1],
    right: () => say("l_quiz_right"), wrong: (n) => say(n ? "l_quiz_wrong_2" : "l_quiz_wrong_0", {value: number(now().lab.x.at(-1) * now().lab.w.at(-1))}),
  }),
};

function sumRowCounts(layer) {
  const whole = coverage({...axisOf(layer), lo: 0, hi: 0}, range(layer.shape.x[0]).map(() => 1));
  const {lo} = axisOf(layer);
  return {
    label: say("l_products_count"), hue: "output",
    cell: (p) => ({text: String(whole[p] ?? 0), role: p < lo || p >= lo + layer.shape.y[0] ? "cropped" : p < whole.length ? "output" : "hole"}),
  };
}

export const LESSON = [stampStep, overlapStep, paddingStep, extraStep, gatherStep, slideStep, matrixStep, inverseStep, checkerStep, fitStep];
