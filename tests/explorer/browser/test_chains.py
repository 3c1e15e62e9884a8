"""Layers one after another as neurons: numbers, edges and counts are those of tconv, by pointer and by keyboard."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import pytest
from explorer.browser.test_access import violations
from explorer.browser.test_numbers import written
from explorer.browser.viewer import POINT, READ, Viewer
from playwright.sync_api import expect

from tconv import Geometry, conv_transpose1d, conv_transpose2d
from tconv.explorer import Trace, trace
from tconv.explorer.examples import counting
from tconv.explorer.words import number

UP = Geometry.from_torch(2, ndim=2)
KERNELS = np.array([[1, 2], [0, 1]]), np.array([[1, 0], [2, 1]])


class Chain(NamedTuple):
    """Two layers in the order in which they are read, and the numbers of their columns, channels first."""

    layers: tuple[Trace, Trace]
    columns: tuple[Any, Any, Any]
    down: bool

    def weights(self, n: int) -> tuple[Any, Any]:
        """The matrix of layer n, outputs by inputs, and where it has an edge."""
        layer = self.layers[n]
        return (layer.matrix.T, layer.connected.T) if self.down else (layer.matrix, layer.connected)


def up() -> Chain:
    x = counting((2, 2))
    h = conv_transpose2d(x[None, None], KERNELS[0][None, None])[0]
    y = conv_transpose2d(h[None], KERNELS[1][None, None])[0]
    return Chain((trace(UP, x, KERNELS[0]), trace(UP, h[0], KERNELS[1])), (x[None], h, y), down=False)


def down() -> Chain:
    """The convolutions: windows of x times the kernel that is not flipped."""
    x = counting((4, 4))
    windows = np.lib.stride_tricks.sliding_window_view
    h = (windows(x, (2, 2)) * KERNELS[1]).sum((2, 3))
    y = (windows(h, (2, 2)) * KERNELS[0]).sum((2, 3))
    layers = trace(UP, np.ones((3, 3), np.int64), KERNELS[1]), trace(UP, np.ones((2, 2), np.int64), KERNELS[0])
    return Chain(layers, (x[None], h[None], y[None]), down=True)


def channels() -> Chain:
    x, first, second = np.array([[1, 2]]), counting((1, 3, 2)), counting((3, 1, 2))
    h = conv_transpose1d(x[None], first)[0]
    y = conv_transpose1d(h[None], second)[0]
    return Chain((trace(Geometry(2), x, first), trace(Geometry(2), h, second)), (x, h, y), down=False)


CHAINS = {"up": up, "down": down, "channels": channels}


def plates(viewer: Viewer) -> dict[str, dict[str, Any]]:
    return {
        name.removeprefix("neurons/"): plate for name, plate in viewer.read().items() if name.startswith("neurons/")
    }


def pointed(viewer: Viewer, cells: list[tuple[str, int]]) -> list[tuple[dict[str, dict[str, Any]], int, str]]:
    """For each (plate, cell): all plates after pointing there, how many edges are lit, and what is said."""
    found: str = viewer.page.evaluate(
        f"""cells => JSON.stringify(cells.map(([plate, n]) => {{
          ({POINT})(["neurons", plate, n]);
          const lit = document.querySelector("#card-neurons .edge-lit").getAttribute("d").match(/M/g) ?? [];
          return [({READ})(), lit.length, document.querySelector("#sum").textContent];
        }}))""",
        [list(cell) for cell in cells],
    )
    return [(plates_, lit, said) for plates_, lit, said in json.loads(found)]


def said_by(viewer: Viewer, plate: str, cell: int) -> str:
    viewer.point("neurons", plate, cell)
    return viewer.text("sum")


@pytest.mark.parametrize("name", CHAINS)
def test_numbers_of_a_chain(viewer: Viewer, name: str) -> None:
    chain = CHAINS[name]()
    viewer.restore(f"view=neurons&chain={name}")
    shown = plates(viewer)
    for m, values in enumerate(chain.columns):
        for c, channel in enumerate(values):
            assert shown[f"chain{m}.{c}"]["texts"] == written(channel)
    edges = 0
    for n, layer in enumerate(chain.layers):
        matrix, joined = chain.weights(n)
        entries = [number(v) if on else "" for v, on in zip(matrix.flat, joined.flat, strict=True)]
        assert shown[f"chainfull{n}"]["texts"] == entries
        roles = shown[f"chainfull{n}"]["roles"]
        assert [role == "zero" for role in roles] == [not on for on in joined.flat]
        assert len({role for role in roles if role != "zero"}) == layer.weight.size  # a colour per number
        for c, e in np.ndindex(layer.weight.shape[:2]):
            assert shown[f"chainw{n}.{c}.{e}"]["texts"] == written(layer.weight[c, e])
        edges += int(joined.sum())
    drawn = viewer.page.eval_on_selector_all(
        "#card-neurons .edges path", "all => all.map((each) => (each.getAttribute('d').match(/M/g) ?? []).length)"
    )
    assert sum(drawn) == edges


@pytest.mark.parametrize("name", CHAINS)
def test_a_neuron_lights_its_copy_of_the_kernel(viewer: Viewer, name: str) -> None:
    """Per input in a transposed convolution, per output in a convolution; at the other end what meets there."""
    chain = CHAINS[name]()
    viewer.restore(f"view=neurons&chain={name}")
    cells = [(m, c, n) for m, values in enumerate(chain.columns) for c, n in np.ndindex(len(values), values[0].size)]
    seen = pointed(viewer, [(f"chain{m}.{c}", n) for m, c, n in cells])
    for (m, c, n), (shown, edges, _) in zip(cells, seen, strict=True):
        at = c * chain.columns[m][0].size + n
        layer = max(m - 1, 0) if chain.down else min(m, 1)
        joined = chain.weights(layer)[1]
        other = m + 1 if layer == m else m - 1
        met = np.flatnonzero(joined[:, at] if layer == m else joined[at])
        size = chain.columns[other][0].size
        for channel in range(len(chain.columns[other])):
            want = [cell - channel * size for cell in met if cell // size == channel]
            assert shown[f"neurons/chain{other}.{channel}"]["lit"] == want
        assert shown[f"neurons/chain{m}.{c}"]["lit"] == shown[f"neurons/chain{m}.{c}"]["here"] == [n]
        inputs = joined.shape[1]
        places = sorted(int(cell * inputs + at if layer == m else at * inputs + cell) for cell in met)
        assert shown[f"neurons/chainfull{layer}"]["lit"] == places and edges == len(places)
        assert shown[f"neurons/chainfull{1 - layer}"]["lit"] == []


def test_lit_weights_keep_their_colours(viewer: Viewer) -> None:
    """In matrices and kernels colours say which number is shared, so what is lit is framed and not painted over."""
    for text, names in (("", ("neuron_full", "neuronw0.0")), ("&chain=down", ("chainfull0", "chainw0.0.0"))):
        viewer.restore(f"view=neurons{text}")
        for name in names:
            lit = viewer.page.locator(f'#card-neurons [data-plate="{name}"] path.lit')
            style = lit.evaluate("each => [getComputedStyle(each).fill, getComputedStyle(each).stroke]")
            ink = viewer.page.evaluate("() => getComputedStyle(document.documentElement).color")
            assert style == ["none", ink] and lit.get_attribute("d")


def test_what_a_chain_says(viewer: Viewer) -> None:
    viewer.restore("view=neurons&chain=up")
    assert viewer.text("sum") == "4 edges leave x[0,0]: one copy of w in layer 1, which 4 inputs share"  # to begin with
    said = said_by(viewer, "chain1.0", 4)
    assert said == "4 edges leave h[1,1]: one copy of w in layer 2, which 9 inputs share"
    assert said_by(viewer, "chain2.0", 5) == "y[1,1] is reached by 4 of the 9 copies of w in layer 2"
    assert said_by(viewer, "chainw1.0.0", 2) == "w[1,0] = 2 in layer 2 stands on 9 edges"
    assert plates(viewer)["chainw1.0.0"]["here"] == [2]
    said = said_by(viewer, "chainfull0", 1)
    assert said == "x[0,1] and h[0,0] are not joined in layer 1: a fully connected layer has a weight of its own here"
    assert viewer.page.locator("#card-neurons .edge-lit").get_attribute("d") == ""
    said = said_by(viewer, "chainfull0", 35)
    assert said == "4 edges leave x[1,1]: one copy of w in layer 1, which 4 inputs share"
    assert plates(viewer)["chainfull0"]["here"] == [35]
    viewer.restore("view=neurons&chain=down")
    assert viewer.text("sum") == "4 edges arrive at h[0,0]: one copy of w in layer 1, which 9 outputs share"
    assert said_by(viewer, "chain0.0", 0) == "x[0,0] is read by 1 of the 9 copies of w in layer 1"
    viewer.restore("view=neurons&chain=channels")
    said = said_by(viewer, "chain0.0", 1)
    assert said == "6 edges leave x[1]: one copy of w[0,0], w[0,1], w[0,2] in layer 1, which 2 inputs share"
    assert said_by(viewer, "chain1.2", 0) == "2 edges leave h[2,0]: one copy of w[2,0] in layer 2, which 3 inputs share"


@pytest.mark.parametrize("name", CHAINS)
def test_weights_are_counted(viewer: Viewer, name: str) -> None:
    """Fully connected, sparse and shared, of each layer and in all."""
    chain = CHAINS[name]()
    viewer.restore(f"view=neurons&chain={name}")
    table = viewer.page.locator("#card-neurons table.counts")
    assert table.locator("thead th").all_inner_texts() == ["weights", "fully connected", "sparse", "shared"]
    rows = [
        [chain.weights(n)[0].size, int(chain.weights(n)[1].sum()), layer.weight.size]
        for n, layer in enumerate(chain.layers)
    ]
    want = [*rows, [sum(column) for column in zip(*rows, strict=True)]]
    cells = table.locator("tbody td").all_inner_texts()
    assert [int(text) for text in cells] == [value for row in want for value in row]


def test_a_chain_is_chosen_and_linked(viewer: Viewer) -> None:
    """Buttons say which one is shown and keep the focus; the address has it; the layer's own view comes back."""
    viewer.field("view").select_option("neurons")
    expect(viewer.field("chain-layer")).to_have_attribute("aria-pressed", "true")
    viewer.field("chain-up").focus()
    viewer.page.keyboard.press("Enter")
    expect(viewer.field("chain-up")).to_be_focused()
    expect(viewer.field("chain-up")).to_have_attribute("aria-pressed", "true")
    assert "chain=up" in viewer.page.url and "chain0.0" in plates(viewer)
    viewer.page.reload()
    assert "chain0.0" in plates(viewer)
    viewer.field("view").select_option("matrix")  # small, it is the layer's own again, as all small views are
    assert "neuron_x" in plates(viewer)
    viewer.field("view").select_option("neurons")
    viewer.click("chain-layer")
    assert "neuron_x" in plates(viewer) and "chain=" not in viewer.page.url


