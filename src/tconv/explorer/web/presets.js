// Numbers to begin with.

import {combinations, product, range} from "./relation.js";
import {ramp, sizes} from "./state.js";

export const PRESETS = {x: ["ramp", "ones", "random", "impulse", "image"], w: ["ramp", "ones", "random", "bilinear"]};

// 32 x 32 grey levels, 0 to 9: part of NASA's portrait of Eileen Collins, which is in the public domain.
const IMAGE = (
  "777788888888754567765578888888887788888888863455677654457888888878888888887413566765544457888888" +
  "778888887664245566554443447888887777888754554555665555333358888877777775334544455666543123388888" +
  "777777543345544456666521222799987777774454355444555554223225888877777753442665555544322222248888" +
  "777777533237888888764211222388887777775222378878998764311224888877777752224754678765554112258888" +
  "777888731257777786665452122687887778888632689988867876621238888877888888756899888678875213788888" +
  "778888888878877786578753378888887888888888777787765676557888888888888889998787788756766899988888" +
  "888888887777887887678669999999898888875322268888876775899999999888886310001678888776668999999998" +
  "888620000016778988655799999999888874001200168777764457999999998887621241000378765455426899999999" +
  "766336310001123344431015899999997554572110000111000000015899999964356642000000000000000015899999" +
  "432467731000000000000001036999994233567731000000000000011147999963433565520000000000000121369999" +
  "6444344562000000000000122335899965442344541001000000003333446899"
);

/** The flat array x or w of a state, filled anew. */
export function preset(state, name, kind) {
  const count = sizes(state)[name];
  if (kind === "ones") return range(count).map(() => 1);
  if (kind === "random") return range(count).map(() => Math.floor(Math.random() * 10) - (name === "w" ? 4 : 0));
  if (kind === "impulse") return impulse(state);
  if (kind === "image") return image(state);
  if (kind === "bilinear") return bilinear(state);
  return ramp(count);
}

/** A single one in the middle: the output is the kernel itself. */
function impulse(state) {
  const cells = product(state.n);
  const middle = state.n.reduce((at, n) => at * n + (n >> 1), 0);
  return range(state.ci * cells).map((n) => (n % cells === middle ? 1 : 0));
}

function image(state) {
  const cells = combinations(state.n.map(range));
  const scaled = (index, a) => Math.floor((index[a] + 0.5) * 32 / state.n[a]);
  const level = (index) => Number(IMAGE[32 * (index.length > 1 ? scaled(index, index.length - 2) : 13) + scaled(index, index.length - 1)]);
  return range(state.ci).flatMap(() => cells.map(level));
}

/** The kernel that interpolates linearly by the stride, between the channels of equal number. */
function bilinear(state) {
  const weights = state.k.map((k, a) => range(k).map((at) => Math.max(0, 1 - Math.abs(at - (k - 1) / 2) / state.s[a])));
  const taps = combinations(weights).map(product);
  const per = state.co / state.g;
  return range(state.ci).flatMap((c) => range(per).flatMap((e) => taps.map((tap) => (c % per === e ? tap : 0))));
}
