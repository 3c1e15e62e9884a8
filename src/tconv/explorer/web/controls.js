// The settings: one number field per parameter and axis, with the limits that the geometry's laws set.

import {limits, DRAWN} from "./laws.js";
import {PRESETS} from "./presets.js";
import {range} from "./relation.js";
import {say} from "./words.js";

const ROWS = ["n", "k", "s", "lo", "hi", "op", "d"];

export function node(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The fields of the layer, in `place`; `act` has change(set), axes(n), fill(array, kind), paste(array, text), bias(on). */
export function settings(place, state, choice, act) {
  const ndim = state.n.length;
  const fields = [];
  const number = (label, value, [least, most], set, name) => {
    const field = node("input", {type: "number", value, min: least, max: Math.max(least, most), step: 1, ariaLabel: label, name});
    field.addEventListener("change", () => {
      const typed = Math.round(Number(field.value));
      if (field.value !== "" && Number.isFinite(typed)) set(typed);
      else field.value = value;
    });
    fields.push(field);
    return field;
  };
  const axisName = (a) => say(`axis${a}of${ndim}`);
  const columns = choice.linked ? [0] : range(ndim);
  const rows = ROWS.filter((name) => choice.asymmetric || name !== "hi");
  const table = node("table", {className: "fields"});
  if (columns.length > 1) table.append(node("thead", {}, node("tr", {}, node("td"), ...columns.map((a) => node("th", {scope: "col"}, axisName(a))))));
  const body = node("tbody");
  for (const name of rows) {
    const title = say(name === "lo" && !choice.asymmetric ? "padding" : name);
    body.append(node("tr", {}, node("th", {scope: "row"}, title), ...columns.map((a) => node("td", {}, number(
      choice.linked || ndim === 1 ? title : `${title}, ${axisName(a)}`, state[name][a], shared(state, name, choice, a),
      (value) => act.change(updated(state, name, clamp(name, value), choice, a)), `${name}${a}`)))));
  }
  table.append(body);
  const axes = node("select", {name: "axes", ariaLabel: say("axes"), onchange: (event) => act.axes(Number(event.target.value))},
    ...[1, 2, 3].map((n) => node("option", {value: n, selected: n === ndim}, `${n}-D`)));
  const check = (key, on, set) => node("label", {className: "check"}, node("input", {type: "checkbox", checked: on, name: key, onchange: (event) => set(event.target.checked)}), say(key));
  const channels = node("div", {className: "triple"}, ...["ci", "co", "g"].map((name) => node("label", {}, say(name),
    number(say(name), state[name], [1, DRAWN.channels], (value) => act.change({[name]: Math.min(Math.max(value, 1), DRAWN.channels)}), name))));
  place.replaceChildren(
    node("label", {className: "line"}, say("axes"), axes), table,
    ndim > 1 ? check("link", choice.linked, act.link) : "", check("asymmetric", choice.asymmetric, act.asymmetric), channels,
    biases(state, act, number, check), fills(act), pasting(act),
  );
}

function biases(state, act, number, check) {
  const values = state.b?.map((value, e) => number(`${say("bias")} ${e}`, value, [-99, 99], (typed) => act.change({b: state.b.map((old, n) => (n === e ? typed : old))}), `b${e}`)) ?? [];
  return node("div", {className: "biases"}, check("bias", Boolean(state.b), act.bias), ...values);
}

function fills(act) {
  return node("div", {className: "fills"}, ...Object.entries(PRESETS).map(([name, kinds]) => node("div", {role: "group", ariaLabel: say(`fill_${name}`)},
    node("span", {className: "small"}, say(`fill_${name}`)),
    ...kinds.map((kind) => node("button", {type: "button", name: `${name}-${kind}`, onclick: () => act.fill(name, kind)}, say(kind))))));
}

function pasting(act) {
  const text = node("textarea", {rows: 3, ariaLabel: say("paste_hint"), placeholder: "[[1, 2], [3, 4]]", name: "paste"});
  return node("details", {}, node("summary", {}, say("paste")), text, node("div", {className: "buttons"},
    ...["x", "w"].map((name) => node("button", {type: "button", name: `into-${name}`, onclick: () => act.paste(name, text.value)}, say(`into_${name}`)))));
}

/** The limits of one field; of all axes together where it sets them all. */
function shared(state, name, choice, a) {
  const axes = choice.linked ? range(state.n.length) : [a];
  const names = name === "lo" && !choice.asymmetric ? ["lo", "hi"] : [name];
  const found = axes.flatMap((axis) => names.map((each) => limits(state, each, axis)));
  return [Math.max(...found.map(([least]) => least)), Math.min(...found.map(([, most]) => most))];
}

function updated(state, name, value, choice, a) {
  const list = (old) => old.map((v, axis) => (choice.linked || axis === a ? value : v));
  const set = {[name]: list(state[name])};
  if (name === "lo" && !choice.asymmetric) set.hi = list(state.hi);
  return set;
}

function clamp(name, value) {
  if (name === "lo" || name === "hi") return Math.min(Math.max(value, -DRAWN.pad), DRAWN.pad);
  return Math.min(Math.max(value, name === "op" ? 0 : 1), name === "op" ? 2 * DRAWN.s : DRAWN[name]);
}

/** What is wrong with the layer, why, and buttons that repair it. */
export function complaints(place, problems, ndim, act) {
  place.replaceChildren(...problems.map((problem) => {
    const axis = problem.axis === undefined ? "" : say(`axis${problem.axis}of${ndim}`);
    return node("div", {className: "problem"}, node("p", {}, say(`law_${problem.law}`, {...problem.values, axis})),
      node("div", {className: "buttons"}, ...problem.repairs.map(({name, value, set}) => node("button", {type: "button", onclick: () => act.change(set)},
        say("repair", {name: say(name), value})))));
  }), ...(problems.length ? [node("p", {className: "small"}, say("still_shown"))] : []));
}
