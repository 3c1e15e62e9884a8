// Networks that shrink an image and bring it back, on one axis: the size of every map for a size that the reader types,
// where a size does not come back, and what of every map one cell of the output sees.

import {range} from "./relation.js";

export const UPS = {"2, 2, 0": {k: 2, s: 2, p: 0}, "3, 2, 1": {k: 3, s: 2, p: 1}, "4, 2, 1": {k: 4, s: 2, p: 1}};
export const FCNS = {"FCN-8s": [2, 2, 8], "FCN-16s": [2, 16], "FCN-32s": [32]};
const COARSEST = 5; // an FCN halves five times
const BLOCK = 2; // how far the two convolutions of a block look to either side

/**
 * The levels of a U-Net whose blocks keep sizes, full resolution first: {skip, pooled, up, out, op, crop, joined}; null
 * where a map would vanish. Pooling floors; `op` makes the layer's output as large as the skip where that is legal.
 */
export function unet(size, depth, {k, s, p}) {
  const sizes = range(depth).reduce((all) => [...all, Math.floor(all.at(-1) / s)], [size]);
  if (sizes.at(-1) < 1) return null;
  let up = sizes.at(-1);
  const levels = [];
  for (const level of range(depth).reverse()) {
    const skip = sizes[level];
    const out = s * (up - 1) + k - 2 * p;
    const op = skip >= out && skip < out + s ? skip - out : 0;
    const over = skip - out - op;
    levels.unshift({skip, pooled: sizes[level + 1], up, out, op, crop: [Math.trunc(over / 2), over - Math.trunc(over / 2)], joined: out + op});
    up = out + op;
  }
  return levels;
}

/**
 * A fully convolutional network: `maps`, the sizes of the image, extended to a multiple of 32, and of its five halvings;
 * and `ups`, the transposed convolutions with kernel 2s and stride s: {s, from, to, level}, the coarsest first.
 */
export function fcn(size, strides) {
  const maps = range(COARSEST + 1).map((n) => Math.ceil(size / 2 ** COARSEST) * 2 ** (COARSEST - n));
  let [from, level] = [maps.at(-1), COARSEST];
  const ups = strides.map((s) => {
    level -= Math.log2(s);
    const up = {s, from, to: s * from, level};
    from = up.to;
    return up;
  });
  return {size, maps, ups};
}

// What one output sees, as intervals [first, last] of cells; null is nothing.

const clipped = (seen, size) => {
  if (!seen) return null;
  const both = [Math.max(seen[0], 0), Math.min(seen[1], size - 1)];
  return both[0] <= both[1] ? both : null;
};
const union = (a, b) => (a && b ? [Math.min(a[0], b[0]), Math.max(a[1], b[1])] : a ?? b);
const moved = (seen, by) => seen && [seen[0] + by, seen[1] + by];
const block = (seen, size) => clipped(seen && [seen[0] - BLOCK, seen[1] + BLOCK], size);
const pool = (seen) => seen && [2 * seen[0], 2 * seen[1] + 1];

/** The inputs, of `size`, that a transposed convolution reads for some of its outputs. */
function upsampled(seen, {k, s, p}, size) {
  return clipped(seen && [Math.ceil((seen[0] + p - (k - 1)) / s), Math.floor((seen[1] + p) / s)], size);
}

/** For each level what output o sees of the skip and of the joined map; and of the bottom and of the image. */
export function seenByUnet(levels, layer, o) {
  let wanted = [o, o];
  const found = levels.map((level) => {
    const up = block(wanted, level.joined);
    wanted = upsampled(up, layer, level.up);
    return {up, skip: clipped(moved(up, level.crop[0]), level.skip)};
  });
  const bottom = block(wanted, levels.at(-1).pooled);
  let below = bottom;
  for (const n of range(levels.length).reverse()) {
    found[n].skip = union(found[n].skip, pool(below));
    below = block(found[n].skip, levels[n].skip);
  }
  return {levels: found, bottom, image: below};
}

/** For each of the maps what output o sees of it on the way down, and up (where there is one); and of the image. */
export function seenByFcn({size, maps, ups}, o) {
  const [down, up] = [maps.map(() => null), maps.map(() => null)];
  let wanted = [o, o];
  for (const each of [...ups].reverse()) {
    up[each.level] = wanted;
    wanted = upsampled(wanted, {k: 2 * each.s, s: each.s, p: each.s / 2}, each.from);
    down[each.level + Math.log2(each.s)] = wanted; // its scores are made from this map alone, cell by cell
  }
  for (const n of range(COARSEST).reverse()) down[n] = union(down[n], block(pool(down[n + 1]), maps[n]));
  return {down, up, image: down[0].map((cell) => Math.min(cell, size - 1))}; // the extension repeats the last cell
}
