// A picture as a file: the SVG that is on the page with the colours of the moment written in, or the same as a PNG.

import {element} from "./draw.js";

/** A picture that stands alone: styles inside, variables resolved, a title above. */
export function standalone(svg, title) {
  const copy = svg.cloneNode(true);
  const style = getComputedStyle(document.documentElement);
  const rules = document.getElementById("scene-style").textContent.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  const [width, height] = [svg.width.baseVal.value, svg.height.baseVal.value];
  const size = {width: width + 32, height: height + 64};
  const made = element("svg", {class: "scene", ...size, viewBox: `-16 -48 ${size.width} ${size.height}`},
    element("style", {}, rules), element("rect", {x: -16, y: -48, ...size, fill: style.getPropertyValue("--paper").trim()}),
    element("text", {class: "headline", x: 0, y: -24}, title));
  copy.removeAttribute("class");
  copy.querySelectorAll("[tabindex]").forEach((each) => each.removeAttribute("tabindex"));
  made.append(copy);
  return new XMLSerializer().serializeToString(made);
}

export function saveSvg(svg, title, name) {
  download(new Blob([standalone(svg, title)], {type: "image/svg+xml"}), `${name}.svg`);
}

export async function savePng(svg, title, name) {
  const url = URL.createObjectURL(new Blob([standalone(svg, title)], {type: "image/svg+xml"}));
  const image = new Image();
  image.src = url;
  await image.decode();
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [2 * image.width, 2 * image.height];
  sheet.getContext("2d").drawImage(image, 0, 0, sheet.width, sheet.height);
  URL.revokeObjectURL(url);
  download(await new Promise((done) => { sheet.toBlob(done, "image/png"); }), `${name}.png`);
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
