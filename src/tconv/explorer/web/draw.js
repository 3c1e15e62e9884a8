// Plates on paper: a plate is an array of cells with a title; a picture is one SVG of plates and signs in lines.
//
// A plate: {name, title, shape, text(flat), role(flat), value(flat), hits(pair), owns(look), pick(flat), span(look),
// frame, first, edit, live, shade, dots, zooms, among}. `hits` says which cell a pair lights, `owns` which cell is meant by
// a look without pairs, `pick` what is looked at when somebody points at a cell; `live` names what its text depends on
// ("look", "time"); `shade` is another colour for lit cells, none, or "edged": lit cells keep their own and are framed;
// `dots` draws it without numbers, and `zooms` says that a reader may have them; `among` lights what is looked at where
// that is no layer of the page's.
//
// Numbers are drawn once. What lights up lies above them, as one path per plate and kind, so that pointing never touches
// a number. Plates with very many cells are drawn as an image, one dot per cell, and show their numbers when pointed at.

import {flat, product, range, unflat} from "./relation.js";
import {number, say} from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
export const MANY = {cells: 1100, columns: 64, rows: 64, dots: 600};
const HEAD = 34;
const SIDE = 20;
const GAP = 18;
const SIGN = 24;
const SLICE = 14;

let serial = 0;

export function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Rows and columns of a shape; slices of three axes stand side by side. */
const rowsOf = (shape) => (shape.length > 1 ? shape.at(-2) : 1);
const slicesOf = (shape) => (shape.length > 2 ? shape[0] : 1);

function measured(plate) {
  const {shape} = plate;
  const [slices, rows, columns] = [slicesOf(shape), rowsOf(shape), shape.at(-1)];
  const cells = product(shape);
  const image = Boolean(plate.dots) || cells > MANY.cells || slices * columns > MANY.columns || rows > MANY.rows;
  const side = shape.length > 1 ? SIDE : 0;
  const length = image ? 0 : Math.max(...range(cells).map((n) => plate.text(n).length), plate.longest ?? 1);
  const height = image ? Math.min(12, Math.max(2, Math.floor(520 / Math.max(slices * columns, rows)))) : slices * columns > 20 ? 22 : slices * columns > 11 ? 26 : 30;
  const font = Math.round(height * 0.46);
  const width = image ? height : Math.max(height, Math.ceil(length * font * 0.62 + 8));
  const gap = image ? 4 : SLICE;
  const across = side + slices * columns * width + (slices - 1) * gap;
  return {
    image, slices, rows, columns, side, height, width, font, gap,
    across: Math.max(across, lettersWide(plate.title)), down: HEAD + rows * height + 4,
  };
}

/** The width of a title: letters of Chinese are as wide as they are high. */
const lettersWide = (text) => [...text].reduce((sum, letter) => sum + (letter > "\u2e80" ? 14 : 8.2), 0);

/** The top left corner of a cell, within its plate. */
export function corners(plate, at) {
  const {size} = plate;
  const index = unflat(at, plate.shape);
  const [slice, row, column] = [index.length > 2 ? index[0] : 0, index.length > 1 ? index.at(-2) : 0, index.at(-1)];
  return [size.side + slice * (size.columns * size.width + size.gap) + column * size.width, HEAD + row * size.height];
}

/** The cell at a place of the picture; null between cells. */
export function cellAt(plate, x, y) {
  const {size, shape} = plate;
  const [left, top] = [x - plate.x - size.side, y - plate.y - HEAD];
  const slice = Math.floor(left / (size.columns * size.width + size.gap));
  const column = Math.floor((left - slice * (size.columns * size.width + size.gap)) / size.width);
  const row = Math.floor(top / size.height);
  if (left < 0 || top < 0 || row >= size.rows || column >= size.columns || slice >= size.slices) return null;
  return flat([slice, row, column].slice(-shape.length), shape);
}

/**
 * Put plates and signs into lines of at most `room`. A list within the list is a column; a sign stays with what follows
 * it; "\n" begins a line.
 */
