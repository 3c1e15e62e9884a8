"""`tconv.explain_network`: sizes are those of `plan_unet`; an output sees what PyTorch's gradient reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from explorer.networks import counting, fcn, pixels, unet
from explorer.pictures import texts
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tconv
from tconv import errors
from tconv.explorer import NetworkExplanation, explain_network
from tconv.explorer.network.plan import FCNS
from tconv.explorer.scene import Box, Edge, Role
from tconv.explorer.words import by


@st.composite
def unets(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments for one axis that plan_unet takes."""
    stride = draw(st.integers(2, 3))
    kernel = draw(st.integers(stride, 5))
    drawn = {"depth": draw(st.integers(1, 3)), "kernel": kernel, "stride": stride, "padding": draw(st.integers(0, 1))}
    unpadded = draw(st.booleans())
    size = draw(st.integers(1, 90)) + 60 * unpadded
    try:
        plan = tconv.plan_unet(size, **drawn, shrink=4 * unpadded)
    except errors.InputSizeError:
        assume(False)
    cell = draw(st.integers(0, plan.out_size[0] - 1))
    return {**drawn, "size": size, "unpadded": unpadded, "cell": cell}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(unets())
def test_sizes_and_fields_of_a_unet(drawn: dict[str, Any]) -> None:
    seen = explain_network(**drawn)
    layer = {name: drawn[name] for name in ("kernel", "stride", "padding")}
    plan = tconv.plan_unet(drawn["size"], drawn["depth"], **layer, shrink=4 * drawn["unpadded"])
    assert (seen.network.size, seen.network.out) == (plan.in_size, plan.out_size)
    for mine, level in zip(seen.network.levels, plan.levels, strict=True):
        assert mine.up is not None
        assert (mine.down, mine.pooled, mine.up.at, mine.up.plain) == (
            level.skip,
            level.pooled,
            level.up_in,
            level.up_out,
        )
        assert (mine.up.out, mine.crop) == (level.joined, level.crop)
        (lo, hi), (extra,) = level.crop[0], level.output_padding
        cut = f"crop the skip by {lo} and {hi}" if hi > 0 else f"pad the skip by {-lo} and {-hi}"
        assert mine.says == (cut if hi else f"output_padding {extra}" if extra else "fits")
    x = pixels(drawn["size"])
    y = unet(x, drawn["depth"], drawn["kernel"], drawn["padding"], drawn["stride"], drawn["unpadded"])
    found = counting(x, y, drawn["cell"])
    assert y.shape[2] == plan.out_size[0] and seen.fields.image == ((found[0], found[-1]),)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(FCNS)), st.integers(1, 150), st.floats(0, 1))
def test_fields_of_an_fcn(kind: str, size: int, share: float) -> None:
    x = pixels(size)
    y = fcn(x, FCNS[kind])
    cell = min(int(share * size), size - 1)
    found = counting(x, y, cell)
    seen = explain_network(size, kind, cell=cell)
    assert seen.fields.image == ((found[0], found[-1]),) and seen.network.out == (y.shape[2],)
    ups = [level.up for level in seen.network.levels if level.up is not None]
    assert [up.layer.stride[0] for up in reversed(ups)] == list(FCNS[kind])
    assert [up.layer.kernel[0] for up in ups] == [2 * up.layer.stride[0] for up in ups]


def test_axes_are_seen_one_by_one() -> None:
    both = explain_network((25, 40), depth=2, kernel=(3, 2), padding=(1, 0), cell=(7, 30))
    one = [
        explain_network(25, depth=2, kernel=3, padding=1, cell=7),
        explain_network(40, depth=2, kernel=2, cell=30),
    ]
    assert both.fields.image == one[0].fields.image + one[1].fields.image
    assert both.fields.bottom == one[0].fields.bottom + one[1].fields.bottom
    assert [level.says for level in both.network.levels] == [
        "axis 0: crop the skip by 1 and 1; axis 1: fits",
        "axis 0: output_padding 1; axis 1: fits",
    ]
    assert explain_network((64, 64, 32)).network.levels[0].says == "fits"
    (first, last), *_ = both.fields.image
    assert f"sees the input cells {first} to {last} x " in both.film.still.says


def test_kinds_are_known_however_they_are_written() -> None:
    for text in ("FCN-8s", "fcn8s", "FCN_8S"):
        assert explain_network(64, text).network.kind == "FCN-8s"
    assert repr(explain_network(101)) == (
        "<NetworkExplanation of U-Net of depth 3, kernel 2, stride 2, padding 0: input 101, output 101>"
    )


CASES: dict[str, Callable[[], NetworkExplanation]] = {
    "repaired": lambda: explain_network(101),
    "cropped": lambda: explain_network(572, depth=4, unpadded=True),
    "two_axes": lambda: explain_network((25, 30), depth=2, kernel=3, padding=1),
    "fcn": lambda: explain_network(500, "FCN-8s"),
}


