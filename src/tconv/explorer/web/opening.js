// How the lesson opens: a photograph that was halved, and what one and the same layer makes of it with different kernels.

import {node} from "./controls.js";
import {doubled, FIXED, HALF, halved, training} from "./learned.js";
import {ends, greys, signed} from "./learnedpanel.js";
import {photograph, PIXELS} from "./photos.js";
import {number, say} from "./words.js";

const LARGEST_WRITTEN = 3;

const KERNELS_OF = {
  copy: () => FIXED.nearest,
  blend: () => FIXED.bilinear,
  trained: () => training(8).at(-1),
  yours: (lab) => lab.w.flatMap((a) => lab.w.map((b) => a * b)),
};

export const OPENS_WITH = {kernel: "copy"};

/** The first section; `own.kernel` names the kernel, `lab` has the reader's numbers, `next` begins with the steps. */
export function opening({lab, own, renew, next}) {
  const stage = node("div", {className: "pixels"});
  const says = node("figcaption", {ariaLive: "polite"});
  const choose = (name) => { own.kernel = name; renew(); };
  const buttons = Object.keys(KERNELS_OF).map((name) => node("button", {type: "button", name: `kernel-${name}`, onclick: () => choose(name)}, say(`l_kernel_${name}`)));
  const shown = (picture, text) => node("div", {}, picture, node("p", {className: "small"}, text));
  const arrow = () => node("span", {className: "arrow", ariaHidden: "true"}, "→");
  const small = halved(photograph("portrait"));
  const redraw = () => {
    const w = KERNELS_OF[own.kernel](lab());
    const side = Math.round(Math.sqrt(w.length));
    const large = doubled(small, HALF, w); // a reader's kernel may be of any strength, and is stretched to full contrast
    const name = say(`l_kernel_${own.kernel}`);
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.name === `kernel-${own.kernel}`)));
    stage.replaceChildren(
      shown(greys(small, HALF, say("l_pixels_in"), [0, 1]), say("l_pixels_in")), arrow(),
      shown(signed(w, side, say("kernel_of", {name, side})), say("l_pixels_kernel", {k: side})), arrow(),
      shown(greys(large, PIXELS, say("l_pixels_out"), own.kernel === "yours" ? ends(large) : [0, 1]), say("l_pixels_out")));
    const rows = w.reduce((lines, value, n) => (n % side ? lines : [...lines, w.slice(n, n + side).map(number).join(" ")]), []);
    says.textContent = say(side > LARGEST_WRITTEN ? "l_why_says_large" : "l_why_says", {k: side, kernel: name, weights: rows.join(" | ")});
  };
  const section = node("section", {className: "step opening", id: "step-0"},
    node("div", {className: "words"}, node("h1", {}, say("l_title")), node("p", {className: "question_"}, say("l_why_q")), node("p", {className: "lead"}, say("l_why_lead")), node("p", {}, say("l_intro")),
      node("button", {type: "button", className: "main", name: "l-begin", onclick: next}, say("l_begin"))),
    node("figure", {}, stage, node("div", {className: "options", role: "group", ariaLabel: say("kernel")}, ...buttons), says));
  return {section, redraw, renew: () => {}};
}
