// The page: one state, drawn when it changes; one look, lit when it changes.

import {complaints, node, settings} from "./controls.js";
import {cellAt, forgetColours, light, painted, placed, refresh} from "./draw.js";
import {editor} from "./editor.js";
import {broken} from "./laws.js";
import {busiest, flatOutput, kept, makeLayer, pairsOf} from "./layer.js";
import {codePanel, copied, sizesPanel, solverPanel} from "./panels.js";
import {makePlayer} from "./player.js";
import {preset} from "./presets.js";
import {range} from "./relation.js";
import {savePng, saveSvg} from "./save.js";
import {changed, format, LANGUAGES, parse, pasted, sizes, START, THEMES, VIEWS, withAxes} from "./state.js";
import {PICTURES, sentence} from "./views.js";
import {say, speak} from "./words.js";

const $ = (id) => document.getElementById(id);
const page = {
  state: START, layer: null, look: null, pairs: [], cards: [], problems: [],
  choice: {linked: true, asymmetric: false}, asked: {from: 6, to: 12, k: 3}, code: {framework: "PyTorch"}, spoken: null,
};
const player = makePlayer((time, look) => {
  plates().filter((plate) => plate.live === "time").forEach((plate) => { plate.turn(time); refresh(plate); });
  if (look) lookAt(look);
});

const plates = () => page.cards.flatMap((card) => card.plates);

// state

function update(state, {rebuild = true} = {}) {
  page.state = state;
  page.problems = broken(state);
  if (rebuild) buildSettings();
  complaints($("problems"), page.problems, state.n.length, act);
  if (page.problems.length) return;
  page.layer = makeLayer(state);
  player.load(page.layer);
  draw();
  remember();
}

const act = {
  change: (set) => update(changed(page.state, set)),
  axes: (ndim) => { page.look = null; update(withAxes(page.state, ndim)); },
  link: (on) => { page.choice.linked = on; buildSettings(); },
  asymmetric: (on) => { page.choice.asymmetric = on; if (on) buildSettings(); else act.change({hi: [...page.state.lo]}); },
  bias: (on) => update({...page.state, b: on ? range(page.state.co).map(() => 1) : null}),
  fill: (name, kind) => update({...page.state, [name]: preset(page.state, name, kind)}),
  paste: (name, text) => {
    const values = pasted(text);
    const want = sizes(page.state)[name];
    if (!values) return tell(say("not_numbers"));
    if (values.length !== want) return tell(say("wrong_count", {got: values.length, want}));
    tell("");
    return update({...page.state, [name]: values});
  },
};

function buildSettings() {
  const {state, choice} = page;
  const uneven = ["n", "k", "s", "lo", "hi", "op", "d"].some((name) => state[name].some((v) => v !== state[name][0]));
  if (uneven) choice.linked = false;
  if (state.lo.some((lo, a) => lo !== state.hi[a])) choice.asymmetric = true;
  const focused = document.activeElement?.closest("#settings") ? document.activeElement.name : null;
  settings($("settings"), state, choice, act);
  if (focused) $("settings").querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
}

