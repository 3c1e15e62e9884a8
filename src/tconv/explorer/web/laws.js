// What a layer may be: the limits that the geometry itself sets, the law that a combination breaks, and what repairs it.

import {extent, fullSize, outSize, product, range} from "./relation.js";

export const DRAWN = {n: 32, k: 9, s: 8, d: 8, pad: 32, channels: 4, cells: 20000, products: 400000};

export const axesOf = (p) => p.n.map((n, a) => ({n, k: p.k[a], s: p.s[a], d: p.d[a], lo: p.lo[a], hi: p.hi[a] - p.op[a]}));

/** The values of one control that keep all laws, the others being as they are: [least, most]. */
export function limits(p, name, a) {
  const axis = axesOf(p)[a];
  const most = p.n.length === 3 ? {...DRAWN, n: 6, k: 5, s: 4, d: 4} : DRAWN;
  const room = outSize(axis) - 1; // cells that may still be cropped
  if (name === "n") return [Math.max(1, Math.ceil((axis.lo + axis.hi + 1 - extent(axis)) / axis.s) + 1), most.n];
  if (name === "k") return [Math.max(1, Math.ceil((axis.lo + axis.hi - axis.s * (axis.n - 1)) / axis.d) + 1), most.k];
  if (name === "lo" || name === "hi") return [-DRAWN.pad, Math.min(DRAWN.pad, p[name][a] + room)];
  if (name === "op") return [Math.max(0, p.op[a] - room), Math.max(axis.s, axis.d) - 1];
  return [1, most[name]];
}

/**
 * What is wrong, one entry per broken law: {law, axes, values, repairs: [{name, value, set}]}; none if all is well. Axes
 * that break a law in the same way are one entry, which a repair mends together.
 */
export function broken(p) {
  const problems = together(axesOf(p).flatMap((axis, a) => [
    ...outputPadding(p, axis, a), ...(outSize(axis) < 1 ? [emptyOutput(p, axis, a)] : []),
  ]));
  if (p.ci % p.g || p.co % p.g) {
    const fits = range(p.g).map((n) => n + 1).filter((g) => p.ci % g === 0 && p.co % g === 0).at(-1);
    problems.push({law: "groups", values: {g: p.g, ci: p.ci, co: p.co}, repairs: [
      {name: "g", value: fits, set: {g: fits}}, {name: "channels", value: p.g, set: {ci: p.g, co: p.g}},
    ]});
  }
  if (!problems.length) problems.push(...tooLarge(p));
  return problems;
}

function together(problems) {
  const found = [];
  for (const {axis, ...problem} of problems) {
    const same = found.find((each) => each.law === problem.law && JSON.stringify(each.values) === JSON.stringify(problem.values));
    if (!same) {
      found.push({...problem, axes: [axis]});
      continue;
    }
    same.axes.push(axis);
    same.repairs.forEach(({set}, n) => Object.entries(problem.repairs[n].set).forEach(([name, list]) => { set[name][axis] = list[axis]; }));
  }
  return found;
}

function outputPadding(p, axis, a) {
  const most = Math.max(axis.s, axis.d) - 1;
  if (p.op[a] <= most) return [];
  const repairs = [{name: "op", value: most, set: withEntry(p, "op", a, most)}];
  if (p.op[a] < DRAWN.s) repairs.push({name: "s", value: p.op[a] + 1, set: withEntry(p, "s", a, p.op[a] + 1)});
  return [{law: "output_padding", axis: a, values: {op: p.op[a], s: axis.s, d: axis.d}, repairs}];
}

function emptyOutput(p, axis, a) {
  const repairs = [];
  const pads = p.lo[a] === p.hi[a] ? Math.floor((fullSize(axis) + p.op[a] - 1) / 2) : null;
  if (pads !== null && pads >= 0) {
    repairs.push({name: "padding", value: pads, set: {...withEntry(p, "lo", a, pads), ...withEntry(p, "hi", a, pads)}});
  } else {
    repairs.push({name: "padding", value: 0, set: {...withEntry(p, "lo", a, 0), ...withEntry(p, "hi", a, 0)}});
  }
  for (const name of ["n", "k"]) {
    const [least] = limits(p, name, a);
    if (least <= DRAWN[name]) repairs.push({name, value: least, set: withEntry(p, name, a, least)});
  }
  return {law: "empty", axis: a, values: {...axis, hi: p.hi[a], op: p.op[a], out: outSize(axis)}, repairs};
}

function tooLarge(p) {
  const axes = axesOf(p);
  const cells = product(axes.map((axis) => Math.max(fullSize(axis), outSize(axis))));
  const products = product(p.n) * product(p.k) * p.ci * p.co / p.g;
  if (cells <= DRAWN.cells && products <= DRAWN.products) return [];
  const half = (name) => p[name].map((v) => Math.max(1, Math.floor(v / 2)));
  return [{law: "large", values: {cells, products}, repairs: [
    {name: "n", value: half("n").join("x"), set: {n: half("n")}}, {name: "s", value: 1, set: {s: p.s.map(() => 1), op: p.op.map((op, a) => Math.min(op, p.d[a] - 1))}},
  ]}];
}

/** The list under `name` with one entry changed. */
function withEntry(p, name, a, value) {
  return {[name]: p[name].map((v, n) => (n === a ? value : v))};
}
