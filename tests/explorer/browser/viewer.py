"""The page in a browser, as tests see it: what is written in the cells, and which cells are lit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

import numpy as np
from playwright.sync_api import Browser, Locator, Page

from tconv.explorer import Trace
from tconv.explorer.start import start

VIEWS = ["stamp", "gather", "steps", "matrix", "windows", "neurons", "phases", "col2im", "forward", "coverage", "undo"]

# What every plate shows: its numbers, and the cells that its paths draw around, found by their places.
READ = """() => {
  const found = {};
  for (const card of document.querySelectorAll(".card[id]")) {
    for (const group of card.querySelectorAll(".plate")) {
      const rects = [...group.querySelectorAll(".floor rect")];
      const places = new Map(rects.map((rect, n) => [`${+rect.getAttribute("x")} ${+rect.getAttribute("y")}`, n]));
      const path = (kind) => group.querySelector(`path.${kind}`).getAttribute("d") ?? "";
      const cells = (kind) => [...path(kind).matchAll(/M([-.\\d]+) ([-.\\d]+)/g)]
        .map(([, x, y]) => places.get(`${+x} ${+y}`)).sort((a, b) => a - b);
      const {plate} = group.querySelector(".cells"); // one that is drawn as dots says its numbers when it is pointed at
      const written = [...group.querySelectorAll("[role=gridcell]")].map((each) => each.textContent);
      const said = () => Array.from({length: plate.shape.reduce((a, b) => a * b)}, (_, n) => plate.text(n));
      found[`${card.id.slice(5)}/${group.dataset.plate}`] = {
        title: group.querySelector(".name").textContent,
        texts: written.length ? written : said(),
        roles: rects.map((rect) => rect.getAttribute("class")), lit: cells("lit"), here: cells("here"),
      };
    }
  }
  return found;
}"""
TEXT = f"() => JSON.stringify(({READ})())"  # which the driver hands over ten times as fast as lists

POINT = """([card, plate, n]) => {
  const group = document.querySelector(`#card-${card} [data-plate="${plate}"]`);
  const box = group.querySelectorAll(".floor rect")[n].getBoundingClientRect();
  const at = {clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true};
  group.dispatchEvent(new PointerEvent("pointermove", at));
}"""


class Viewer:
    """One tab with the page; errors of the console are collected."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": 1400, "height": 1000}, **options)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda each: self.complaints.append(each.text) if each.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda each: self.complaints.append(each.url) if each.url.startswith("http") else None)

    def open(self, text: str = "", *, settings: bool = True) -> None:
        """Load the page anew, with `text` behind the #, and open the settings, as most tests type into them."""
        self.complaints.clear()
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{text}" if text else self.address, wait_until="domcontentloaded")  # it is drawn
        if settings:
            self.page.evaluate("() => { document.querySelector('#drawer').open = true; }")

    def close(self) -> None:
        self.context.close()

    def restore(self, text: str) -> None:
        """What following a link to this layer does."""
        self.page.evaluate("text => tconv.restore(text)", text)

    def show(self, seen: Trace, weight: Any = None) -> None:
        """Show the layer of a trace; `weight` where it has groups."""
        self.restore(permalink(seen, weight))

    def read(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self.page.evaluate(TEXT))
        return found

    def shown(self, seen: Trace, weight: Any = None) -> dict[str, dict[str, Any]]:
        """`show` and `read` in one visit, which saves a painting of the whole page in between."""
        ((plates, _),) = self.visits([(seen, weight)])
        return plates

    def visits(
        self, layers: Iterable[tuple[Trace, Any]], also: str = "null"
    ) -> Iterator[tuple[dict[str, dict[str, Any]], Any]]:
        """`shown` for layer after layer without a painting in between, and what `also`, JavaScript, finds there."""
        layers = iter(layers)
        while some := list(islice(layers, 25)):
            found: str = self.page.evaluate(
                f"""all => JSON.stringify(all.map((text) => {{
                  tconv.restore(text);
                  return [({READ})(), {also}];
                }}))""",
                [permalink(*layer) for layer in some],
            )
            yield from json.loads(found)

    def pointed(self, layer: tuple[Trace, Any], cells: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
        """`show`, then `point` and `read` for each of the (card, plate, cell), in one visit."""
        found: str = self.page.evaluate(
            f"""([text, cells]) => {{
              tconv.restore(text);
              return JSON.stringify(cells.map((at) => {{ ({POINT})(at); return ({READ})(); }}));
            }}""",
            [permalink(*layer), [list(cell) for cell in cells]],
        )
        plates: list[dict[str, Any]] = json.loads(found)
        return plates

    def follow(self, link: str, find: str = "null") -> Any:
        """What following a link does, and what `find`, JavaScript, finds afterwards."""
        return self.page.evaluate(
            f"""async link => {{
              const followed = new Promise((done) => addEventListener("hashchange", done, {{once: true}}));
              location.hash = link;
              await followed; // after the page's own listener, which was there before
              return {find};
            }}""",
            link,
        )

    def point(self, card: str, plate: str, cell: int) -> None:
        """Move the pointer over a cell."""
        self.page.evaluate(POINT, [card, plate, cell])

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.page.evaluate("() => tconv.page.state")
        return state

    def field(self, name: str) -> Locator:
        return self.page.locator(f'[name="{name}"]')

    def type(self, name: str, value: object) -> None:
        """Fill a field and leave it."""
        self.field(name).fill(str(value))
        self.field(name).press("Tab")

    def click(self, name: str) -> None:
        self.field(name).click()

    def text(self, identity: str) -> str:
        return self.page.locator(f"#{identity}").inner_text()

    def y(self) -> list[str]:
        """The numbers of the first output."""
        texts: list[str] = self.read()["layer/y0"]["texts"]
        return texts


def permalink(seen: Trace, weight: Any = None) -> str:
    """The text behind # for a layer."""
    given = start(seen.geometry, seen.x, seen.weight if weight is None else weight, seen.bias, seen.groups)
    lists = {name: given[name] for name in ("n", "k", "s", "op", "d", "x", "w")}
    lists |= {"c": [given["ci"], given["co"], given["g"]]}
    lists |= {"p": [f"{lo}:{hi}" for lo, hi in zip(given["lo"], given["hi"], strict=True)]}
    if given["b"] is not None:
        lists |= {"b": given["b"]}
    parts = ["view=all"]  # where every plate is drawn
    parts += [f"{name}={','.join(map(str, np.ravel(values)))}" for name, values in lists.items()]
    return quote("&".join(parts), safe="&=,:.-")