export function placed(items, room) {
  const paper = {plates: [], signs: [], width: 0, height: 0};
  let [x, y, line, sign] = [0, 0, 0, null];
  const next = () => { [x, y, line] = [0, y + line + 6, 0]; };
  for (const item of items) {
    if (item === "\n") { next(); continue; }
    if (typeof item === "string") { sign = item; continue; }
    const column = [item].flat();
    column.forEach((plate) => { plate.size ??= measured(plate); });
    const across = Math.max(...column.map((plate) => plate.size.across));
    const before = sign ? SIGN : 0;
    if (x > 0 && x + before + across > room) next();
    if (sign) paper.signs.push({text: sign, x: x + SIGN / 2 - 8, y: y + HEAD + 15});
    x += before;
    let below = y;
    for (const plate of column) {
      [plate.x, plate.y] = [x, below];
      below += plate.size.down + 8;
      paper.plates.push(plate);
    }
    x += across;
    paper.width = Math.max(paper.width, x + 2);
    line = Math.max(line, below - 8 - y);
    [x, sign] = [x + GAP, null];
  }
  return {...paper, width: Math.ceil(paper.width), height: Math.ceil(y + line) + 2};
}

/** The picture of placed plates, for a reader who may point at cells. */
export function painted(picture, label) {
  const {width, height} = picture;
  const svg = element("svg", {
    class: "scene", width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label,
  });
  for (const sign of picture.signs) {
    svg.append(element("text", {class: "sign", x: sign.x, y: sign.y, "aria-hidden": "true"}, sign.text));
  }
  for (const plate of picture.plates) {
    plate.group = element("g", {class: "plate", transform: `translate(${plate.x} ${plate.y})`, "data-plate": plate.name});
    plate.group.append(heading(plate), floor(plate), ...marks(plate));
    svg.append(plate.group);
  }
  return svg;
}

function heading(plate) {
  const {size, shape} = plate;
  const group = element("g", {"aria-hidden": "true"});
  plate.heading = element("text", {class: `name ${plate.hue}-n`, x: size.side, y: 12}, plate.title);
  group.append(plate.heading);
  if (size.image) return group;
  const first = plate.first ?? shape.map(() => 0);
  for (const slice of range(size.slices)) {
    for (const column of range(size.columns)) {
      const x = size.side + slice * (size.columns * size.width + size.gap) + (column + 0.5) * size.width;
      const text = shape.length > 2 && column === 0 ? `${slice},·,0` : String(column + first.at(-1));
      group.append(element("text", {class: "index", x, y: HEAD - 6}, text));
    }
  }
  for (const row of shape.length > 1 ? range(size.rows) : []) {
    group.append(element("text", {class: "index end", x: size.side - 5, y: HEAD + (row + 0.5) * size.height}, String(row + first.at(-2))));
  }
  return group;
}

/** What lies under the numbers: the cells' colours. */
function floor(plate) {
  const {size, shape} = plate;
  if (size.image) {
    const area = {width: size.slices * size.columns * size.width, height: size.rows * size.height};
    return plate.picture = element("image", {x: size.side, y: HEAD, ...area, preserveAspectRatio: "none"});
  }
  plate.rects = range(product(shape)).map((n) => {
    const [x, y] = corners(plate, n);
    return element("rect", {x, y, width: size.width, height: size.height});
  });
  return element("g", {class: "floor", "aria-hidden": "true"}, ...plate.rects);
}

/** The numbers, as a grid that a keyboard and a screen reader can walk through. */
function walkable(plate) {
  const {size, shape} = plate;
  const label = say(plate.edit ? "grid_label_edit" : plate.zooms ? "grid_label_zoom" : "grid_label", {title: plate.title, size: shape.join(" × ")});
  const grid = element("g", {class: "cells", role: size.image ? "img" : "grid", tabindex: 0, "aria-label": label});
  if (size.image) return grid;
  plate.id = `plate${serial++}`;
  plate.texts = [];
  let row = null;
  for (const n of range(product(shape))) {
    if (n % size.columns === 0) grid.append(row = element("g", {role: "row"}));
    const [x, y] = corners(plate, n);
    const text = element("text", {x: x + size.width / 2, y: y + size.height / 2, "font-size": size.font, role: "gridcell", id: `${plate.id}-${n}`});
    plate.texts.push(text);
    row.append(text);
  }
  return grid;
}

/** The numbers of a plate, written anew. */
export function refresh(plate) {
  if (plate.heading.textContent !== plate.title) plate.heading.textContent = plate.title;
  if (plate.size.image) {
    plate.picture.setAttribute("href", dots(plate));
    return;
  }
  plate.texts.forEach((text, n) => {
    const [shown, role] = [plate.text(n), plate.role(n)];
    if (text.textContent !== shown) text.textContent = shown;
    if (plate.rects[n].getAttribute("class") !== role) {
      plate.rects[n].setAttribute("class", role);
      text.setAttribute("class", `${role}-t`);
    }
  });
}

