// A field over a cell, to type its number into.

import {corners} from "./draw.js";
import {node} from "./controls.js";
import {NUMBER} from "./state.js";
import {number, say} from "./words.js";

/**
 * Open a field over cell `at` of a picture that is drawn `scale` times as large; `done(value)` is called with a number,
 * `refused(text)` with what is none.
 */
export function editor(place, plate, at, typed, {scale = 1, done, refused}) {
  const [x, y] = corners(plate, at).map((length, axis) => (length + (axis ? plate.y : plate.x)) * scale);
  const [width, height] = [plate.size.width * scale, plate.size.height * scale];
  const field = node("input", {
    type: "text", inputMode: "decimal", className: "editor", value: typed ?? number(plate.value(at)), autocomplete: "off",
    ariaLabel: say("new_value", {name: `${plate.title} ${at}`}), name: "cell",
  });
  const wide = Math.max(width, 48);
  const [frame, drawn] = [place, place.querySelector("svg")].map((each) => each.getBoundingClientRect());
  field.style.left = `${drawn.left - frame.left + place.scrollLeft + x - (wide - width) / 2}px`;
  field.style.top = `${drawn.top - frame.top + y}px`;
  field.style.width = `${wide}px`;
  field.style.height = `${Math.max(height, 24)}px`;
  let over = false;
  const close = (take) => {
    if (over) return;
    over = true;
    const text = field.value.trim();
    field.remove();
    if (take && NUMBER.test(text) && Math.abs(text) <= 1e9) return done(Number(text));
    if (take && text !== "") refused(text);
    return plate.grid.focus();
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") close(true);
    if (event.key === "Escape") close(false);
  });
  field.addEventListener("blur", () => close(true));
  place.append(field);
  field.focus();
  if (typed === null) field.select();
}
