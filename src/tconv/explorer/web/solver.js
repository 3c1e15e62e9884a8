// Every layer between two sizes on one axis, best first, in the order of `tconv.solve`.

import {extent, phases, range} from "./relation.js";

export const BOUNDS = {kernel: [1, 7], stride: [1, 4], padding: [0, 3], output_padding: [0, 3]};

const between = ([low, high]) => range(high - low + 1).map((n) => n + low);

/** Layers {k, s, p, op, out, uneven, waste, macs}; `kernel` fixes the kernel, null leaves it open. */
function candidates(size, kernel) {
  const found = [];
  for (const k of kernel ? [kernel] : between(BOUNDS.kernel)) {
    for (const s of between(BOUNDS.stride)) {
      for (const p of between(BOUNDS.padding)) {
        for (const op of range(Math.min(s, BOUNDS.output_padding[1] + 1))) {
          const axis = {n: size, k, s, d: 1};
          const taps = phases(axis).map((each) => each.length);
          found.push({
            k, s, p, op, out: s * (size - 1) + k - 2 * p + op, macs: k * size,
            uneven: taps.some((count) => count !== taps[0]), waste: p >= extent(axis) || op > p,
          });
        }
      }
    }
  }
  // A single input cell meets no stride; it only raises the limit of output_padding.
  return found.filter((each) => size > 1 || each.s === Math.max(1, each.op + 1));
}

export function solve(size, out, kernel = null) {
  const cost = (each) => [each.uneven, each.waste, each.macs, each.k, each.s, each.p, each.op].map(Number);
  return candidates(size, kernel).filter((each) => each.out === out).sort((a, b) => {
    const [u, v] = [cost(a), cost(b)];
    return u.map((value, n) => value - v[n]).find((difference) => difference !== 0) ?? 0;
  });
}

/** The sizes below and above that can be reached, with a layer for each, where `out` cannot. */
export function nearest(size, out, kernel = null) {
  const all = candidates(size, kernel).filter((each) => each.out >= 1);
  const best = (some) => some.reduce((a, b) => (a && Math.abs(a.out - out) <= Math.abs(b.out - out) ? a : b), null);
  return [best(all.filter((each) => each.out < out)), best(all.filter((each) => each.out > out))];
}
