// A U-Net for a size that the reader types: what every level has, where a size does not come back, and what repairs it.

import {node} from "./controls.js";
import {range} from "./relation.js";
import {say} from "./words.js";

export const UPS = {"2, 2, 0": {k: 2, s: 2, p: 0}, "3, 2, 1": {k: 3, s: 2, p: 1}, "4, 2, 1": {k: 4, s: 2, p: 1}};

/**
 * The levels of a U-Net whose blocks keep sizes, full resolution first: {skip, pooled, up, out, op, crop, joined}; null
 * where a map would vanish. Pooling floors; `op` makes the layer's output as large as the skip where that is legal.
 */
export function network(size, depth, {k, s, p}) {
  const sizes = range(depth).reduce((all) => [...all, Math.floor(all.at(-1) / s)], [size]);
  if (sizes.at(-1) < 1) return null;
  let up = sizes.at(-1);
  const levels = [];
  for (const level of range(depth).reverse()) {
    const skip = sizes[level];
    const out = s * (up - 1) + k - 2 * p;
    const op = skip >= out && skip < out + s ? skip - out : 0;
    const over = skip - out - op;
    levels.unshift({skip, pooled: sizes[level + 1], up, out, op, crop: [Math.trunc(over / 2), over - Math.trunc(over / 2)], joined: out + op});
    up = out + op;
  }
  return levels;
}

/** The question, and the network drawn as the U that it is named after; `asked` is kept between two drawings. */
export function networkPanel(asked) {
  const place = node("div", {});
  const field = (name, least, most) => node("input", {type: "number", min: least, max: most, value: asked[name], name: `net-${name}`, ariaLabel: say(`net_${name}`), oninput: (event) => {
    const typed = Math.round(Number(event.target.value));
    if (event.target.value === "" || !(typed >= least && typed <= most)) return;
    asked[name] = typed;
    show();
  }});
  const layer = node("select", {name: "net-up", ariaLabel: say("net_up"), onchange: (event) => { asked.up = event.target.value; show(); }},
    ...Object.entries(UPS).map(([name, {k, s, p}]) => node("option", {value: name, selected: name === asked.up}, `${say("k")} ${k}, ${say("s")} ${s}, ${say("padding")} ${p}`)));
  const show = () => place.replaceChildren(...drawn(asked));
  show();
  return [node("p", {className: "about"}, say("about_network")), node("div", {className: "question"},
    node("label", {}, say("net_size"), field("size", 1, 4096)), node("label", {}, say("net_depth"), field("depth", 1, 8)), node("label", {}, say("net_up"), layer)), place];
}

function drawn({size, depth, up}) {
  const levels = network(size, depth, UPS[up]);
  if (!levels) return [node("p", {}, say("net_small", {size, depth, least: 2 ** depth}))];
  const rows = levels.map((level, n) => {
    const cut = level.crop.some(Boolean);
    const fits = cut ? say("net_crop", {lo: level.crop[0], hi: level.crop[1]}) : level.op ? say("net_op", {op: level.op}) : say("net_fits");
    const inset = `${12 * n}%`;
    const row = node("div", {className: `level ${cut ? "misfit" : level.op ? "repaired" : ""}`}, node("span", {className: "cells_ input"}, String(level.skip)),
      node("span", {className: "joins"}, node("span", {className: "fit"}, fits)), node("span", {className: "cells_ output"}, `${level.up} → ${level.joined}`));
    row.style.margin = `0 calc(${inset} / 2)`;
    return row;
  });
  const bottom = node("div", {className: "level bottom"}, node("span", {className: "cells_ kernel"}, String(levels.at(-1).pooled)));
  const odd = levels.filter((level) => level.op || level.crop.some(Boolean));
  const first = odd.at(-1);
  const says = first ? say(first.op ? "net_says_op" : "net_says_crop", {count: odd.length, all: depth, skip: first.skip, pooled: first.pooled, up: first.up, out: first.out, op: first.op, joined: first.joined}) : say("net_says_fits", {depth});
  return [node("div", {className: "network", role: "group", ariaLabel: say("network")}, ...rows, bottom), node("p", {className: "net-says"}, says)];
}
