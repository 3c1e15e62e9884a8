// What a reader is asked in the lesson, in three ways: to type numbers, to choose, or to bring the picture into a state.
// An answer is checked against what the layer computes at that moment; a wrong one gets a reason, never just "no".

import {node} from "./controls.js";
import {range} from "./relation.js";
import {say} from "./words.js";

const WAYS = {numbers: typedTask, choice: chosenTask, set: tickedTask, reach: reachedTask};

/**
 * A task in `place`. `task` has kind, ask(), right(), wrong(answer), and want() (numbers: a list; choice: the accepted
 * indices; set: a list of truths) or done() (reach). `memory` keeps {solved} between two drawings; `solved()` is called
 * when the answer is right.
 */
export function makeTask(task, memory, name, solved) {
  const verdict = node("p", {className: "verdict", role: "status"});
  const made = node("form", {className: "task", name, onsubmit: (event) => event.preventDefault()});
  const tell = (text, right) => {
    verdict.textContent = text ? `${right ? "✓ " : ""}${text}` : "";
    verdict.className = `verdict ${right ? "right" : ""}`;
  };
  const settle = (right, text) => {
    const news = right && !memory.solved;
    memory.solved = memory.solved || right;
    tell(text, right);
    made.classList.toggle("solved", memory.solved);
    if (news) solved();
  };
  const fields = WAYS[task.kind]({task, memory, name, settle, tell});
  made.append(node("p", {className: "ask"}, task.ask()), ...fields.nodes, verdict);
  made.classList.toggle("solved", Boolean(memory.solved));
  if (memory.solved) tell(task.right(), true);
  return {form: made, renew: () => { made.querySelector(".ask").textContent = task.ask(); fields.renew?.(); if (memory.solved && task.kind !== "reach") tell(task.right(), true); }};
}

/** Fields for numbers, a button that checks them, and one that shows the answer. */
function typedTask({task, memory, name, settle}) {
  const fields = range(task.want().length).map((n) => node("input", {
    type: "text", inputMode: "numeric", className: "guess", autocomplete: "off", name: `${name}-${n}`, ariaLabel: say("l_answer", {n: n + 1}),
  }));
  const check = () => {
    const answer = fields.map((field) => (field.value.trim() === "" ? NaN : Number(field.value.trim().replace("−", "-"))));
    if (answer.some(Number.isNaN)) return settle(false, say("l_type"));
    const want = task.want();
    const right = answer.every((value, n) => Math.abs(value - want[n]) < 1e-9);
    return settle(right, right ? task.right() : task.wrong(answer));
  };
  const show = () => { fields.forEach((field, n) => { field.value = task.want()[n]; }); settle(true, task.right()); };
  const renew = () => { if (memory.solved) fields.forEach((field, n) => { field.value = task.want()[n]; }); };
  renew();
  return {renew, nodes: [node("p", {className: "guesses"}, ...fields,
    node("button", {type: "submit", className: "main", name: `${name}-check`, onclick: check}, say("l_check")),
    node("button", {type: "button", className: "quiet", name: `${name}-show`, onclick: show}, say("l_show")))]};
}

/** One of several answers. */
function chosenTask({task, name, settle}) {
  const pick = (n) => {
    const right = task.want().includes(n);
    buttons.forEach((button, m) => button.setAttribute("aria-pressed", String(m === n)));
    settle(right, right ? task.right() : task.wrong(n));
  };
  const buttons = task.options().map((text, n) => node("button", {type: "button", className: "option", name: `${name}-${n}`, onclick: () => pick(n)}, text));
  return {
    renew: () => { task.options().forEach((text, n) => { buttons[n].textContent = text; }); },
    nodes: [node("p", {className: "options"}, ...buttons)],
  };
}

/** Any of several things. */
function tickedTask({task, name, settle}) {
  const boxes = task.options().map((text, n) => node("label", {className: "tick"}, node("input", {type: "checkbox", name: `${name}-${n}`}), text));
  const check = () => {
    const answer = boxes.map((box) => box.firstChild.checked);
    const right = task.want().every((value, n) => value === answer[n]);
    settle(right, right ? task.right() : task.wrong(answer));
  };
  return {
    renew: () => { task.options().forEach((text, n) => { boxes[n].lastChild.textContent = text; }); },
    nodes: [node("p", {className: "guesses"}, ...boxes, node("button", {type: "submit", className: "main", name: `${name}-check`, onclick: check}, say("l_check")))],
  };
}

/** Something to bring about with the controls of the picture; it is checked at every change. */
function reachedTask({task, settle}) {
  const list = node("ul", {className: "goals"});
  const renew = () => {
    list.replaceChildren(...task.goals().map(([text, done]) => node("li", {className: done ? "done" : ""}, node("span", {ariaHidden: "true"}, done ? "✓ " : "○ "), text, node("span", {className: "unseen"}, done ? say("l_met") : say("l_unmet")))));
    const done = task.goals().every(([, met]) => met);
    settle(done, done ? task.right() : task.begun() ? task.wrong() : "");
  };
  return {renew, nodes: [list]};
}