/** A message for everybody, read aloud. */
function tell(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

/** The state into the address, where an address may be written (not in a notebook's frame). */
function remember() {
  try {
    history.replaceState(null, "", `#${format(page.state)}`);
  } catch {
    // the page works without
  }
}

// drawing

function draw() {
  const {layer, state} = page;
  const names = ["layer", ...(state.view === "all" ? VIEWS.slice(1) : [state.view])];
  if ($("views").dataset.names !== `${names}${state.lang}`) {
    page.cards = names.map((name) => card(name));
    $("views").replaceChildren(...page.cards.map((each) => each.section));
    $("views").dataset.names = `${names}${state.lang}`;
  }
  for (const each of page.cards) each.section.classList.remove("wide");
  const rooms = page.cards.map((each) => Math.max(260, (each.picture.clientWidth || 800) - 4)); // asks for a layout, once
  page.cards.forEach((each, n) => fill(each, layer, state, rooms[n], Math.max(...rooms)));
  $("sizes").replaceChildren(...sizesPanel(layer));
  $("code").replaceChildren(...codePanel(layer, page.code));
  lookAt(page.look && valid(page.look) ? page.look : busiest(layer), {quiet: true});
}

function card(name) {
  const picture = node("div", {className: "picture"});
  const notes = node("div", {className: "notes"});
  const made = {name, picture, notes, plates: []};
  const save = (kind, text) => node("button", {type: "button", name: `${kind}-${name}`, ariaLabel: `${say(`save_${kind}`)}: ${say(name)}`, title: say(`save_${kind}`),
    onclick: () => (kind === "svg" ? saveSvg : savePng)(made.svg, say(name), `tconv-${name}`)}, text);
  made.section = node("section", {className: "card", id: `card-${name}`},
    node("div", {className: "head"}, node("h2", {}, say(name)), node("div", {className: "saves"}, save("svg", "SVG"), save("png", "PNG"))),
    name === "layer" ? node("p", {className: "about"}, say("edit_hint")) : node("p", {className: "about"}, say(`about_${name}`)),
    picture, notes, name === "coverage" ? stackButtons() : "");
  if (name === "layer") made.section.classList.add("first");
  return made;
}

/** Draw one view into its card; one that is wider than its half of the page gets all of it. */
function fill(made, layer, state, room, widest) {
  const {items, notes = [], facts = null} = PICTURES[made.name](layer, state);
  let picture = placed(items, room);
  if (picture.width > room && widest > room) {
    made.section.classList.add("wide");
    picture = placed(items, widest);
  }
  made.svg = painted(picture, say(made.name));
  made.plates = picture.plates;
  made.facts = facts;
  made.picture.replaceChildren(made.svg);
  made.notes.replaceChildren(...notes.map((text) => node("p", {}, text)));
  for (const plate of made.plates) plate.grid.plate = plate;
}

function stackButtons() {
  const add = () => {
    const {k, s, d, lo, hi, op, stack} = page.state;
    const layer = [k.at(-1), s.at(-1), d.at(-1), lo.at(-1), hi.at(-1) - op.at(-1)];
    update({...page.state, stack: [...stack, layer].slice(-6)}, {rebuild: false});
  };
  return node("div", {className: "buttons"}, node("button", {type: "button", name: "stack-add", onclick: add}, say("add_layer")),
    node("button", {type: "button", name: "stack-clear", onclick: () => update({...page.state, stack: []}, {rebuild: false})}, say("clear_stack")),
    node("span", {className: "small"}, say("stack_axis")));
}

// looking

function valid(look) {
  const {layer} = page;
  const fits = (index, shape) => index.length === shape.length && index.every((n, a) => n >= 0 && n < shape[a]);
  if (look.kind === "x") return look.c < layer.ci && fits(look.at, layer.shape.x);
  if (look.kind === "w") return look.c < layer.ci && look.e < layer.co && fits(look.at, layer.shape.w);
  return look.kind === "p" && look.e < layer.co && fits(look.at, layer.shape.full);
}

function lookAt(look, {quiet = false} = {}) {
  const {layer} = page;
  const pairs = pairsOf(layer, look);
  const first = pairs.find((pair) => kept(layer, pair.p)) ?? pairs[0];
  const output = look.kind === "p" || !first ? pairs : pairsOf(layer, {kind: "p", e: first.e, at: first.p});
  [page.look, page.pairs] = [look, pairs];
  for (const plate of plates()) {
    if (plate.live === "look") { plate.turn(look, pairs, output); refresh(plate); }
    light(plate, look, pairs);
  }
  const value = look.kind === "p" && kept(layer, look.at) ? flatOutput(layer, look) : 0;
  const parts = sentence(layer, look, pairs, value);
  $("sum").replaceChildren(...parts.map(({text, hue}) => (hue ? node("b", {className: `${hue}-n`}, text) : text)));
  clearTimeout(page.spoken);
  if (!quiet) page.spoken = setTimeout(() => { $("live").textContent = $("sum").textContent; }, 300);
}

function pointed(event) {
  const svg = event.target.closest?.("svg.scene");
  if (!svg) return null;
  const box = svg.getBoundingClientRect();
  const scale = svg.width.baseVal.value / box.width;
  const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  const shown = page.cards.find((each) => each.svg === svg);
  for (const plate of shown?.plates ?? []) {
    const at = cellAt(plate, x, y);
    if (at !== null) return {plate, at};
  }
  return null;
}

function pointAt(plate, at) {
  plate.at = at;
  if (!plate.image) plate.grid.setAttribute("aria-activedescendant", `${plate.id}-${at}`);
  const look = plate.pick(at);
  if (look && JSON.stringify(look) !== JSON.stringify(page.look)) lookAt(look);
}

const MOVES = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};

function neighbour(plate, [rows, columns]) {
  const {size} = plate;
  const across = size.slices * size.columns;
  const area = size.rows * size.columns;
  const [slice, inner] = [Math.floor(plate.at / area), plate.at % area];
  const row = Math.min(Math.max(Math.floor(inner / size.columns) + rows, 0), size.rows - 1);
  const column = Math.min(Math.max(slice * size.columns + inner % size.columns + columns, 0), across - 1);
  return Math.floor(column / size.columns) * area + row * size.columns + column % size.columns;
}

