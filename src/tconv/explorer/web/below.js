// What stands below the views and does not depend on the layer: the shape solver, networks, photographs. It is built once
// per language; the photographs only when somebody comes near them, as their kernels take a tenth of a second.

import {learnedPanel} from "./learnedpanel.js";
import {networkPanel} from "./networkpanel.js";
import {solverPanel} from "./panels.js";

/** `load(solution, from)` shows a layer that the solver found. */
export function makeBelow(load) {
  const asked = {from: 6, to: 12, k: 3};
  const net = {kind: "U-Net", size: 100, depth: 3, up: "2, 2, 0", cell: null};
  const trained = {k: 8, steps: 8};
  const place = (name) => document.getElementById(name);
  let built = null;

  const showLearned = () => { if (!place("learned").firstChild) place("learned").replaceChildren(...learnedPanel(trained)); };
  const near = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) showLearned(); }, {rootMargin: "400px"});
  addEventListener("beforeprint", () => { if (!place("explorer").hidden) showLearned(); });

  const build = (language) => {
    if (built === language) return;
    built = language;
    place("solver").replaceChildren(...solverPanel(asked, load));
    place("network").replaceChildren(...networkPanel(net));
    place("learned").replaceChildren();
    near.unobserve(place("learned")); // and anew, as it tells only of changes
    near.observe(place("learned"));
  };
  /** What the page's maker asks of a network and of the training, before anything is built. */
  const begin = (given) => { Object.assign(net, given.net); Object.assign(trained, given.trained); };
  /** Bring "network" or "learned" to the top of the window; the photographs first, without which the page is too short. */
  const reveal = (name) => {
    if (name === "learned") showLearned();
    place(name).parentElement.scrollIntoView({behavior: "instant"});
  };
  return {build, begin, reveal};
}
