// The layer as a matrix: C^T, its products with C, and the pseudo-inverse that undoes what can be undone.

import {combinations, flat, inside, range} from "./relation.js";
import {connects, toOutput, valueW} from "./layer.js";

export const MOST = {columns: 100, rows: 500}; // what is decomposed while somebody waits

/** C^T, (co*cells of y) rows by (ci*cells of x) columns, as rows of numbers; null where no tap is. */
export function transposedMatrix(layer) {
  const rows = range(layer.co * layer.cells.y).map(() => new Array(layer.ci * layer.cells.x).fill(null));
  const taps = combinations(layer.shape.w.map(range));
  combinations(layer.shape.x.map(range)).forEach((i, column) => {
    for (const k of taps) {
      const o = toOutput(layer, i.map((n, a) => layer.s[a] * n + layer.d[a] * k[a]));
      if (!inside(o, layer.shape.y)) continue;
      for (const c of range(layer.ci)) {
        for (const e of range(layer.co)) {
          if (!connects(layer, c, e)) continue;
          rows[e * layer.cells.y + flat(o, layer.shape.y)][c * layer.cells.x + column] = valueW(layer, c, e, k);
        }
      }
    }
  });
  return rows;
}

export const filled = (matrix) => matrix.map((row) => row.map((value) => value ?? 0));
export const transpose = (matrix) => range(matrix[0].length).map((c) => matrix.map((row) => row[c]));
export const times = (matrix, vector) => matrix.map((row) => row.reduce((sum, v, j) => sum + v * vector[j], 0));

/** A times B, where most entries are zero. */
export function multiply(a, b) {
  return a.map((row) => {
    const sum = new Array(b[0].length).fill(0);
    row.forEach((v, j) => { if (v) b[j].forEach((u, c) => { sum[c] += v * u; }); });
    return sum;
  });
}

/** The singular values of A with more rows than columns, and A's columns turned to be orthogonal (one-sided Jacobi). */
function decomposed(a) {
  const columns = transpose(a).map((column) => Float64Array.from(column));
  const turns = range(columns.length).map((j) => Float64Array.from(range(columns.length), (n) => (n === j ? 1 : 0)));
  const dot = (u, v) => u.reduce((sum, value, n) => sum + value * v[n], 0);
  for (let sweep = 0, moved = true; moved && sweep < 60; sweep++) {
    moved = false;
    for (let p = 0; p < columns.length; p++) {
      for (let q = p + 1; q < columns.length; q++) {
        const [pp, qq, pq] = [dot(columns[p], columns[p]), dot(columns[q], columns[q]), dot(columns[p], columns[q])];
        if (Math.abs(pq) <= 1e-15 * Math.sqrt(pp * qq) || pq === 0) continue;
        moved = true;
        const zeta = (qq - pp) / (2 * pq);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const cosine = 1 / Math.sqrt(1 + t * t);
        for (const pair of [[columns[p], columns[q]], [turns[p], turns[q]]]) rotate(...pair, cosine, cosine * t);
      }
    }
  }
  return {columns, turns, values: columns.map((column) => Math.sqrt(dot(column, column)))};
}

function rotate(u, v, cosine, sine) {
  for (let n = 0; n < u.length; n++) {
    const kept = u[n];
    u[n] = cosine * kept - sine * v[n];
    v[n] = sine * kept + cosine * v[n];
  }
}

/** The rank of A, its null space's dimension, its condition number, pinv(A) itself, and pinv(A) y. */
export function undo(a, y) {
  const wide = a.length < a[0].length;
  const {columns, turns, values} = decomposed(wide ? transpose(a) : a);
  const largest = Math.max(...values);
  const threshold = Math.max(a.length, a[0].length) * Number.EPSILON * largest;
  const used = range(values.length).filter((j) => values[j] > threshold);
  const pinv = a[0].map(() => new Array(a.length).fill(0));
  for (const j of used) {
    // A = sum of s u v': pinv(A) y = sum of v (u'y) / s; for a wide A the roles of u and v are exchanged.
    const [left, right] = wide ? [turns[j], columns[j].map((v) => v / values[j])] : [columns[j].map((v) => v / values[j]), turns[j]];
    right.forEach((v, n) => left.forEach((u, m) => { pinv[n][m] += v * u / values[j]; }));
  }
  const smallest = Math.min(...values);
  const full = used.length === values.length;
  return {x: times(pinv, y), pinv, rank: used.length, lost: a[0].length - used.length, condition: full ? largest / smallest : Infinity};
}

/** All B with B A = 1, where there are any: pinv(A) + W (1 - A pinv(A)) for W with all entries `free`. */
export function inverses(a, pinv, free) {
  const total = transpose(a).map((column) => column.reduce((sum, value) => sum + value, 0));
  const sums = range(a.length).map((m) => 1 - total.reduce((sum, value, j) => sum + value * pinv[j][m], 0)); // the columns of 1 - A pinv(A)
  return pinv.map((row) => row.map((value, m) => value + free * sums[m]));
}

/** ||u - v|| / ||v||. */
export function residual(u, v) {
  const norm = (of) => Math.sqrt(of.reduce((sum, value) => sum + value * value, 0));
  const away = norm(u.map((value, n) => value - v[n]));
  return away === 0 ? 0 : away / norm(v);
}
