// Fixed against learned: a photograph at half its size, brought back by the same layer with different kernels, and what
// each of them makes of a plain grey image. The learned kernel is that of gradient descent on another photograph: as the
// error is a quadratic function of the kernel, any number of steps can be computed at once.

import {multiply, times} from "./linear.js";
import {photograph, PIXELS} from "./photos.js";
import {range} from "./relation.js";

export const KERNELS = [3, 4, 8]; // taps per axis of the learned kernel
export const STEPS_TAKEN = range(10).map((n) => (n ? 4 ** (n - 1) : 0)); // 0, 1, 4, ... 65536
const STRIDE = 2;
export const HALF = PIXELS / 2;
const EDGE = 6; // pixels at the borders that are not judged, as kernels see zeros beyond them
const CUBIC = -0.75; // as PyTorch and OpenCV have it

/** Half as many pixels per side, by the convolution with [1, 3, 3, 1]/8 on both axes; edges are repeated. */
export function halved(image) {
  const weights = [1, 3, 3, 1];
  const at = (n) => Math.min(Math.max(n, 0), PIXELS - 1);
  const small = new Float64Array(HALF * HALF);
  for (const row of range(HALF)) {
    for (const column of range(HALF)) {
      let sum = 0;
      weights.forEach((w, r) => weights.forEach((v, c) => { sum += w * v * image[at(2 * row + r - 1) * PIXELS + at(2 * column + c - 1)]; }));
      small[row * HALF + column] = sum / 64;
    }
  }
  return small;
}

/** Padding that, with output_padding for an odd kernel, makes the output twice as large. */
const cropOf = (k) => Math.floor((k - 1) / 2);

/** The transposed convolution of a square image at stride 2, twice as large. */
export function doubled(small, side, w) {
  const [k, out] = [Math.round(Math.sqrt(w.length)), STRIDE * side];
  const crop = cropOf(k);
  const large = new Float64Array(out * out);
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      const value = small[i * side + j];
      for (let r = Math.max(0, crop - STRIDE * i); r < k && STRIDE * i + r - crop < out; r++) {
        const row = (STRIDE * i + r - crop) * out;
        for (let c = Math.max(0, crop - STRIDE * j); c < k && STRIDE * j + c - crop < out; c++) large[row + STRIDE * j + c - crop] += value * w[r * k + c];
      }
    }
  }
  return large;
}

/** Peak signal-to-noise ratio in dB, of images between 0 and 1, away from the borders. */
export function psnr(image, other) {
  let [sum, count] = [0, 0];
  for (let row = EDGE; row < PIXELS - EDGE; row++) {
    for (let column = EDGE; column < PIXELS - EDGE; column++, count++) sum += (image[row * PIXELS + column] - other[row * PIXELS + column]) ** 2;
  }
  return 10 * Math.log10(count / sum);
}

const square = (line) => line.flatMap((a) => line.map((b) => a * b));

function cubic(t) {
  return t <= 1 ? ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1 : ((t - 5) * t + 8) * t * CUBIC - 4 * CUBIC;
}

export const FIXED = {
  nearest: square([1, 1]),
  bilinear: square([0.25, 0.75, 0.75, 0.25]),
  bicubic: square(range(8).map((n) => cubic(Math.abs(n - 3.5) / STRIDE))),
};

/** A kernel that nobody has trained: evenly spread within PyTorch's bound for its size, 1/k; always the same. */
function untrained(k) {
  let state = 2463534242;
  return range(k * k).map(() => {
    state ^= state << 13; // xorshift, on 32 bits
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) / 2 ** 32 * 2 - 1) / k;
  });
}

/** What the squared error of the cat depends on, sum over pixels of (A w - t)^2: A'A as rows, and A't. */
function normal(k) {
  const image = photograph("cat");
  const small = halved(image);
  const crop = cropOf(k);
  const [table, right] = [range(k * k).map(() => new Float64Array(k * k)), new Float64Array(k * k)];
  for (let row = EDGE; row < PIXELS - EDGE; row++) {
    for (let column = EDGE; column < PIXELS - EDGE; column++) {
      const met = []; // [tap, input] of this pixel: those of its phase
      for (let r = (row + crop) % STRIDE; r < k; r += STRIDE) {
        for (let c = (column + crop) % STRIDE; c < k; c += STRIDE) met.push([r * k + c, small[(row + crop - r) / STRIDE * HALF + (column + crop - c) / STRIDE]]);
      }
      const want = image[row * PIXELS + column];
      for (const [tap, x] of met) {
        right[tap] += x * want;
        for (const [other, y] of met) table[tap][other] += x * y;
      }
    }
  }
  return {table, right};
}

/** The solution of A'A w = A't, by elimination; A'A is positive definite. */
function solved({table, right}) {
  const rows = table.map((row, n) => [...row, right[n]]);
  rows.forEach((row, n) => {
    for (const other of rows.slice(n + 1)) {
      const share = other[n] / row[n];
      if (share) for (let c = n; c < row.length; c++) other[c] -= share * row[c];
    }
  });
  const w = new Array(rows.length).fill(0);
  for (let n = rows.length - 1; n >= 0; n--) w[n] = (rows[n].at(-1) - rows[n].slice(n + 1, -1).reduce((sum, v, j) => sum + v * w[n + 1 + j], 0)) / rows[n][n];
  return w;
}

/** The largest sum of a row, which no eigenvalue exceeds: steps are divided by it so that none overshoots. */
const steepest = (table) => Math.max(...table.map((row) => row.reduce((sum, value) => sum + Math.abs(value), 0)));

const courses = new Map();

/**
 * The kernel of k by k taps after each of STEPS_TAKEN steps of gradient descent, w <- w - (A'A w - A't) / steepest, from
 * the untrained one: after t steps it is best + (1 - A'A / steepest)^t (untrained - best).
 */
export function training(k) {
  if (courses.has(k)) return courses.get(k);
  const system = normal(k);
  const [best, begins] = [solved(system), untrained(k)];
  const away = begins.map((value, n) => value - best[n]);
  const most = steepest(system.table);
  let power = system.table.map((row, r) => row.map((value, c) => Number(r === c) - value / most));
  const course = STEPS_TAKEN.map((steps) => {
    if (!steps) return begins;
    if (steps > 1) { power = multiply(power, power); power = multiply(power, power); }
    return times(power, away).map((value, n) => best[n] + value);
  });
  courses.set(k, course);
  return course;
}

/** What a kernel makes of the halved portrait, and of grey; and how bright each of the four phases of grey becomes. */
export function judged(w) {
  const image = photograph("portrait");
  const back = doubled(halved(image), HALF, w);
  const k = Math.round(Math.sqrt(w.length));
  const gains = [0, 1].flatMap((r) => [0, 1].map((c) => w.reduce((sum, value, n) => sum + (Math.floor(n / k) % STRIDE === r && n % k % STRIDE === c ? value : 0), 0)));
  return {back, psnr: psnr(image, back), gains, spread: Math.max(...gains) - Math.min(...gains)};
}
