"""`tconv.explain`: what it reads, what it gives, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tconv
from tconv import Geometry, errors
from tconv.explorer import Explanation, explain
from tconv.explorer.explanation import FORMS
from tconv.explorer.page import page, script
from tconv.explorer.scenes import SCENES
from tconv.explorer.start import LARGEST, VIEWS

WEB = Path(tconv.__file__).parent / "explorer" / "web"


def start_of(seen: Explanation) -> dict[str, Any]:
    """The state in the page."""
    found = re.search(r'<script type="application/json" id="start">(.*?)</script>', seen.html())
    assert found
    start: dict[str, Any] = json.loads(found[1])
    return start


def test_the_door_is_at_the_top() -> None:
    assert tconv.explain is explain


@pytest.mark.parametrize(
    ("arguments", "x", "w"),
    [
        ({}, (2, 2), (3, 3)),
        ({"in_size": 3}, (3, 3), (3, 3)),
        ({"in_size": (4,)}, (4,), (3,)),
        ({"kernel": (2, 1, 2)}, (2, 2, 2), (2, 1, 2)),
        ({"in_size": (2, 3, 2), "kernel": 2}, (2, 3, 2), (2, 2, 2)),
        ({"x": [1, 2, 3]}, (3,), (3,)),
        ({"x": [1, 2, 3], "kernel": 2}, (3,), (2,)),
        ({"w": np.ones((2, 3, 4))}, (2,), (2, 3, 4)),
    ],
)
def test_examples_fill_what_is_not_given(arguments: dict[str, Any], x: tuple[int, ...], w: tuple[int, ...]) -> None:
    seen = explain(**arguments)
    assert (seen.x.shape, seen.weight.shape) == (x, w)


def test_it_computes_what_the_operator_computes() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.integers(-3, 4, (4, 3, 2)), rng.integers(-3, 4, (4, 1, 3, 3)), rng.integers(-3, 4, 2)
    options: dict[str, Any] = {"stride": (2, 1), "padding": 1, "output_padding": (1, 0), "groups": 2}
    want = tconv.conv_transpose2d(x[None], w, b, **options)
    seen = explain(x, w, b, **options)
    assert seen.trace.y.tolist() == want[0].tolist()
    again = explain(x, w, b, groups=2, geometry=seen.geometry)
    assert again.trace.y.tolist() == want[0].tolist()


@pytest.mark.parametrize("form", ["all", *SCENES])
def test_every_form_is_a_picture_and_a_page(form: str) -> None:
    seen = explain(stride=2, padding=1, output_padding=1, form=form.replace("_", "-"))
    assert seen.svg().startswith("<svg ") and seen.svg().rstrip().endswith("</svg>")
    assert start_of(seen)["view"] == VIEWS[form]


def test_views_cover_all_forms() -> None:
    assert set(VIEWS) == {"all", *FORMS}


def test_notebooks() -> None:
    seen = explain()
    assert seen._repr_svg_() == seen.svg()
    assert seen._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert repr(seen) == "<Explanation of 2-D: kernel 3x3, stride 1, dilation 1, crop (0, 0), form all>"
    assert "All 9 ways to compute y were run just now, and agree exactly." in str(seen)


@pytest.mark.parametrize(
    ("suffix", "begins"), [(".html", b"<!doctype"), (".svg", b"<svg"), (".png", b"\x89PNG"), (".gif", b"GIF8")]
)
def test_save(suffix: str, begins: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"layer{suffix}"
    explain(form="window").save(path)
    assert path.read_bytes().startswith(begins)


def test_the_page_is_one_small_file_that_fetches_nothing() -> None:
    html = explain().html()
    assert len(html.encode()) < 400_000
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", html)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", html)
    assert re.search(
        r"default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'unsafe-inline'; img-src data: blob:", html
    )


def test_text_in_the_state_stays_text() -> None:
    html = page({"view": "</script><script>alert(1)</script>"})
    assert html.count("<script") == 2 and "\\u003c/script>" in html


def test_modules_are_complete_and_share_one_scope() -> None:
    """Each module of the folder is in the page, after those that it imports from, and no two name the same thing."""
    from tconv.explorer.page import MODULES

    assert set(MODULES) == {path.name for path in WEB.glob("*.js")}
    for n, name in enumerate(MODULES):
        for other in re.findall(r'from "\./([a-z]+\.js)"', (WEB / name).read_text()):
            assert other in MODULES[:n], f"{name} imports {other}, which comes later"
    code = script()
    assert "import " not in re.sub(r'`[^`]*`|"[^"]*"|//.*|/\*.*?\*/', "", code, flags=re.DOTALL)
    names = re.findall(r"^(?:async )?(?:function|const|let) (\w+)", code, re.MULTILINE)
    assert len(names) > 100 and len(names) == len(set(names))


def test_limits_are_those_of_the_page() -> None:
    drawn = (WEB / "laws.js").read_text()
    found = re.search(r"DRAWN = \{n: (\d+), k: (\d+), s: (\d+), d: (\d+), pad: (\d+), channels: (\d+)", drawn)
    assert found and [int(n) for n in found.groups()] == [
        LARGEST[name] for name in ("input size", "kernel", "stride", "dilation", "crop", "channels")
    ]


@pytest.mark.parametrize(
    ("geometry", "op", "lo", "hi"),
    [
        (Geometry.from_torch(3, 2, 1, 1), [1], [1], [1]),
        (Geometry(3, 2, 1, (1, 0)), [1], [1], [1]),
        (Geometry(3, 2, 1, (0, 1)), [0], [0], [1]),
        (Geometry(3, 2, 1, (-1, -3)), [0], [-1], [-3]),
    ],
)
def test_crops_are_said_as_pytorch_says_them(geometry: Geometry, op: list[int], lo: list[int], hi: list[int]) -> None:
    start = start_of(explain([1, 2, 3], geometry=geometry))
    assert (start["op"], start["lo"], start["hi"]) == (op, lo, hi)


@pytest.mark.parametrize(
    ("call", "law", "message"),
    [
        (
            lambda: explain(form="fft"),
            errors.TconvError,
            "form 'fft' is unknown; choose all or one of scatter, gather, taps, zero_insert, matrix, col2im, phases, "
            "adjoint, forward, window, coverage, windows, neurons, undoing, agreement, network, learned",
        ),
        (
            lambda: explain(form="agreement").svg(),
            errors.TconvError,
            "form 'agreement' has no picture; choose all or one of scatter, gather, taps, zero_insert, matrix, col2im, "
            "phases, adjoint, forward, window, coverage, windows, neurons, undoing",
        ),
        (
            lambda: explain().svg(slide="blue"),
            errors.TconvError,
            "slide 'blue' is unknown; choose light or dark, the colour of what lies behind",
        ),
        (
            lambda: explain([1, 2], in_size=2),
            errors.TconvError,
            "give x or in_size, not both: one has the numbers, the other makes some of that size",
        ),
        (
            lambda: explain(geometry=Geometry((3, 3)), stride=2),
            errors.TconvError,
            "geometry already has stride, padding, output_padding and dilation; give it, or give them",
        ),
        (
            lambda: explain([]),
            errors.InputSizeError,
            "x must have at least one number in brackets, as in [1,2,3]",
        ),
        (
            lambda: explain(np.ones((1, 1, 1, 1, 1, 2)), [1, 2]),
            errors.RankError,
            "x with shape (1, 1, 1, 1, 1, 2) and w with shape (2,) do not fit; give (*size) and (*kernel), or "
            "(channels, *size) and (in_channels, out_channels, *kernel)",
        ),
        (
            lambda: explain(in_size=(2, 2, 2, 2)).html(),
            errors.RankError,
            "4 spatial axes do not fit on a page; explain a layer with 1 to 3",
        ),
        (
            lambda: explain(in_size=(40,)).html(),
            errors.TooLargeError,
            "input size 40 is more than the 32 that the page draws; take a smaller layer: the pattern repeats",
        ),
        (
            lambda: explain().save("layer.jpg"),
            errors.TconvError,
            "'layer.jpg' must end in one of .html, .svg, .png, .gif, which says what is written",
        ),
        (
            lambda: explain(in_size=(0,)),
            errors.TooLargeError,
            "an example of 0 cells cannot be shown; give a small size",
        ),
    ],
)
def test_refusals(call: Any, law: type[errors.TconvError], message: str) -> None:
    with pytest.raises(law) as caught:
        call()
    assert str(caught.value) == message
