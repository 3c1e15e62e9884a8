// The lesson: ten steps on one long page, read by scrolling. Every step has one question, one picture that follows the
// reader's numbers, one sentence about it, and something to do that checks itself. Answers and numbers outlive a change of
// the language.

import {node} from "./controls.js";
import {opening, OPENS_WITH} from "./opening.js";
import {range} from "./relation.js";
import {layerOf, LESSON, stateOf} from "./steps.js";
import {makeTask} from "./tasks.js";
import {named, say} from "./words.js";

const BEGINS = {x: [2, 3, 1], w: [1, 2, 3]};
const BOUND = 20;

/** A lesson; `open(layer)` shows a layer in the explorer, `reached(step)` is told where the reader is. */
export function makeLesson({open, reached}) {
  const lesson = {lab: structuredClone(BEGINS), parts: [], built: null, at: 1};
  const owns = new Map(LESSON.map((step) => [step.key, {...step.own}]));
  const opens = {...OPENS_WITH};
  const memories = new Map();
  const recall = (name) => memories.get(name) ?? memories.set(name, {solved: false}).get(name);
  const context = (step) => {
    const own = owns.get(step.key);
    return {lab: lesson.lab, own, layer: layerOf(lesson.lab, own), solved: recall(step.key).solved, set: (values) => { Object.assign(own, values); lesson.renew(); }};
  };

  /** Draw everything anew that depends on numbers. */
  lesson.renew = () => {
    if (lesson.renewing) return;
    lesson.renewing = true; // a right answer may move the picture, which asks for this again
    for (const part of lesson.parts) part.renew();
    lesson.renewing = false;
    for (const part of lesson.parts) part.redraw();
    lesson.progress?.renew();
  };

  lesson.build = (place, language) => {
    if (lesson.built === language) return;
    lesson.built = language;
    const first = opening({lab: () => lesson.lab, own: opens, renew: lesson.renew, next: () => lesson.show(1, true)});
    const sections = LESSON.map((step, n) => section({lesson, step, n: n + 1, context, recall, open}));
    lesson.parts = [first, ...sections];
    lesson.progress = progress(lesson, recall);
    const end = node("section", {className: "step end"}, node("p", {className: "lead"}, say("l_end")),
      node("button", {type: "button", className: "main", name: "l-explore", onclick: () => open(stateOf(context(LESSON[3]).layer, "stamp"))}, say("l_explore")));
    place.replaceChildren(lesson.progress.nav, first.section, ...sections.map((part) => part.section), end);
    lesson.renew();
    watch(place, (step) => { lesson.at = step; lesson.progress.renew(); reached(step); });
  };

  /** Go to a step; `focus` its question when a reader asked for it. */
  lesson.show = (step, focus = false) => {
    const heading = document.getElementById(`step-${step}-title`);
    heading?.closest("section").scrollIntoView({block: "start"});
    if (focus) heading?.focus({preventScroll: true});
  };
  return lesson;
}

/** The number of the step in the middle of the window, whenever it changes. */
function watch(place, tell) {
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) tell(Math.max(1, Number(entry.target.id.slice(5))));
  }, {rootMargin: "-45% 0px -50% 0px"});
  place.querySelectorAll(".step[id]").forEach((each) => observer.observe(each));
}

function progress(lesson, recall) {
  const links = LESSON.map((step, n) => node("a", {href: `#step-${n + 1}`, title: say(`l_${step.key}_q`), ariaLabel: say("l_step", {n: n + 1, title: say(`l_${step.key}_q`)}),
    onclick: (event) => { event.preventDefault(); lesson.show(n + 1, true); }}, String(n + 1)));
  const renew = () => links.forEach((link, n) => {
    link.classList.toggle("solved", recall(LESSON[n].key).solved);
    if (lesson.at === n + 1) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  });
  return {renew, nav: node("nav", {className: "progress", ariaLabel: say("l_progress")}, ...links)};
}

