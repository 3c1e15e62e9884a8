// Stepping through inputs, outputs or taps: play, pause, step, scrub.

import {node} from "./controls.js";
import {links, placeW, toCanvas} from "./layer.js";
import {unflat} from "./relation.js";
import {say} from "./words.js";

const SPEEDS = {"½×": 1400, "1×": 700, "2×": 350, "4×": 170};

/** A player that calls show(time, look): time is {order, step}, or null for the whole. */
export function makePlayer(show) {
  const player = {order: "x", step: null, timer: null, pace: "1×", layer: null};

  player.count = () => ({x: player.layer.ci * player.layer.cells.x, p: player.layer.co * player.layer.cells.y, w: player.layer.w.length})[player.order];
  player.go = (step) => {
    player.step = step === null || step < 0 || step >= player.count() ? null : step;
    player.sync();
    show(player.step === null ? null : {order: player.order, step: player.step}, player.step === null ? null : stepLook(player.layer, player.order, player.step));
  };
  player.move = (by) => { player.pause(); player.go(player.step === null ? (by > 0 ? 0 : player.count() - 1) : player.step + by); };
  player.pause = () => { clearInterval(player.timer); player.timer = null; player.sync(); };
  player.play = () => {
    if (player.timer) return player.pause();
    player.go(player.step === null ? 0 : player.step + 1);
    player.timer = setInterval(() => {
      player.go(player.step + 1);
      if (player.step === null) player.pause(); // the walk ends with the whole
    }, SPEEDS[player.pace]);
    return player.sync();
  };
  player.load = (layer) => { player.layer = layer; if (player.step !== null) { player.pause(); player.step = null; } player.sync(); };
  player.sync = () => {
    if (!player.slider) return;
    player.button.textContent = player.timer ? `❚❚ ${say("pause")}` : `▶ ${say("play")}`;
    player.slider.max = player.count(); // the last place is the whole
    player.slider.value = player.step ?? player.count();
    player.whole.disabled = player.step === null;
  };
  player.build = (place) => {
    const button = (name, text, label, onclick) => node("button", {type: "button", name, onclick, ariaLabel: label, title: label}, text);
    const choose = (name, options, chosen, set) => node("select", {name, ariaLabel: say(name), onchange: (event) => set(event.target.value)},
      ...options.map(([value, text]) => node("option", {value, selected: value === chosen}, text)));
    player.button = node("button", {type: "button", name: "play", className: "main", onclick: player.play});
    player.slider = node("input", {type: "range", min: 0, name: "scrub", ariaLabel: say("scrub"), oninput: (event) => { const step = Number(event.target.value); player.pause(); player.go(step); }});
    player.whole = node("button", {type: "button", name: "whole", onclick: () => { player.pause(); player.go(null); }}, say("stop"));
    place.replaceChildren(
      player.button, button("back", "‹", say("back"), () => player.move(-1)), button("step", "›", say("step"), () => player.move(1)),
      player.slider, player.whole,
      choose("by", ["x", "p", "w"].map((order) => [order, say(`by_${order}`)]), player.order, (order) => { player.pause(); player.order = order; player.go(null); }),
      choose("speed", Object.keys(SPEEDS).map((speed) => [speed, speed]), player.pace, (pace) => { player.pace = pace; if (player.timer) { player.pause(); player.play(); } }),
    );
    player.sync();
  };
  return player;
}

/** What is looked at in one step of a walk. */
function stepLook(layer, order, step) {
  if (order === "x") return {kind: "x", c: Math.floor(step / layer.cells.x), at: unflat(step % layer.cells.x, layer.shape.x)};
  if (order === "p") return {kind: "p", e: Math.floor(step / layer.cells.y), at: toCanvas(layer, unflat(step % layer.cells.y, layer.shape.y))};
  const place = Math.floor(step / layer.cells.w);
  const [c, e] = links(layer).find(([from, to]) => placeW(layer, from, to) === place);
  return {kind: "w", c, e, at: unflat(step % layer.cells.w, layer.shape.w)};
}
