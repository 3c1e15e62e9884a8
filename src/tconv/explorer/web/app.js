// The page: one state, drawn when it changes; one look, lit when it changes; and the lesson before it.

import {makeBelow} from "./below.js";
import {card, fillCards} from "./cards.js";
import {complaints, node, settings, summary} from "./controls.js";
import {cellAt, forgetColours, light, refresh} from "./draw.js";
import {editor} from "./editor.js";
import {broken, DRAWN} from "./laws.js";
import {busiest, flatOutput, kept, makeLayer, pairsOf} from "./layer.js";
import {makeLesson} from "./lesson.js";
import {codePanel, copied, sizesPanel} from "./panels.js";
import {makePlayer} from "./player.js";
import {preset} from "./presets.js";
import {range} from "./relation.js";
import {changed, format, LANGUAGES, parse, pasted, PER_AXIS_NAMES, sizes, START, THEMES, VIEWS, withAxes, withNumbersOf} from "./state.js";
import {makeUnder} from "./under.js";
import {sentence} from "./views.js";
import {say, speak} from "./words.js";

const $ = (id) => document.getElementById(id);
const page = {
  state: START, layer: null, look: null, pairs: [], cards: [], problems: [], before: {}, zoomed: new Set(), free: 0, later: 0, width: 0,
  choice: {linked: true, asymmetric: false}, code: {framework: "PyTorch"}, spoken: null, faded: null,
};
const player = makePlayer((time, look) => {
  plates().filter((plate) => plate.live === "time").forEach((plate) => { plate.turn(time); refresh(plate); });
  if (look) lookAt(look);
});
const lesson = makeLesson({
  open: (layer) => { leave(); page.look = null; restore("", {...page.state, ...layer, lesson: 0}); scrollTo({top: 0, behavior: "instant"}); },
  reached: (step) => { if (page.state.lesson) { page.state = {...page.state, lesson: step}; remember(); } },
});

const under = makeUnder(page, {update: (...all) => update(...all), draw: () => draw(), leave: () => leave()});
const below = makeBelow((solution, from) => load(solution, from));

const plates = () => page.cards.flatMap((each) => each.plates);

// state

function update(state, {rebuild = true, fresh = true} = {}) {
  page.state = state;
  page.problems = broken(state);
  if (rebuild) buildSettings();
  buildLine(fresh);
  complaints($("problems"), page.problems, state.n.length, act);
  $("explorer").classList.toggle("stale", page.problems.length > 0);
  remember();
  if (page.problems.length) return;
  page.layer = makeLayer(state);
  player.load(page.layer);
  if (!$("explorer").hidden) draw(fresh);
}

const act = {
  change: (set) => update(changed(page.state, set)),
  axes: (ndim) => {
    page.before[page.state.n.length] = page.state;
    page.look = null;
    const next = withAxes(page.state, ndim);
    update(page.before[ndim] ? withNumbersOf(next, page.before[ndim]) : next);
  },
  link: (on) => {
    page.choice.linked = on;
    if (on) act.change(Object.fromEntries(PER_AXIS_NAMES.map((name) => [name, page.state[name].map(() => page.state[name][0])])));
    else buildSettings();
  },
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
  close: () => { $("drawer").open = false; $("drawer").firstElementChild.focus(); },
  tell,
};

function buildSettings() {
  const {state, choice} = page;
  const uneven = PER_AXIS_NAMES.some((name) => state[name].some((v) => v !== state[name][0]));
  if (uneven) choice.linked = false;
  if (state.lo.some((lo, a) => lo !== state.hi[a])) choice.asymmetric = true;
  const focused = document.activeElement?.closest("#settings") ? document.activeElement.name : null;
  settings($("settings"), state, choice, act);
  if (focused) $("settings").querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
}