function pressed(event) {
  const plate = event.target.plate;
  if (plate && MOVES[event.key]) {
    pointAt(plate, neighbour(plate, MOVES[event.key]));
    event.preventDefault();
  } else if (plate?.edit && (event.key === "Enter" || /^[-\d.]$/.test(event.key))) {
    edit(plate, plate.at, event.key === "Enter" ? null : event.key);
    event.preventDefault();
  } else if (!event.target.closest("input, select, textarea, button, summary, pre") && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const command = {" ": player.play, ".": () => player.move(1), ",": () => player.move(-1)}[event.key];
    if (command) { command(); event.preventDefault(); }
  }
}

function edit(plate, at, typed) {
  const shown = page.cards.find((each) => each.plates.includes(plate));
  editor(shown.picture, plate, at, typed, (value) => {
    const {array, first} = plate.edit;
    const values = [...page.state[array]];
    values[first + at] = value;
    update({...page.state, [array]: values});
    const again = plates().find((each) => each.name === plate.name && each.edit);
    again.at = at;
    again.grid.focus();
  });
}

// beginnings

function listen() {
  const views = $("views");
  views.addEventListener("pointermove", (event) => { const at = pointed(event); if (at) pointAt(at.plate, at.at); });
  views.addEventListener("pointerdown", (event) => { const at = pointed(event); if (at) { pointAt(at.plate, at.at); at.plate.grid.focus({preventScroll: true}); } });
  views.addEventListener("dblclick", (event) => { const at = pointed(event); if (at?.plate.edit) edit(at.plate, at.at, null); });
  views.addEventListener("focusin", (event) => { const {plate} = event.target; if (plate) { plate.at ??= 0; pointAt(plate, plate.at); } });
  views.addEventListener("paste", (event) => { const {plate} = event.target; if (plate?.edit) act.paste(plate.edit.array, event.clipboardData.getData("text")); });
  document.addEventListener("keydown", pressed);
  window.addEventListener("hashchange", () => restore(location.hash));
  let width = 0;
  new ResizeObserver(() => { const now = views.clientWidth; if (Math.abs(now - width) > 8) { width = now; if (page.layer) draw(); } }).observe(views);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}

function repaint() {
  forgetColours();
  if (page.layer) draw();
}

function dress() {
  const {state} = page;
  speak(state.lang);
  document.documentElement.lang = state.lang === "zh" ? "zh-Hans" : "en";
  document.documentElement.dataset.theme = state.theme;
  document.title = say("title");
  forgetColours();
  document.querySelectorAll("[data-say]").forEach((each) => { each.textContent = say(each.dataset.say); });
  const choose = (name, options) => node("label", {}, say(name === "lang" ? "language" : name), node("select", {name, onchange: (event) => { page.state = {...page.state, [name]: event.target.value}; dress(); update(page.state); }},
    ...options.map(([value, text]) => node("option", {value, selected: value === state[name]}, text))));
  const link = node("button", {type: "button", name: "copy-link", onclick: () => copied(location.href, link, "link_is")}, say("copy_link"));
  $("choices").replaceChildren(
    choose("view", VIEWS.map((name) => [name, say(name)])), choose("theme", THEMES.map((name) => [name, say(name)])),
    choose("lang", LANGUAGES.map((name) => [name, {en: "English", zh: "中文"}[name]])), link);
  player.layer = page.layer ?? makeLayer(state);
  player.build($("player"));
  $("legend").replaceChildren(...["input", "kernel", "output", "cropped", "hole", "zero"].map((role) => node("li", {}, node("span", {className: `chip ${role}`}), say(`role_${role}`))));
  $("solver").replaceChildren(...solverPanel(page.asked, load));
}

/** A solution of the shape solver, on every axis. */
function load(each, from) {
  const all = (value) => page.state.n.map(() => value);
  update(changed(page.state, {n: all(Math.min(from, 32)), k: all(each.k), s: all(each.s), lo: all(each.p), hi: all(each.p), op: all(each.op), d: all(1)}));
}

/** Show the layer that a text describes; what it cannot mean is said, and left out. Colours and language stay. */
function restore(text, base = {...START, lang: page.state.lang, theme: page.state.theme}) {
  const {state, wrong, problems} = parse(text, base);
  tell([wrong.length ? say("bad_link", {what: wrong.join(", ")}) : "", problems.length ? say("bad_state") : ""].join(" ").trim());
  page.state = state ?? (page.layer ? page.state : base);
  dress();
  update(page.state);
}

function start() {
  listen();
  if (innerWidth <= 900) for (const id of ["drawer", "more"]) $(id).open = false;
  const given = JSON.parse($("start").textContent);
  const base = {...START, lang: navigator.language?.startsWith("zh") ? "zh" : "en", ...given};
  restore(location.hash, base);
}

start();
export const explorer = {page, restore, lookAt, player, parse, format};
globalThis.tconv = explorer; // for tests, and for the curious
