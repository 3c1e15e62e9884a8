// The relation that every number on the page comes from, on one axis:
//
//   input i and tap k meet at canvas position  p = s*i + d*k,  which is output  o = p - lo,  kept when 0 <= o < out
//
// An axis is {n, k, s, d, lo, hi}: input size, taps, stride, dilation, and the cells cropped at both ends.

export const range = (n) => Array.from({length: Math.max(n, 0)}, (_, j) => j);
export const product = (numbers) => numbers.reduce((all, n) => all * n, 1);
export const extent = (axis) => axis.d * (axis.k - 1) + 1;
export const fullSize = (axis) => axis.s * (axis.n - 1) + extent(axis);
export const outSize = (axis) => fullSize(axis) - axis.lo - axis.hi;
export const gcd = (a, b) => (b ? gcd(b, a % b) : a);
export const modulo = (a, n) => ((a % n) + n) % n;

/** All [i, k] that meet at canvas position p, in the order of i. */
export function sources(axis, p) {
  const met = [];
  for (let k = axis.k - 1; k >= 0; k--) {
    const rest = p - axis.d * k;
    if (modulo(rest, axis.s) === 0 && rest >= 0 && rest / axis.s < axis.n) met.push([rest / axis.s, k]);
  }
  return met;
}

/** How many pairs reach each output, given how often each input counts (1, or its own coverage in a stack). */
export function coverage(axis, counts) {
  const reached = new Array(outSize(axis)).fill(0);
  counts.forEach((count, i) => range(axis.k).forEach((k) => {
    const o = axis.s * i + axis.d * k - axis.lo;
    if (o >= 0 && o < reached.length) reached[o] += count;
  }));
  return reached;
}

/** Taps of each phase: those k with d*k = residue (mod s). */
export function phases(axis) {
  return range(axis.s).map((residue) => range(axis.k).filter((k) => modulo(axis.d * k, axis.s) === residue));
}

/** Every combination of one entry per list, the last running fastest. */
export function combinations(lists) {
  return lists.reduce((found, list) => found.flatMap((head) => list.map((entry) => [...head, entry])), [[]]);
}

export const flat = (index, shape) => index.reduce((at, n, axis) => at * shape[axis] + n, 0);

export function unflat(at, shape) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = at % shape[axis];
    at = Math.floor(at / shape[axis]);
  }
  return index;
}

export const inside = (index, shape) => index.every((n, axis) => n >= 0 && n < shape[axis]);

/** The smallest period of a pattern that repeats after its whole length. */
export function period(pattern) {
  const n = pattern.length;
  return range(n).map((p) => p + 1).find((p) => n % p === 0 && pattern.every((v, j) => v === pattern[j % p]));
}

/** The widest interval of inputs behind one output of a stack of layers, first to last; every alignment is tried. */
export function receptiveField(stack) {
  let widest = 0;
  for (const o of range(product(stack.map((axis) => axis.s)))) {
    let seen = [o, o];
    for (const axis of [...stack].reverse()) {
      const met = [];
      for (let at = seen[0]; at <= seen[1]; at++) {
        for (const k of range(axis.k)) {
          const rest = at + axis.lo - axis.d * k;
          if (modulo(rest, axis.s) === 0) met.push(rest / axis.s);
        }
      }
      if (!met.length) { seen = null; break; }
      seen = [Math.min(...met), Math.max(...met)];
    }
    if (seen) widest = Math.max(widest, seen[1] - seen[0] + 1);
  }
  return widest;
}