/** The settings in one line; what has changed is marked for a moment. */
function buildLine(fresh) {
  const before = new Map([...$("line").children].map((each) => [each.dataset.field, each.textContent]));
  $("line").replaceChildren(...summary(page.state).map(([field, text]) => {
    const part = node("span", {className: fresh && before.has(field) && before.get(field) !== text ? "part new" : "part"}, text);
    part.dataset.field = field;
    return part;
  }));
  clearTimeout(page.faded);
  page.faded = setTimeout(() => {
    $("line").querySelectorAll(".new").forEach((each) => each.classList.remove("new"));
    plates().forEach((plate) => plate.changedPath?.setAttribute("d", ""));
  }, 1800);
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

function draw(fresh = false) {
  const {layer, state} = page;
  const order = ["layer", ...(state.view === "all" ? VIEWS.slice(1) : [state.view, ...VIEWS.slice(1).filter((name) => name !== state.view)])];
  const names = [order, state.lang, state.view, state.chain].join();
  const anew = $("views").dataset.names !== names;
  if (anew) buildCards(order);
  $("views").dataset.names = names;
  page.width ||= $("views").clientWidth; // asking for it lays out the whole page, so that it is asked once
  fillCards($("views").firstElementChild, page.cards, layer, {...state, zoomed: page.zoomed, free: page.free}, page.width, fresh);
  $("sizes").replaceChildren(...sizesPanel(layer));
  $("code").replaceChildren(...codePanel(layer, page.code));
  buildLegend();
  const seen = page.look && valid(page.look) ? page.look : null;
  lookAt(seen ?? busiest(layer), {quiet: true});
  const {among} = page.cards[1].content; // of other layers, which are looked at until somebody points at this one
  if (among && (anew || !seen)) lookAmong(among, true);
}

function buildCards(order) {
  page.cards = order.map((name, n) => card(name, page.state.view !== "all" && n > 1, choose));
  const sections = (small) => page.cards.filter((each) => each.small === small).map((each) => each.section);
  for (const each of page.cards.filter(({name, small}) => under[name] && !small)) each.section.insertBefore(under[each.name](), each.name === "neurons" ? each.picture : null);
  $("views").replaceChildren(node("div", {className: "stage"}, ...sections(false)), node("div", {className: "small-cards"}, ...sections(true)));
}

/** Show another view large, and go there. */
function choose(view) {
  update({...page.state, view}, {fresh: false});
  dressChoices();
  const {section} = page.cards[1];
  section.tabIndex = -1;
  section.focus({preventScroll: true});
  if (section.getBoundingClientRect().top < $("bar").offsetHeight) section.scrollIntoView({block: "nearest"});
}

function buildLegend() {
  const roles = ["input", "kernel", "output", "cropped", "hole", "zero"];
  $("legend").replaceChildren(...roles.map((role) => node("li", {}, node("span", {className: `chip ${role}`}), say(role === "hole" && !page.state.b ? "role_hole_0" : `role_${role}`))));
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
  shine(false, look, pairs, output);
  cancelAnimationFrame(page.later);
  page.later = requestAnimationFrame(() => shine(true, look, pairs, output));
  const value = look.kind === "p" && kept(layer, look.at) ? flatOutput(layer, look) : 0;
  tellOf(sentence(layer, look, pairs, value), quiet);
}

/** What is looked at, in words; aloud once somebody rests there. */
function tellOf(parts, quiet) {
  $("sum").replaceChildren(...parts.map(({text, hue}) => (hue ? node("b", {className: `${hue}-n`}, text) : text)));
  clearTimeout(page.spoken);
  if (!quiet) page.spoken = setTimeout(() => { $("live").textContent = $("sum").textContent; }, 300);
}

/** Look at a layer that is not the page's: its picture lights itself. */
const lookAmong = (among, quiet) => { page.look = null; tellOf(among(), quiet); };

/** Light the large views at once, and the small ones with the next frame, so that pointing stays quick. */
function shine(small, look, pairs, output) {
  for (const each of page.cards.filter((made) => made.small === small && !made.content.among)) {
    for (const plate of each.plates) {
      if (plate.live === "look") { plate.turn(look, pairs, output); refresh(plate); }
      light(plate, look, pairs);
    }
    each.edges?.(pairs);
  }
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

/** Look at what somebody points at; a walk stops for it. */
function pointAt(plate, at) {
  if (player.timer) player.pause();
  plate.at = at;
  if (!plate.size.image) plate.grid.setAttribute("aria-activedescendant", `${plate.id}-${at}`);
  const look = plate.pick(at);
  if (plate.among) lookAmong(() => plate.among(look), false);
  else if (look && JSON.stringify(look) !== JSON.stringify(page.look)) lookAt(look);
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
  if ($("explorer").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (plate && MOVES[event.key]) {
    pointAt(plate, neighbour(plate, MOVES[event.key]));
    event.preventDefault();
  } else if (plate?.edit && (event.key === "Enter" || /^[-\d]$/.test(event.key))) {
    edit(plate, plate.at, event.key === "Enter" ? null : event.key);
    event.preventDefault();
  } else if (plate?.zooms && event.key === "Enter") {
    zoom(plate);
  } else if (!event.target.closest("input, select, textarea, button, summary, pre, a")) {
    const command = {" ": player.play, ".": () => player.move(1), ",": () => player.move(-1)}[event.key];
    if (command) { command(); event.preventDefault(); }
  }
}

/** The numbers of a matrix instead of dots, or dots again. */
function zoom({name, zooms}) {
  if (!page.zoomed.delete(zooms)) page.zoomed.add(zooms);
  draw();
  plates().find((each) => each.name === name).grid.focus({preventScroll: true});
}

function edit(plate, at, typed) {
  player.pause();
  const shown = page.cards.find((each) => each.plates.includes(plate));
  editor(shown.picture, plate, at, typed, {
    scale: shown.scale,
    refused: (text) => tell(say("not_a_number", {text: text.slice(0, 40)})),
    done: (value) => {
      const {array, first} = plate.edit;
      const values = [...page.state[array]];
      values[first + at] = value;
      tell("");
      update({...page.state, [array]: values});
      const again = plates().find((each) => each.name === plate.name && each.edit);
      again.at = at;
      again.grid.focus();
    },
  });
}

// beginnings

function listen() {
  const views = $("views");
  views.addEventListener("pointermove", (event) => { const at = pointed(event); if (at) pointAt(at.plate, at.at); });
  views.addEventListener("pointerdown", (event) => { const at = pointed(event); if (at) { pointAt(at.plate, at.at); at.plate.grid.focus({preventScroll: true}); } });
  views.addEventListener("dblclick", (event) => { const at = pointed(event); if (at?.plate.edit) edit(at.plate, at.at, null); else if (at?.plate.zooms) zoom(at.plate); });
  views.addEventListener("focusin", (event) => { const {plate} = event.target; if (plate) { plate.at ??= 0; pointAt(plate, plate.at); } });
  views.addEventListener("paste", (event) => { const {plate} = event.target; if (plate?.edit) act.paste(plate.edit.array, event.clipboardData.getData("text")); });
  document.addEventListener("keydown", pressed);
  window.addEventListener("hashchange", () => { if (!document.getElementById(location.hash.slice(1))) restore(location.hash); });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); (page.state.lesson ? $("main") : $("views")).focus(); });
  $("line").parentElement.addEventListener("click", (event) => { // the field that is meant, once the settings are open
    const name = event.target.dataset?.field;
    if (name && !$("drawer").open) setTimeout(() => $("settings").querySelector(`[name="${name}"]`)?.focus());
  });
  $("drawer").addEventListener("toggle", () => { // on a phone the settings lie over the page's end: bring what they change above
    if ($("drawer").open && innerWidth <= 900) scrollTo({top: views.offsetTop - $("bar").offsetHeight - 8, behavior: "instant"});
  });
  new ResizeObserver(() => { const now = views.clientWidth; if (now && Math.abs(now - page.width) > 8) { page.width = now; if (page.layer) draw(); } }).observe(views);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}

