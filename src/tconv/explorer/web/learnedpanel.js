// The card "Fixed and learned": one photograph through five kernels, each drawn with what it makes of plain grey.

import {node} from "./controls.js";
import {doubled, FIXED, HALF, halved, judged, KERNELS, STEPS_TAKEN, training} from "./learned.js";
import {photograph, PIXELS} from "./photos.js";
import {range} from "./relation.js";
import {number, say} from "./words.js";

const GREY = 0.5;
const FLAT = 8; // cells of the grey image; what is drawn of the result is its middle

/** All columns; `chosen`, the size of the learned kernel and how far it is trained, is kept between two drawings. */
export function learnedPanel(chosen) {
  const fixed = Object.entries(FIXED).map(([name, w]) => column(say(`k_${name}`), w));
  const bicubic = decibel(judged(FIXED.bicubic).psnr);
  const place = node("div", {className: "tried"});
  const sizes = node("select", {name: "trained-k", ariaLabel: say("trained_k"), onchange: () => { chosen.k = Number(sizes.value); show(); }},
    ...KERNELS.map((k) => node("option", {value: k, selected: k === chosen.k}, `${k} × ${k}`)));
  const field = node("input", {type: "range", name: "trained", min: 1, max: STEPS_TAKEN.length - 1, step: 1, value: chosen.steps, oninput: () => { chosen.steps = Number(field.value); show(); }});
  const output = node("output", {});
  const says = node("p", {ariaLive: "polite", className: "learned-says"});
  const show = () => {
    const course = training(chosen.k);
    const begins = column(say("k_untrained"), course[0], {stretched: true});
    const trained = column(say("k_trained"), course[chosen.steps]);
    output.textContent = number(STEPS_TAKEN[chosen.steps]);
    const values = {steps: number(STEPS_TAKEN[chosen.steps]), psnr: decibel(trained.found.psnr), bicubic, before: percent(begins.found.spread), spread: percent(trained.found.spread), k: chosen.k};
    says.textContent = `${say("learned_says", values)} ${say(chosen.k % 2 ? "learned_uneven" : "learned_even", values)}`;
    place.replaceChildren(original(), ...[...fixed, begins, trained].map((each) => each.figure));
  };
  show();
  return [node("p", {className: "about"}, say("about_learned")), place,
    node("div", {className: "question"}, node("label", {}, say("trained_k"), sizes), node("label", {className: "steps-taken"}, node("span", {}, say("trained_for")), field, output)), says];
}

const decibel = (value) => value.toFixed(2);
const percent = (value) => (100 * value).toFixed(1);

function original() {
  const small = node("div", {className: "half"}, greys(halved(photograph("portrait")), HALF, say("half_size"), [0, 1]));
  return node("figure", {}, greys(photograph("portrait"), PIXELS, say("k_original"), [0, 1]), node("figcaption", {}, node("b", {}, say("k_original"))), small, node("p", {className: "small"}, say("half_size")));
}

/** Photograph, kernel and grey of one kernel, under its name and how near it comes; `stretched` to full contrast. */
function column(name, w, {stretched = false} = {}) {
  const found = judged(w);
  const side = Math.round(Math.sqrt(w.length));
  const plain = doubled(new Float64Array(FLAT * FLAT).fill(GREY), FLAT, w);
  const middle = range(8).flatMap((row) => range(8).map((c) => plain[(row + 4) * 2 * FLAT + c + 4]));
  const figure = node("figure", {},
    greys(found.back, PIXELS, name, stretched ? ends(found.back) : [0, 1]), node("figcaption", {}, node("b", {}, name), ` ${decibel(found.psnr)} dB`),
    node("div", {className: "pair"}, signed(w, side, say("kernel_of", {name, side})), greys(middle, 8, say("grey_of", {name, spread: percent(found.spread)}), stretched ? ends(middle) : [0, 1])));
  figure.dataset.kernel = w.join(",");
  return {figure, found};
}

export const ends = (values) => [Math.min(...values), Math.max(...values)];

/** A square of grey levels, black and white being the two `ends`. */
export function greys(values, side, label, [least, most]) {
  return sheetOf(values, side, label, (value) => { const level = 255 * Math.min(Math.max((value - least) / (most - least), 0), 1); return [level, level, level]; });
}

/** A square of weights: orange where they add, blue where they take away, as strong as the largest of them allows. */
export function signed(values, side, label) {
  const most = Math.max(...values.map(Math.abs));
  return sheetOf(values, side, label, (value) => {
    const share = Math.abs(value) / most;
    return (value < 0 ? [37, 99, 184] : [179, 83, 9]).map((hue) => 255 + (hue - 255) * share);
  });
}

function sheetOf(values, side, label, colour) {
  const made = node("canvas", {width: side, height: side, className: "dots", role: "img", ariaLabel: label, title: label});
  const pen = made.getContext("2d");
  const paint = pen.createImageData(side, side);
  values.forEach((value, n) => { colour(value).forEach((part, c) => { paint.data[4 * n + c] = Math.round(part); }); paint.data[4 * n + 3] = 255; });
  pen.putImageData(paint, 0, 0);
  return made;
}
