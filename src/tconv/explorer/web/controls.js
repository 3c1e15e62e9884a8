// The settings: one number field per parameter and axis, with the limits that the geometry's laws set.

import {limits, DRAWN} from "./laws.js";
import {PRESETS} from "./presets.js";
import {range} from "./relation.js";
import {knows, say} from "./words.js";

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

/**
 * The fields of the layer, in `place`; `act` has change(set), axes(n), fill(array, kind), paste(array, text), bias(on) and
 * tell(text).
 */
export function settings(place, state, choice, act) {
  const ndim = state.n.length;
  const hint = node("p", {className: "small hint", id: "hint"}, say("settings_hint"));
  /** A field for whole numbers; `bounds` are those that the page takes, `[least, most]` those that make a layer. */
  const number = (label, value, [least, most], set, name, bounds) => {
    const field = node("input", {type: "number", value, min: least, max: Math.max(least, most), step: 1, ariaLabel: label, name});
    field.addEventListener("focus", () => {
      const help = knows(`help_${name.slice(0, -1)}`) ? ` ${say(`help_${name.slice(0, -1)}`)}` : "";
      hint.textContent = `${label}, ${say("ranges", {least, most: Math.max(least, most)})}.${help}`;
    });
    field.addEventListener("change", () => {
      const typed = Number(field.value);
      if (field.value === "" || !Number.isFinite(typed)) { field.value = value; return; }
      const taken = Math.min(Math.max(Math.round(typed), bounds[0]), bounds[1]);
      act.tell(taken === typed ? "" : say("clamped", {name: label, typed: field.value, value: taken, least: bounds[0], most: bounds[1]}));
      field.value = taken;
      set(taken);
    });
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
      (value) => act.change(updated(state, name, value, choice, a)), `${name}${a}`, taken(name))))));
  }
  table.append(body);
  const axes = node("select", {name: "axes", ariaLabel: say("axes"), onchange: (event) => act.axes(Number(event.target.value))},
    ...[1, 2, 3].map((n) => node("option", {value: n, selected: n === ndim}, `${n}-D`)));
  const check = (key, on, set) => node("label", {className: "check"}, node("input", {type: "checkbox", checked: on, name: key, onchange: (event) => set(event.target.checked)}), say(key));
  const channels = node("div", {className: "triple"}, ...["ci", "co", "g"].map((name) => node("label", {}, say(name),
    number(say(name), state[name], [1, DRAWN.channels], (value) => act.change({[name]: value}), name, [1, DRAWN.channels]))));
  place.replaceChildren(
    node("div", {}, node("label", {className: "line"}, say("axes"), axes), table),
    node("div", {}, ndim > 1 ? check("link", choice.linked, act.link) : "", check("asymmetric", choice.asymmetric, act.asymmetric), channels,
      biases(state, act, number, check), beginnings(state, act)),
    node("div", {}, fills(act), pasting(act)), hint,
    node("button", {type: "button", name: "done", className: "sheet", onclick: act.close}, say("done")),
  );
}

function biases(state, act, number, check) {
  const values = state.b?.map((value, e) => number(`${say("bias")} ${e}`, value, [-99, 99], (typed) => act.change({b: state.b.map((old, n) => (n === e ? typed : old))}), `b${e}`, [-1e6, 1e6])) ?? [];
  return node("div", {className: "biases"}, check("bias", Boolean(state.b), act.bias), ...values);
}

/** Three paddings that show what padding and output_padding do. */
function beginnings(state, act) {
  const all = (value) => state.n.map(() => value);
  const set = (crop, extra) => () => act.change({lo: all(crop), hi: all(crop), op: all(extra)});
  return node("div", {className: "fills"}, node("div", {role: "group", ariaLabel: say("crops")}, node("span", {className: "small"}, say("crops")),
    ...[["crop_none", 0, 0], ["crop_1", 1, 0], ["crop_1_back", 1, 1]].map(([name, crop, extra]) => node("button", {type: "button", name, onclick: set(crop, extra)}, say(name)))));
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

/** The numbers that the page takes for a parameter, whether they make a layer or not. */
function taken(name) {
  if (name === "lo" || name === "hi") return [-DRAWN.pad, DRAWN.pad];
  return name === "op" ? [0, 2 * DRAWN.s] : [1, DRAWN[name]];
}

/** The layer in one line: [name of a field, text] each. */
export function summary(state) {
  const sizes = (list) => (list.every((v) => v === list[0]) ? String(list[0]) : list.join("×"));
  const pads = state.lo.map((lo, a) => (lo === state.hi[a] ? `${lo}` : `${lo}:${state.hi[a]}`));
  return [
    ["axes", `${state.n.length}-D`], ["n0", say("inputs_line", {size: state.n.join("×")})], ["k0", `${say("k")} ${sizes(state.k)}`],
    ["s0", `${say("s")} ${sizes(state.s)}`], ["lo0", `${say("padding")} ${sizes(pads)}`], ["op0", `${say("op")} ${sizes(state.op)}`],
    ["d0", `${say("d")} ${sizes(state.d)}`], ["ci", say("channels_line", state)], ...(state.g > 1 ? [["g", say("groups_line", state)]] : []),
    ...(state.b ? [["b0", `${say("bias")} ${state.b.join(", ")}`]] : []),
  ];
}

/** What is wrong with the layer, why, and buttons that repair it. */
export function complaints(place, problems, ndim, act) {
  place.replaceChildren(...problems.map((problem) => {
    const axis = problem.axes?.map((a) => say(`axis${a}of${ndim}`)).join(say("and")) ?? "";
    return node("div", {className: "problem"}, node("p", {}, say(`law_${problem.law}`, {...problem.values, axis})),
      node("div", {className: "buttons"}, ...problem.repairs.map(({name, value, set}) => node("button", {type: "button", onclick: () => act.change(set)},
        say("repair", {name: say(name), value})))));
  }), ...(problems.length ? [node("p", {className: "small"}, say("still_shown"))] : []));
}