function repaint() {
  forgetColours();
  if (page.layer && !$("explorer").hidden) draw();
}

function dress() {
  const {state} = page;
  speak(state.lang);
  document.documentElement.lang = state.lang === "zh" ? "zh-Hans" : "en";
  if (document.documentElement.dataset.theme !== state.theme) forgetColours();
  document.documentElement.dataset.theme = state.theme;
  document.title = say("title");
  document.querySelectorAll("[data-say]").forEach((each) => { each.textContent = say(each.dataset.say); });
  $("lesson").hidden = !state.lesson;
  $("explorer").hidden = Boolean(state.lesson);
  dressChoices();
  player.layer = page.layer ?? makeLayer(state);
  player.build($("player"));
  below.build(state.lang);
  if (state.lesson) lesson.build($("lesson"), state.lang);
}

/** What stands above everything: lesson or explorer, the view, colours, language, the link. */
function dressChoices() {
  const {state} = page;
  const mode = (step, name) => node("a", {href: step ? "#lesson=1" : "#view=stamp", ...(Boolean(state.lesson) === Boolean(step) ? {ariaCurrent: "page"} : {}), onclick: (event) => { event.preventDefault(); enter(step); }}, say(name));
  $("modes").replaceChildren(mode(1, "lesson"), mode(0, "explorer"));
  const chooser = (name, options) => node("label", {}, node("span", {className: "unseen"}, say(name === "lang" ? "language" : name)), node("select", {name, onchange: (event) => { page.state = {...page.state, [name]: event.target.value}; dress(); update(page.state, {fresh: false}); }},
    ...options.map(([value, text]) => node("option", {value, selected: value === state[name]}, text))));
  const link = node("button", {type: "button", name: "copy-link", onclick: () => copied(location.href, link, "link_is")}, say("copy_link"));
  $("choices").replaceChildren(
    ...(state.lesson ? [] : [chooser("view", VIEWS.map((name) => [name, say(name)]))]), chooser("theme", THEMES.map((name) => [name, say(name)])),
    chooser("lang", LANGUAGES.map((name) => [name, {en: "English", zh: "中文"}[name]])), link);
}