def test_a_chain_by_keyboard(viewer: Viewer) -> None:
    """Tab leads from the buttons to the columns, arrows along them; what is lit is said aloud."""
    viewer.restore("view=neurons&chain=up")
    viewer.field("chain-channels").focus()
    for _ in range(2):
        viewer.page.keyboard.press("Tab")
    assert viewer.page.evaluate("() => document.activeElement.parentElement.dataset.plate") == "chain1.0"
    for _ in range(3):
        viewer.page.keyboard.press("ArrowDown")
    assert plates(viewer)["chain1.0"]["here"] == [3] and plates(viewer)["chain2.0"]["lit"] == [4, 5, 8, 9]
    said = "4 edges leave h[1,0]: one copy of w in layer 2, which 9 inputs share"
    viewer.page.locator("#live", has_text=said).wait_for()
    viewer.point("layer", "y0", 5)  # the layer is looked at as before, and the chain keeps its light
    assert viewer.text("sum") == "y[1,1] = 2*1 + 3*1 + 1*1 + 3*0 = 6"
    assert plates(viewer)["chain1.0"]["here"] == [3]


@pytest.mark.parametrize("width", [320, 375, 768, 1024, 1440, 1920])
def test_chains_fit(viewer: Viewer, width: int) -> None:
    viewer.page.set_viewport_size({"width": width, "height": 900})
    viewer.open(settings=False)
    for name in CHAINS:
        viewer.restore(f"view=neurons&chain={name}&lang=zh")
        found = viewer.page.evaluate(
            """() => {
              const picture = document.querySelector("#card-neurons .picture");
              return [document.documentElement.scrollWidth, picture.scrollWidth - picture.clientWidth,
                picture.firstChild.getBoundingClientRect().width / picture.clientWidth];
            }"""
        )
        assert found[0] <= width and found[1] <= 1 and found[2] > 0.5, (name, found)
    viewer.page.set_viewport_size({"width": 1400, "height": 1000})


@pytest.mark.parametrize("text", ["chain=up&theme=light", "chain=down&theme=dark&lang=zh", "chain=channels"])
def test_axe_finds_nothing_in_chains(viewer: Viewer, text: str) -> None:
    viewer.open(f"view=neurons&{text}", settings=False)
    assert "chain0.0" in plates(viewer)
    assert violations(viewer) == []