@pytest.mark.parametrize("name", CASES)
def test_frames_go_down_and_up_again(name: str) -> None:
    """A frame per layer that changes the size; maps are empty until they are computed; the last frame has all."""
    seen = CASES[name]()
    net = seen.network
    ups = [level.up for level in net.levels if level.up is not None]
    scenes = seen.film.scenes
    assert len(scenes) == len(net.levels) + len(ups) + 1
    downs = [by(level.down) for level in net.levels]
    for n, scene in enumerate(scenes[: len(downs)]):
        assert texts(scene, Role.INPUT) == downs[: n + 2] and texts(scene, Role.OUTPUT) == []
        assert texts(scene, Role.INPUT, lit=True) == [downs[n]]
        assert f"Down from level {n}: " in scene.says and by(net.levels[n].pooled) in scene.says
    back = [by(up.out) for up in ups]
    for n, scene in enumerate(scenes[len(downs) :], 1):
        assert sorted(texts(scene, Role.OUTPUT)) == sorted(back[-n:] if n <= len(ups) else back)
        assert texts(scene, Role.KERNEL) == [by(net.bottom)]
    assert len({(scene.width, scene.height) for scene in scenes}) <= len(scenes)
    assert scenes[-1].says.startswith("Output cell ")


@pytest.mark.parametrize("name", CASES)
def test_what_is_seen_is_drawn_to_scale(name: str) -> None:
    """Thick lines under the maps: of each level down and up and of the bottom, the part of the map that is seen."""
    seen = CASES[name]()
    net, fields = seen.network, seen.fields
    plain, last = seen.film.scenes[-2:]
    lines = [mark for mark in last.marks if isinstance(mark, Edge) and mark.lit]
    assert any(mark.lit for mark in plain.marks if isinstance(mark, Edge))
    wide = next(mark.width for mark in last.marks if isinstance(mark, Box))
    want = []
    for level, down, up in zip(net.levels, fields.down, fields.up, strict=True):
        want += [(span, cells, Role.INPUT) for span, cells in zip(down, level.down, strict=True)]
        if level.up is not None and up is not None:
            want += [(span, cells, Role.OUTPUT) for span, cells in zip(up, level.up.out, strict=True)]
    want += [(span, cells, Role.KERNEL) for span, cells in zip(fields.bottom, net.bottom, strict=True)]
    assert len(lines) == sum(span is not None for span, *_ in want)
    for line, (span, cells, role) in zip(lines, [each for each in want if each[0]], strict=True):
        assert span is not None and line.role == role
        share = (span[1] + 1 - span[0]) / cells
        assert line.to_x - line.x == pytest.approx(wide * share, abs=0.06)


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, golden: Callable[..., None]) -> None:
    golden(f"network_{name}", f"{CASES[name]()}\n")


def test_the_page_begins_with_the_network() -> None:
    html = explain_network(57, depth=2, kernel=4, padding=1, cell=9).html()
    asked = '"net":{"kind":"U-Net","size":57,"cell":9,"depth":2,"up":"4, 2, 1"}'
    assert f'"at":"network",{asked}' in html
    assert '"net":{"kind":"FCN-16s","size":64,"cell":32}' in explain_network(64, "FCN-16s").html()


DRAWS = (
    "the page draws U-Nets of depth 1 to 8 with padded blocks, and kernel, stride and padding 2, 2, 0; 3, 2, 1; 4, 2, "
    "1; take svg(), png() or gif() for this one"
)
SQUARE = (
    "the page draws networks for square images of up to 4096 cells, and one cell for all axes; take svg(), png() or "
    "gif() for this one"
)


@pytest.mark.parametrize(
    ("call", "law", "message"),
    [
        (
            lambda: explain_network(64, "ResNet"),
            errors.TconvError,
            "network 'ResNet' is unknown; choose one of U-Net, FCN-8s, FCN-16s, FCN-32s",
        ),
        (
            lambda: explain_network(64, "FCN-8s", depth=3, stride=2),
            errors.TconvError,
            "FCN-8s has layers of its own; leave depth and stride out, a U-Net has them",
        ),
        (
            lambda: explain_network((8, 8, 8, 8)),
            errors.RankError,
            "4 spatial axes do not fit into a picture; explain a network with 1 to 3",
        ),
        (
            lambda: explain_network(2**20, depth=13),
            errors.TooLargeError,
            "depth 13 is more than the 12 that a picture shows; tconv.plan_unet plans any depth",
        ),
        (
            lambda: explain_network(7),
            errors.InputSizeError,
            "size 7 is too small for a U-Net of depth 3 (stride 2, a block loses 0); give 8 or more, or depth 2",
        ),
        (lambda: explain_network(0, "FCN-8s"), errors.InputSizeError, "size 0 must be at least 1"),
        (lambda: explain_network((4, 0), "FCN-8s"), errors.InputSizeError, "size 0 on axis 1 must be at least 1"),
        (
            lambda: explain_network(2**62, "FCN-8s"),
            errors.SizeOverflowError,
            f"size {2**62} does not fit into 64 bits; give one below 2**62",
        ),
        (
            lambda: explain_network(64, cell=64),
            errors.InputSizeError,
            "cell 64 is not there; the output has the cells 0 to 63",
        ),
        (
            lambda: explain_network((64, 32), cell=(3, -1)),
            errors.InputSizeError,
            "cell -1 on axis 1 is not there; the output has the cells 0 to 31",
        ),
        (
            lambda: explain_network(64, depth="three"),
            errors.ArgumentTypeError,
            "depth must be an integer, not 'three' (str); sizes are counted in whole cells",
        ),
        (lambda: explain_network((64, 32)).html(), errors.TooLargeError, SQUARE),
        (lambda: explain_network(572, unpadded=True).html(), errors.TooLargeError, DRAWS),
        (lambda: explain_network(64, kernel=5, padding=1).html(), errors.TooLargeError, DRAWS),
    ],
)
def test_refusals(call: Any, law: type[errors.TconvError], message: str) -> None:
    with pytest.raises(law) as caught:
        call()
    assert str(caught.value) == message