/** The lesson at a step, or the explorer (0), as a place that one can go back from. */
function enter(step) {
  leave();
  page.state = {...page.state, lesson: step};
  dress();
  update(page.state, {fresh: false});
  scrollTo({top: 0, behavior: "instant"});
}

/** Make this a place that one can come back to; a notebook's frame has no history. */
function leave() {
  try {
    history.pushState(null, "", location.href);
  } catch {
    // the page works without
  }
}

/** A solution of the shape solver, on every axis, and what was loaded in words. */
function load(each, asked) {
  const all = (value) => page.state.n.map(() => value);
  const layer = (n) => ({n: all(n), k: all(each.k), s: all(each.s), lo: all(each.p), hi: all(each.p), op: all(each.op), d: all(1)});
  let from = Math.min(asked, DRAWN.n);
  while (from > 1 && broken({...page.state, ...layer(from)}).length) from -= 1;
  update(changed(page.state, layer(from)));
  const made = say("loaded", {...each, from, to: page.layer.shape.y[0]});
  tell(from < asked ? `${made} ${say("loaded_smaller", {asked, from})}` : made);
  $("views").focus({preventScroll: true});
  scrollTo({top: 0, behavior: "instant"});
}

/** Show the layer that a text describes; what it cannot mean is said, and left out. Colours and language stay. */
function restore(text, base = {...START, lang: page.state.lang, theme: page.state.theme}) {
  const {state, shape, wrong, problems} = parse(text, base);
  tell([wrong.length ? say("bad_link", {what: wrong.join(", ")}) : "", problems.length ? say("bad_state") : ""].join(" ").trim());
  page.state = state ?? (page.layer ? page.state : base);
  dress();
  update(page.state, {fresh: false});
  if (problems.length) update(shape, {fresh: false});
  if (page.state.lesson > 1) lesson.show(page.state.lesson);
}

function start() {
  listen();
  const {at, net, trained, ...given} = JSON.parse($("start").textContent);
  below.begin({net, trained});
  const base = {...START, lang: navigator.language?.startsWith("zh") ? "zh" : "en", ...given};
  const linked = /(^#|&)(n|view)=/.test(location.hash); // a link to a layer does not mean the lesson
  restore(location.hash, linked ? {...base, lesson: 0} : base);
  if (at && !linked) below.reveal(at);
}

start();
export const explorer = {page, restore, lookAt, player, lesson, parse, format};
globalThis.tconv = explorer; // for tests, and for the curious
