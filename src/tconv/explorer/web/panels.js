// What stands beside the views: sizes, the shape solver, and the layer as code.

import {FRAMEWORKS} from "./dialects.js";
import {node} from "./controls.js";
import {receptiveField} from "./relation.js";
import {nearest, solve} from "./solver.js";
import {facts} from "./views.js";
import {say} from "./words.js";

const SHOWN = 12;

export function sizesPanel(layer) {
  const {formula, lines} = facts(layer, layer.axes.map((axis) => receptiveField([axis])));
  return [node("p", {className: "small"}, say("formula")), ...formula.map((line) => node("p", {className: "formula"}, line)),
    node("ul", {}, ...lines.map((line) => node("li", {}, line)))];
}

/** The question "from 6 to 12 with kernel 3", and its answers as a table; `asked` is kept between two drawings. */
export function solverPanel(asked, load) {
  const field = (name, value, optional) => node("input", {type: "number", min: 1, max: 512, value: value ?? "", placeholder: optional ? say("any_kernel") : "", name: `solve-${name}`, ariaLabel: say(name === "k" ? "k" : `${name}_size`)});
  const fields = {from: field("from", asked.from), to: field("to", asked.to), k: field("k", asked.k, true)};
  const answers = node("div", {className: "answers"});
  const answer = () => {
    for (const [name, input] of Object.entries(fields)) asked[name] = input.value === "" ? null : Math.max(1, Math.round(Number(input.value)) || 1);
    answers.replaceChildren(...(asked.from && asked.to ? found(asked, load) : []));
  };
  const form = node("form", {className: "question", onsubmit: (event) => { event.preventDefault(); answer(); }},
    node("label", {}, say("from_size"), fields.from), node("label", {}, say("to_size"), fields.to), node("label", {}, say("k"), fields.k),
    node("button", {type: "submit", name: "solve"}, say("solve")));
  answer();
  return [form, answers];
}

function found({from, to, k}, load) {
  const layers = [...solve(from, to, k)].sort((a, b) => a.waste - b.waste); // as tconv.solve has them, but nothing is cut first
  if (!layers.length) {
    const near = nearest(from, to, k).filter(Boolean).map((each) => `${each.out} (${say("k")} ${each.k}, ${say("s")} ${each.s}, ${say("padding")} ${each.p}, output_padding ${each.op})`);
    return [node("p", {}, say("none_found", {from, to}), " ", say("near_found", {sizes: near.join("; ")}))];
  }
  const heads = ["k", "s", "padding", "op", "macs_head", "coverage", "remarks"];
  const cell = (text, n) => { // its heading as well, for phones, where every row is a paragraph
    const made = node("td", {}, String(text));
    if (n < 5) made.dataset.head = say(heads[n]);
    return made;
  };
  const rows = layers.slice(0, SHOWN).map((each) => node("tr", {},
    ...[each.k, each.s, each.p, each.op, each.macs, say(each.uneven ? "uneven" : "even"), each.waste ? say("wasteful") : ""].map(cell),
    node("td", {}, node("button", {type: "button", onclick: () => load(each, from)}, say("load")))));
  return [node("p", {}, say(layers.length === 1 ? "found_one" : "found", {n: layers.length, from, to})), node("div", {className: "scroll", tabIndex: 0, role: "region", ariaLabel: say("solver")}, node("table", {className: "solutions"},
    node("thead", {}, node("tr", {}, ...heads.map((head) => node("th", {scope: "col"}, say(head))), node("td"))), node("tbody", {}, ...rows)))];
}

/** The layer in four frameworks; `chosen` is kept between two drawings. */
export function codePanel(layer, chosen) {
  const code = node("pre", {tabIndex: 0, ariaLabel: say("code"), role: "region"});
  const copy = node("button", {type: "button", name: "copy-code"}, say("copy"));
  copy.addEventListener("click", () => copied(code.textContent, copy));
  const buttons = Object.keys(FRAMEWORKS).map((name) => node("button", {type: "button", name: `code-${name}`, onclick: () => { chosen.framework = name; show(); }}, name));
  const show = () => {
    code.textContent = FRAMEWORKS[chosen.framework](layer);
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === chosen.framework)));
  };
  show();
  return [node("div", {className: "buttons", role: "group", ariaLabel: say("code")}, ...buttons, copy), code];
}

/** Put text where it can be pasted from, and say so on the button for a moment. */
export async function copied(text, button, otherwise = "copy") {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = say("copied");
  } catch {
    button.textContent = say(otherwise);
  }
  setTimeout(() => { button.textContent = said; }, 1500);
}
