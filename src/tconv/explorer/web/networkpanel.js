// The card "In a network": a U-Net or an FCN for a size that the reader types, drawn level by level.

import {node} from "./controls.js";
import {FCNS, fcn, seenByFcn, seenByUnet, unet, UPS} from "./network.js";
import {say} from "./words.js";

const KINDS = ["U-Net", ...Object.keys(FCNS)];

/** The question, and the network drawn as the U that it is named after; `asked` is kept between two drawings. */
export function networkPanel(asked) {
  const place = node("div", {className: "network-place"});
  const field = (name, least, most) => node("input", {type: "number", min: least, max: most, value: asked[name], name: `net-${name}`, ariaLabel: say(`net_${name}`), oninput: (event) => {
    const typed = Math.round(Number(event.target.value));
    if (event.target.value === "" || !(typed >= least && typed <= most)) return;
    asked[name] = typed;
    show();
  }});
  const choice = (name, options) => node("select", {name: `net-${name}`, ariaLabel: say(`net_${name}`), onchange: (event) => { asked[name] = event.target.value; show(); }},
    ...options.map(([value, text]) => node("option", {value, selected: value === asked[name]}, text)));
  const ups = Object.entries(UPS).map(([name, {k, s, p}]) => [name, `${say("k")} ${k}, ${say("s")} ${s}, ${say("padding")} ${p}`]);
  const kind = choice("kind", KINDS.map((name) => [name, name]));
  const only = [node("label", {}, say("net_depth"), field("depth", 1, 8)), node("label", {}, say("net_up"), choice("up", ups))];
  const about = node("p", {className: "about"});
  const cell = node("input", {type: "range", name: "net-cell", min: 0, step: 1, oninput: () => { asked.cell = Number(cell.value); show(); }});
  const output = node("output", {});
  const chooser = node("label", {className: "slider"}, node("span", {}, say("net_cell")), cell, output);
  const show = () => {
    const made = drawn(asked);
    only.forEach((each) => { each.hidden = asked.kind !== "U-Net"; });
    about.textContent = say(asked.kind === "U-Net" ? "about_network" : "about_fcn");
    chooser.hidden = !made.out;
    if (made.out) {
      cell.max = made.out - 1;
      cell.value = made.cell;
      output.textContent = cell.value;
    }
    place.replaceChildren(...made.parts);
  };
  show();
  return [about, node("div", {className: "question"}, node("label", {}, say("net_kind"), kind), node("label", {}, say("net_size"), field("size", 1, 4096)), ...only), place, chooser];
}

/** What is drawn, how many outputs there are, and which of them is looked at. */
function drawn(asked) {
  return asked.kind === "U-Net" ? drawnUnet(asked) : drawnFcn(asked);
}

/** The output that is looked at: the reader's, as far as there is one, else the middle. */
const looked = (asked, out) => Math.min(asked.cell ?? Math.floor(out / 2), out - 1);

function drawnUnet(asked) {
  const {size, depth} = asked;
  const layer = UPS[asked.up];
  const levels = unet(size, depth, layer);
  if (!levels) return {parts: [node("p", {}, say("net_small", {size, depth, least: 2 ** depth}))]};
  const out = levels[0].joined;
  const cell = looked(asked, out);
  const seen = seenByUnet(levels, layer, cell);
  const rows = levels.map((level, n) => {
    const cut = level.crop.some(Boolean);
    const fits = cut ? say("net_crop", {lo: level.crop[0], hi: level.crop[1]}) : level.op ? say("net_op", {op: level.op}) : say("net_fits");
    return row(n, cut ? "misfit" : level.op ? "repaired" : "", map("input", String(level.skip), seen.levels[n].skip, level.skip), fits,
      map("output", `${level.up} → ${level.joined}`, seen.levels[n].up, level.joined));
  });
  const bottom = levels.at(-1).pooled;
  const odd = levels.filter((level) => level.op || level.crop.some(Boolean));
  const first = odd.at(-1);
  const says = first ? say(first.op ? "net_says_op" : "net_says_crop", {count: odd.length, all: depth, skip: first.skip, pooled: first.pooled, up: first.up, out: first.out, op: first.op, joined: first.joined}) : say("net_says_fits", {depth});
  return {out, cell, parts: [drawing([...rows, node("div", {className: "level bottom"}, map("kernel", String(bottom), seen.bottom, bottom))]), node("p", {className: "net-says"}, says), sees(cell, seen.image, size)]};
}

function drawnFcn(asked) {
  const {size} = asked;
  const net = fcn(size, FCNS[asked.kind]);
  const cell = looked(asked, size);
  const seen = seenByFcn(net, cell);
  const rows = net.maps.slice(0, -1).map((cells, n) => {
    const up = net.ups.find((each) => each.level === n);
    const fit = n ? (up ? say("net_added") : "") : net.maps[0] > size ? say("net_cut", {size}) : say("net_fits");
    return row(n, n === 0 && net.maps[0] > size ? "repaired" : up ? "" : "alone", map("input", String(cells), seen.down[n], cells), fit,
      up ? map("output", `${up.from} → ${up.to}`, seen.up[n], up.to) : node("span", {className: "gap"}));
  });
  const bottom = node("div", {className: "level bottom"}, map("kernel", String(net.maps.at(-1)), seen.down.at(-1), net.maps.at(-1)));
  const layers = net.ups.map(({s}) => say("net_layer", {k: 2 * s, s, p: s / 2})).join("; ");
  const says = say(net.maps[0] > size ? "net_fcn_extended" : "net_fcn_fits", {size, padded: net.maps[0]});
  return {out: size, cell, parts: [drawing([...rows, bottom]), node("p", {className: "net-says"}, says, " ", say("net_fcn_layers", {layers})), sees(cell, seen.image, size)]};
}

function drawing(rows) {
  const made = node("div", {className: "network", role: "group", ariaLabel: say("network")}, ...rows);
  made.style.setProperty("--inset", Math.min(1, 5 / rows.length)); // so that the deepest level has room
  return made;
}

const sees = (cell, [from, to], size) => node("p", {className: "net-sees"}, say("net_sees", {cell, from, to, count: to - from + 1, size}));

/** One level: a map on the way down, what joins it to the way up, and the map there. */
function row(n, kind, left, fit, right) {
  const made = node("div", {className: `level ${kind}`}, left, node("span", {className: "joins"}, node("span", {className: "fit"}, fit)), right);
  made.style.setProperty("--depth", n);
  return made;
}

/** A map: its size, and a bar for what of it is seen. */
function map(hue, text, seen, size) {
  const bar = node("span", {className: "seen", ariaHidden: "true"});
  if (seen) {
    const part = node("span", {});
    part.style.marginLeft = `${100 * seen[0] / size}%`;
    part.style.width = `${100 * (seen[1] - seen[0] + 1) / size}%`;
    bar.append(part);
  }
  const made = node("span", {className: `cells_ ${hue}`}, text, bar);
  made.dataset.seen = seen ? seen.join(",") : "";
  return made;
}