/** An image of the cells, the stronger the larger the value. Three axes stand side by side here as well. */
function dots(plate) {
  const {size, shape} = plate;
  const [columns, rows] = [Math.min(size.slices * size.columns, MANY.dots), Math.min(size.rows, MANY.dots)];
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [columns, rows];
  const pen = sheet.getContext("2d");
  const paint = pen.createImageData(columns, rows);
  let most = 0;
  for (let n = product(shape) - 1; n >= 0; n--) most = Math.max(most, Math.abs(plate.value(n)));
  for (const row of range(rows)) {
    for (const column of range(columns)) {
      const slice = Math.floor(column / size.columns);
      const n = slice * size.rows * size.columns + row * size.columns + column % size.columns;
      const [fill, strong] = colours(plate.role(n));
      const share = most ? Math.abs(plate.value(n)) / most : 0;
      for (const part of range(3)) paint.data[4 * (row * columns + column) + part] = fill[part] + (strong[part] - fill[part]) * share;
      paint.data[4 * (row * columns + column) + 3] = 255;
    }
  }
  pen.putImageData(paint, 0, 0);
  size.columns * size.width !== columns * size.width && plate.picture.setAttribute("width", columns * size.width);
  if (rows < size.rows) plate.picture.setAttribute("height", rows * size.height);
  return sheet.toDataURL();
}

let known = new Map();

/** The fill and edge colour of a role as numbers, read from the page's style once per theme. */
function colours(role) {
  const name = role.split(" ")[0];
  if (!known.has(name)) {
    const style = getComputedStyle(document.documentElement);
    const read = (part) => style.getPropertyValue(`--${name}-${part}`).trim().match(/[0-9a-f]{2}/gi)?.map((pair) => parseInt(pair, 16)) ?? [128, 128, 128];
    known.set(name, [read("fill"), read("edge")]);
  }
  return known.get(name);
}

export const forgetColours = () => { known = new Map(); };

/** The numbers between what lies under and over them: lit cells; the kernel's place, the window, the cell itself. */
function marks(plate) {
  const path = (kind, d = "") => plate[`${kind}Path`] = element("path", {class: `${kind} ${plate.shade ?? plate.hue}`, "aria-hidden": "true", d});
  plate.grid = walkable(plate);
  const made = [path("lit"), path("changed"), plate.grid, path("frame", plate.frame ? outline(plate, plate.frame) : ""), path("span"), path("here")];
  refresh(plate);
  return made;
}

/** A rectangle around ranges of cells [from, to), one per axis, in every slice that they lie in. */
function outline(plate, ranges) {
  if (ranges.some(([from, to]) => to <= from)) return "";
  const [rows, columns] = [ranges.length > 1 ? ranges.at(-2) : [0, 1], ranges.at(-1)];
  return range(ranges.length > 2 ? ranges[0][1] - ranges[0][0] : 1).map((slice) => {
    const first = [slice + (ranges.length > 2 ? ranges[0][0] : 0), rows[0], columns[0]].slice(-plate.shape.length);
    const [x, y] = corners(plate, flat(first, plate.shape));
    return `M${x} ${y}h${(columns[1] - columns[0]) * plate.size.width}v${(rows[1] - rows[0]) * plate.size.height}H${x}z`;
  }).join("");
}

function box(plate, at) {
  const [x, y] = corners(plate, at);
  return `M${x} ${y}h${plate.size.width}v${plate.size.height}h${-plate.size.width}z`;
}

/** Mark the cells whose numbers are not those that stood here before. */
export function markChanged(plate, before) {
  const cells = plate.texts ? range(plate.texts.length).filter((n) => plate.texts[n].textContent !== before[n]) : [];
  plate.changedPath.setAttribute("d", cells.map((at) => box(plate, at)).join(""));
  return cells.length;
}

/** Light what takes part in a look: its pairs' cells, and the cell that is looked at itself. */
export function light(plate, look, pairs) {
  const lit = new Set();
  if (plate.hits) for (const pair of pairs) { const at = plate.hits(pair); if (at >= 0) lit.add(at); }
  const own = plate.owns ? plate.owns(look) : -1;
  if (own >= 0) lit.add(own);
  plate.litPath.setAttribute("d", [...lit].map((at) => box(plate, at)).join(""));
  plate.herePath.setAttribute("d", own >= 0 ? box(plate, own) : "");
  plate.spanPath.setAttribute("d", plate.span ? outline(plate, plate.span(look) ?? [[0, 0]]) : "");
  plate.lit = lit;
}
