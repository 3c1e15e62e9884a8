// What stands in a large view beside its picture: under it buttons that stack layers, and what chooses among the matrices
// that undo one; above it what chooses whose neurons are shown.

import {node} from "./controls.js";
import {CHAINS} from "./state.js";
import {say} from "./words.js";

const MOST_STACKED = 6;

/** A layer whose inputs are lost: three of them make two outputs, and no matrix gives them back. */
const LOST = {n: [3], k: [2], s: [1], lo: [1], hi: [1], op: [0], d: [1], ci: 1, co: 1, g: 1, x: [1, 2, 3], w: [1, -1], b: null, stack: []};

/** By view; `page` has the state and `free`, `update(state)` shows another one, `draw()` this one, `leave()` remembers it. */
export function makeUnder(page, {update, draw, leave}) {
  const add = () => {
    const {k, s, d, lo, hi, op, stack} = page.state;
    const layer = [k.at(-1), s.at(-1), d.at(-1), lo.at(-1), hi.at(-1) - op.at(-1)];
    update({...page.state, stack: [...stack, layer].slice(-MOST_STACKED)}, {rebuild: false});
  };
  const button = (name, text, onclick) => node("button", {type: "button", name, onclick}, say(text));
  const coverage = () => node("div", {className: "buttons"}, button("stack-add", "add_layer", add),
    button("stack-clear", "clear_stack", () => update({...page.state, stack: []}, {rebuild: false})), node("span", {className: "small"}, say("stack_axis")));

  const move = (event) => { page.free = Number(event.target.value); draw(); };
  const lose = () => { leave(); page.look = null; update({...page.state, ...LOST}); };
  const undo = () => node("div", {className: "buttons"},
    node("label", {}, say("free"), node("input", {type: "range", name: "free", min: -2, max: 2, step: 0.25, value: page.free, oninput: move})), button("lost", "lost_example", lose));

  /** The cards are made anew for another chain, so that the button that was pressed is another one as well. */
  const choose = (chain) => {
    update({...page.state, chain}, {rebuild: false, fresh: false});
    document.querySelector(`#views [name="chain-${chain}"]`).focus({preventScroll: true});
  };
  const neurons = () => node("div", {className: "buttons", role: "group", ariaLabel: say("chain")}, ...CHAINS.map((chain) => (
    node("button", {type: "button", name: `chain-${chain}`, ariaPressed: String(page.state.chain === chain), onclick: () => choose(chain)}, say(`chain_${chain}`)))));
  return {coverage, undo, neurons};
}