function section({lesson, step, n, context, recall, open}) {
  const stage = node("div", {className: "picture_"});
  const says = node("figcaption", {ariaLive: "polite"});
  const title = node("h2", {id: `step-${n}-title`, tabIndex: -1}, say(`l_${step.key}_q`));
  const now = () => context(step);
  const begun = () => Object.entries(step.own).some(([key, value]) => now().own[key] !== value);
  const asked = (make, name, solved) => makeTask({...make(now), begun}, recall(name), `l-${name}`, solved);
  const tasks = [asked(step.task, step.key, () => now().set(step.after ?? {}))];
  if (step.again) tasks.push(asked(step.again, `${step.key}-again`, () => lesson.renew()));
  const numbers = step.own.ones ? null : numberFields(lesson, n);
  const sliders = (step.controls ?? []).map((control) => slider(control, now, step));
  const redraw = () => {
    const here = context(step);
    stage.replaceChildren(...[step.draw(here.layer, here.own, here)].flat());
    says.textContent = step.says(here.layer, here.own, here);
    numbers?.renew();
    sliders.forEach((each) => each.renew());
  };
  const onward = node("p", {className: "onward"},
    n < LESSON.length ? node("a", {className: "next", href: `#step-${n + 1}`, onclick: (event) => { event.preventDefault(); lesson.show(n + 1, true); }}, say("l_next")) : "",
    node("button", {type: "button", className: "quiet", name: `l-open-${n}`, onclick: () => open(stateOf(now().layer, step.view))}, say("l_open")));
  const made = node("section", {className: "step", id: `step-${n}`, ariaLabelledby: `step-${n}-title`},
    node("div", {className: "words"}, node("p", {className: "count"}, say("l_count", {n, all: LESSON.length})), title, node("p", {className: "lead"}, say(`l_${step.key}_lead`))),
    node("figure", {}, ...(numbers ? [numbers.row] : []), stage, ...(sliders.length ? [node("div", {className: "sliders"}, ...sliders.map((each) => each.label))] : []), says),
    node("div", {className: "asks"}, ...tasks.map((task) => task.form), onward));
  made.setAttribute("aria-labelledby", `step-${n}-title`);
  return {section: made, redraw, renew: () => tasks.forEach((task) => task.renew())};
}

/** The reader's input and kernel, to be changed in every step. */
function numberFields(lesson, n) {
  const field = (array, at) => {
    const made = node("input", {type: "number", min: -BOUND, max: BOUND, step: 1, className: `own ${array === "x" ? "input" : "kernel"}`, name: `l${array}${at}-${n}`, ariaLabel: named(array, [at])});
    made.addEventListener("input", () => {
      const value = Math.round(Number(made.value));
      if (made.value === "" || !Number.isFinite(value)) return;
      lesson.lab[array][at] = Math.min(Math.max(value, -BOUND), BOUND);
      lesson.renew();
    });
    made.addEventListener("change", () => { made.value = lesson.lab[array][at]; });
    return made;
  };
  const fields = ["x", "w"].map((array) => range(3).map((at) => field(array, at)));
  const row = node("div", {className: "numbers", title: say("l_bounds", {bound: BOUND})},
    node("span", {}, node("span", {className: "input-n"}, say("l_x")), ...fields[0]), node("span", {}, node("span", {className: "kernel-n"}, say("l_w")), ...fields[1]));
  const renew = () => ["x", "w"].forEach((array, a) => fields[a].forEach((each, at) => { if (each !== document.activeElement) each.value = lesson.lab[array][at]; }));
  return {row, renew};
}

function slider([name, least, most], now, step) {
  const output = node("output", {});
  const field = node("input", {type: "range", min: least, max: most, step: 1, name: `l-${step.key}-${name}`, oninput: (event) => now().set({[name]: Number(event.target.value)})});
  const text = name === "o" ? say("l_which_y") : say({s: "s", k: "k", p: "padding", op: "op"}[name]);
  const label = node("label", {className: "slider"}, node("span", {}, text), field, output);
  const renew = () => { field.value = now().own[name]; output.textContent = field.value; };
  return {label, renew};
}
