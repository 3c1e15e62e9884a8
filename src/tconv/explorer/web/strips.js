// Pictures of one axis for the lesson: a table with one column per place, so that what meets stands in one column. A
// table is read by screen readers, copied, printed and fitted to a phone without any work of ours.

import {node} from "./controls.js";
import {range} from "./relation.js";
import {say} from "./words.js";

/**
 * Rows over `columns` places, under a `title`. A row is {label, hue, cell(place)} with cells {text, role, lit, hidden} or null where it is
 * empty; or {label, spans: [{from, to, text, role}]}, which says in words what the places from..to are.
 */
export function strips({label, columns, rows, heads = null, pick = null, title = null}) {
  const table = node("table", {className: "strips", ariaLabel: label});
  if (title) table.append(node("caption", {}, title));
  table.style.setProperty("--columns", columns);
  if (heads) {
    const names = range(columns).map((place) => node("td", {className: "place"}, String(heads(place))));
    table.append(node("thead", {}, node("tr", {}, node("td", {className: "place"}, say("l_place")), ...names)));
  }
  table.append(node("tbody", {}, ...rows.filter(Boolean).map((row) => (row.spans ? spanRow(row, columns) : cellRow(row, columns)))));
  if (pick) {
    table.classList.add("picks");
    table.addEventListener("pointerdown", (event) => {
      const cell = event.target.closest("td");
      if (cell?.dataset.place) pick(Number(cell.dataset.place), Number(cell.dataset.row));
    });
  }
  [...table.rows].forEach((row, n) => row.querySelectorAll("td").forEach((cell) => { cell.dataset.row = n - (heads ? 1 : 0); }));
  return table;
}

const rowName = ({label, hue}) => node("th", {scope: "row", className: hue ? `${hue}-n` : ""}, label ?? "");

function cellRow(row, columns) {
  return node("tr", {className: row.lit ? "lit-row" : ""}, rowName(row), ...range(columns).map((place) => {
    const found = row.cell(place);
    const made = node("td", {className: found ? ["cell", found.role, found.lit ? "lit" : "", found.hidden ? "hidden" : ""].filter(Boolean).join(" ") : "empty"},
      found ? (found.hidden ? "?" : found.text) : "");
    made.dataset.place = place;
    return made;
  }));
}

function spanRow(row, columns) {
  const made = node("tr", {className: "spans"}, rowName(row));
  let place = 0;
  const blank = (count) => (count > 0 ? [node("td", {colSpan: count})] : []);
  for (const {from, to, text, role} of row.spans.filter((each) => each.to > each.from)) {
    made.append(...blank(from - place), node("td", {colSpan: to - from, className: `span ${role}-n`}, text));
    place = to;
  }
  made.append(...blank(columns - place));
  return made;
}

/** A square picture of grey or green levels, one dot per value. */
export function pixels(values, side, label, {size = 132, tint = null} = {}) {
  const sheet = node("canvas", {width: side, height: side, className: "dots", role: "img", ariaLabel: label});
  sheet.style.width = `${size}px`;
  const pen = sheet.getContext("2d");
  const paint = pen.createImageData(side, side);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  values.forEach((value, n) => {
    const share = most > least ? (value - least) / (most - least) : 0.5;
    const [from, to] = tint ?? [[24, 24, 24], [244, 244, 244]];
    range(3).forEach((part) => { paint.data[4 * n + part] = from[part] + (to[part] - from[part]) * share; });
    paint.data[4 * n + 3] = 255;
  });
  pen.putImageData(paint, 0, 0);
  return sheet;
}
