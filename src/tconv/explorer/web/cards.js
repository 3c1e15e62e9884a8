// Cards: one view each. Beside the layer one is large; the others are small pictures that react to whatever is looked at,
// and become large when they are chosen.

import {node} from "./controls.js";
import {markChanged, painted, placed} from "./draw.js";
import {savePng, saveSvg} from "./save.js";
import {say} from "./words.js";
import {PICTURES} from "./views.js";

const GROWS = 1.45; // cells of 30 become 44 where there is room
const TALL = 400; // beyond this height a picture does not grow
const SHRINKS = 0.72; // a picture becomes this much smaller before it is broken into lines
const MINIATURE = {line: 640, width: 220, height: 96};
const AROUND = 42; // a card's borders and paddings
const BETWEEN = 14;

/** A card without its picture; a small one can be chosen. */
export function card(name, small, choose) {
  const made = {name, small, plates: [], scale: 1, written: new Map(), picture: node("div", {className: "picture"}), notes: node("div", {className: "notes"})};
  const save = (kind, text) => node("button", {
    type: "button", name: `${kind}-${name}`, ariaLabel: `${say(`save_${kind}`)}: ${say(name)}`, title: say(`save_${kind}`),
    onclick: () => (kind === "svg" ? saveSvg : savePng)(made.svg, say(name), `tconv-${name}`),
  }, text);
  const head = node("div", {className: "head"}, node("h2", {}, say(name)));
  made.section = node("section", {className: small ? "card small-card" : "card", id: `card-${name}`}, head);
  if (small) {
    made.picture.inert = true;
    made.section.append(made.picture, node("button", {type: "button", className: "open", name: `open-${name}`, ariaLabel: say("show_large", {name: say(name)}), onclick: () => choose(name)}));
    return made;
  }
  head.append(node("div", {className: "saves"}, save("svg", "SVG"), save("png", "PNG")));
  made.about = node("p", {className: "about"}, say(name === "layer" ? "edit_hint" : `about_${name}`));
  made.section.append(made.about, made.picture, made.notes);
  return made;
}

/** Draw all cards for a layer; `fresh` marks the numbers that are not as they were. */
export function fillCards(stage, cards, layer, state, width, fresh) {
  const large = cards.filter((each) => !each.small);
  for (const each of cards) each.content = PICTURES[each.name](layer, {...state, width, chain: each.small ? "layer" : state.chain});
  const [half, whole] = [Math.floor((width - BETWEEN) / 2) - AROUND, width - AROUND];
  const narrow = large.map((each) => width >= 1000 && !each.content.wide && placed(each.content.items, Infinity).width <= half / SHRINKS);
  if (state.view !== "all" && !narrow.every(Boolean)) narrow.fill(false);
  pairUp(narrow);
  stage.classList.toggle("two", narrow.some(Boolean));
  large.forEach((each, n) => {
    each.section.classList.toggle("wide", !narrow[n]);
    fillCard(each, fitted(each.content, narrow[n] ? half : whole), fresh);
  });
  for (const each of cards.filter(({small}) => small)) fillCard(each, shrunk(each.content), fresh);
}

/** Two narrow cards share a line; one that would stand alone before a wide one, or at the end, is wide as well. */
function pairUp(narrow) {
  for (let n = 0; n < narrow.length; n++) {
    if (!narrow[n]) continue;
    if (narrow[n + 1]) n++;
    else narrow[n] = false;
  }
}

/** A picture as large as the room allows: on one line if it can be. */
function fitted({items, arrange}, room) {
  let picture = placed(items, Infinity);
  if (arrange && items.length) arrange(picture);
  else if (picture.width * SHRINKS > room) picture = placed(items, room);
  return [picture, Math.min(GROWS, room / picture.width, Math.max(1, TALL / picture.height))];
}

/** The first line of a picture, small: as it is or broken, whichever can be larger. */
function shrunk({items, arrange}) {
  const end = items.indexOf("\n");
  const first = end > 0 ? items.slice(0, end) : items;
  const scale = ({width, height}) => Math.min(1, MINIATURE.width / width, MINIATURE.height / height);
  const line = scale(placed(first, Infinity)) >= scale(placed(first, MINIATURE.line)) ? Infinity : MINIATURE.line;
  const picture = placed(first, line);
  if (arrange && items.length) arrange(picture);
  return [picture, scale(picture)];
}

function fillCard(made, [picture, scale], fresh) {
  const {notes = [], facts = null, about = null, table = null} = made.content;
  if (about) made.about.textContent = about;
  made.svg = painted(picture, say(made.name));
  made.svg.style.width = `${picture.width * scale}px`;
  made.svg.style.height = `${picture.height * scale}px`;
  Object.assign(made, {scale, facts, plates: picture.plates});
  made.edges = made.content.edges?.(made.svg);
  made.picture.replaceChildren(made.svg);
  const zooms = picture.plates.some((plate) => plate.zooms) ? [say("zoom_hint")] : [];
  made.notes.replaceChildren(...[...notes, ...zooms].map((text) => node("p", {}, text)), ...(table ? [tabled(table)] : []));
  const written = new Map();
  for (const plate of made.plates) {
    plate.grid.plate = plate;
    if (made.small) plate.grid.setAttribute("tabindex", -1);
    if (plate.live || !plate.texts) continue;
    const texts = plate.texts.map((text) => text.textContent);
    const before = made.written.get(plate.name);
    if (fresh && before?.length === texts.length) markChanged(plate, before);
    written.set(plate.name, texts);
  }
  made.written = written;
  made.content.among?.();
}

/** Counts in a table: `heads`, and rows that begin with what they are about. */
function tabled({heads, rows}) {
  return node("table", {className: "counts"}, node("thead", {}, node("tr", {}, ...heads.map((head) => node("th", {scope: "col"}, head)))),
    node("tbody", {}, ...rows.map(([name, ...values]) => node("tr", {}, node("th", {scope: "row"}, name), ...values.map((value) => node("td", {}, String(value)))))));
}
