"""Scenes hold the numbers of the trace, light the cells of the trace, and every renderer draws what the scene holds."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from explorer.layers import cases
from explorer.pictures import boxes, numbers, shown_at, texts, written
from hypothesis import given, settings
from PIL import Image

import tconv
from tconv import Geometry
from tconv.explorer import Trace, raster, slides, svg, trace, words
from tconv.explorer.palette import DARK, LIGHT
from tconv.explorer.scene import Box, Edge, Role, Scene, Words
from tconv.explorer.scenes import SCENES, neurons

W = [[0, 1, 1], [0, 1, 0], [1, 0, 1]]
SMALL = trace(Geometry.from_torch(3, 2, 1, 1, ndim=2), [[2, 3], [1, 3]], W)
HOLES = trace(Geometry(2, 3, 1, (0, -1)), [1, 2, 3], [1, -2], 5)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(cases())
def test_the_last_frames_hold_the_output(seen: Trace) -> None:
    output = (Role.OUTPUT, Role.HOLE)
    assert texts(SCENES["gather"](seen).scenes[-1], *output) == written(seen.y)
    assert texts(SCENES["zero_insert"](seen).scenes[-1], *output) == written(seen.y)
    assert texts(SCENES["matrix"](seen).scenes[-1], Role.OUTPUT) == written(seen.linear)
    assert texts(SCENES["col2im"](seen).scenes[-1], Role.OUTPUT) == written(seen.linear[0])
    phases = texts(SCENES["phases"](seen).scenes[-1], Role.PHASE)
    kernels = sum(seen.connects(*pair) for pair in np.ndindex(seen.weight.shape[:2])) * seen.weight[0, 0].size
    assert phases[kernels:] == written(seen.linear)
    for form in ("scatter", "taps"):
        assert texts(SCENES[form](seen).scenes[-1], Role.CANVAS, Role.CROPPED) == written(seen.canvas[:, seen.covered])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cases())
def test_frames_light_what_the_trace_lists(seen: Trace) -> None:
    film = SCENES["gather"](seen)
    assert len(film.scenes) == len(seen.sums)
    for scene, each in zip(film.scenes, seen.sums, strict=True):
        x = [seen.x[at] for at in np.ndindex(seen.x.shape) if at in {(p.channel, *p.i) for p in each.products}]
        assert texts(scene, Role.INPUT, lit=True) == written(x)
        assert len(texts(scene, Role.KERNEL, lit=True)) == len(each.products)
        assert texts(scene, Role.OUTPUT, Role.HOLE, lit=True) == [words.number(each.value)]
    for scene, stamp in zip(SCENES["scatter"](seen).scenes, seen.stamps, strict=False):
        assert len(texts(scene, Role.CANVAS, Role.CROPPED, lit=True)) == stamp.values.size


@settings(max_examples=20, deadline=None, derandomize=True)
@given(cases())
def test_forward_brings_back_the_pairing(seen: Trace) -> None:
    if len(seen.x) == len(seen.y) == 1:
        assert texts(SCENES["forward"](seen).scenes[-1], Role.INPUT) == written(seen.pairing.back[0])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cases())
def test_neurons_have_an_edge_for_every_multiplication(seen: Trace) -> None:
    """As many edges as entries of C^T; those that leave one input are its column; equal colours are equal numbers."""
    film = SCENES["neurons"](seen)
    assert len(film.scenes) == seen.x.size
    for column, scene in enumerate(film.scenes):
        edges = [mark for mark in scene.marks if isinstance(mark, Edge)]
        assert len(edges) == seen.connected.sum()
        assert sum(edge.lit for edge in edges) == seen.connected[:, column].sum()
        assert texts(scene, Role.INPUT) == written(seen.x) and texts(scene, Role.OUTPUT) == written(seen.linear)
        if seen.matrix.size <= neurons.WRITTEN:
            # The fully connected layer of these sizes: what is left, the rest empty.
            kept = seen.connected.sum()
            assert texts(scene, Role.PHASE)[:kept] == written(seen.matrix[seen.connected])
            assert texts(scene, Role.ZERO) == [""] * (seen.matrix.size - kept)
            assert texts(scene, Role.PHASE, lit=True) == written(seen.matrix[seen.connected[:, column], column])
    numbers = seen.weight.size
    assert film.still.says.endswith(
        f"Fully connected {seen.matrix.size} weights, sparse {seen.connected.sum()}, shared {numbers}."
    )


def test_chains_of_neurons() -> None:
    """2x2 to 3x3 to 4x4 and back: the numbers of the layers, and one copy of a kernel lit per frame."""
    up, small = Geometry.from_torch(2, ndim=2), np.array([[1, 2], [3, 4]])
    kernels = np.array([[1, 2], [0, 1]]), np.array([[1, 0], [2, 1]])
    first, second = trace(up, small, kernels[0]), trace(up, np.ones((3, 3), int), kernels[1])
    middle = tconv.conv_transpose2d(small[None, None], kernels[0][None, None])
    large = tconv.conv_transpose2d(middle, kernels[1][None, None])
    film = neurons.chain((first, second), "up")
    assert len(film.scenes) == 4 + 9
    for scene in film.scenes:
        assert texts(scene, Role.CANVAS) == written(middle) and texts(scene, Role.OUTPUT) == written(large)
        edges = [mark for mark in scene.marks if isinstance(mark, Edge)]
        assert (len(edges), sum(edge.lit for edge in edges)) == (16 + 36, 4)
    z = np.arange(16).reshape(4, 4)
    windows = np.lib.stride_tricks.sliding_window_view
    down = (windows(z, (2, 2)) * kernels[1]).sum((2, 3))
    least = (windows(down, (2, 2)) * kernels[0]).sum((2, 3))
    film = neurons.convolutions((first, second), z, "down")
    assert len(film.scenes) == 9 + 4
    for scene in film.scenes:
        assert texts(scene, Role.CANVAS) == written(down) and texts(scene, Role.INPUT) == written(least)
    assert film.scenes[0].says == "Layer 1: 4 edges arrive at neuron 0, one copy of its kernel."


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cases())
def test_windows_are_the_rows_of_the_matrix(seen: Trace) -> None:
    """Rows of C in the shape of y; rows of C^T as the flipped kernel over x, whose sum is the output; down and up."""
    scenes = SCENES["windows"](seen).scenes
    cells, inputs = seen.y[0].size, seen.x[0].size
    assert len(scenes) == inputs + cells + 1
    first = seen.connected[:cells, :inputs]
    assert texts(scenes[inputs - 1], Role.KERNEL) == written(seen.matrix[:cells, :inputs].T[first.T])
    one = next(e for e in range(len(seen.y)) if seen.connects(0, e))
    alone = trace(seen.geometry, seen.x[:1], seen.weight[:1, one : one + 1]).linear[0]
    for scene, value in zip(scenes[inputs:-1], alone.ravel(), strict=True):
        assert scene.says.endswith(f"the sum is {words.number(value)}.")
    up = seen.matrix[one * cells : (one + 1) * cells, :inputs]
    image = seen.linear[one].ravel()
    small, again = up.T @ image, up @ (up.T @ image)
    assert texts(scenes[-1], Role.OUTPUT) == written(image) + written(again)
    assert texts(scenes[-1], Role.INPUT) == written(small)
    assert ("P is not I" in scenes[-1].says) == (not np.allclose(image, again))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases())
def test_undoing_shows_all_that_go_back(seen: Trace) -> None:
    """The first frame asks and answers; every other one has a B, and B A, which is the identity."""
    first, *others = SCENES["undoing"](seen).scenes
    answer = tconv.undo(seen.geometry, seen.x, seen.weight)
    assert ("A^g A is the identity" in first.says) == (answer.null_space_dimension == 0) == seen.undoing.exists
    np.testing.assert_allclose(seen.undoing.recovered, answer.recovered, rtol=1e-6, atol=1e-9)
    assert bool(others) <= seen.undoing.exists
    for scene in others:
        assert texts(scene, Role.INPUT) == ["1"] * seen.x.size
    for w in (0.0, 0.7):
        brought = seen.undoing.b(w) @ seen.matrix
        assert not seen.undoing.exists or np.allclose(brought, np.eye(seen.x.size), atol=1e-7)


def test_slides_have_large_letters_and_nothing_behind() -> None:
    """The same numbers, all frames of one size, sentences broken into lines; no title, no paper, one theme."""
    film = SCENES["scatter"](SMALL)
    made = slides.slides(film)
    assert len({(scene.width, scene.height) for scene in made.scenes}) == 1 and len(made.scenes) == len(film.scenes)
    for plain, slide in zip(film.scenes, made.scenes, strict=True):
        assert boxes(plain) == boxes(slide)
        lines = [mark for mark in slide.marks if isinstance(mark, Words)]
        assert film.title not in [line.text for line in lines]
        assert " ".join(line.text for line in lines if line.size == slides.SENTENCE) == plain.says
        assert all(mark.x + mark.width <= slide.width for mark in slide.marks if isinstance(mark, Box))
    for theme in ("light", "dark"):
        text = svg.still(made.still, slides.behind(theme))
        assert 'class="paper"' not in text and "prefers-color-scheme" not in text
        assert slides.behind(theme).ink in text
    image = Image.open(BytesIO(raster.png(made.still, clear=True)))
    assert image.mode == "RGBA" and image.getpixel((1, 1))[3] == 0
    assert {pixel[3] for pixel in [image.getpixel((round(36 * 2 * 1.2), y)) for y in range(image.height)]} >= {0, 255}


def test_three_axes_are_slices() -> None:
    seen = trace(Geometry((2, 2, 2)), np.arange(8).reshape(2, 2, 2), np.ones((2, 2, 2), int))
    for film in (SCENES["gather"](seen), SCENES["window"](seen)):
        assert film.still.width > film.still.height
    assert texts(SCENES["gather"](seen).scenes[-1], Role.OUTPUT) == written(seen.y)


def test_coverage_and_holes() -> None:
    (scene,) = SCENES["coverage"](HOLES).scenes
    assert texts(scene, Role.HOLE) == ["0", "0", "0"]
    assert "Holes: nothing meets at 3 cells." in scene.says
    even = trace(Geometry(2, 2), [1, 2], [1, 1])
    assert SCENES["coverage"](even).still.says.startswith("Even")
    assert SCENES["coverage"](SMALL).still.says == "Uneven, with period 2x2: a checkerboard."


def test_the_transpose_may_be_the_inverse() -> None:
    assert SCENES["adjoint"](trace(Geometry(1), [1, 2], [1])).still.says == "Here C y happens to be x."
    assert SCENES["adjoint"](SMALL).still.says.endswith("||C y - x|| = 4.92 ||x||.")


@pytest.mark.parametrize("name", ["scatter", "zero_insert", "window", "phases"])
def test_golden(name: str, golden: Callable[..., None]) -> None:
    golden(name, svg.still(SCENES[name](SMALL).still), "svg")


def test_golden_moving(golden: Callable[..., None]) -> None:
    golden("moving", svg.moving(SCENES["scatter"](trace(Geometry(2), [1, 2], [3, 4]))), "svg")


@pytest.mark.parametrize("form", SCENES)
def test_svg_shows_the_scene(form: str) -> None:
    film = SCENES[form](HOLES)
    root = ElementTree.fromstring(svg.still(film.still))
    assert numbers([root]) == boxes(film.still)
    assert root.get("role") == "img" and root.get("aria-label") == film.still.says


@pytest.mark.parametrize("form", SCENES)
def test_moving_svg_shows_every_scene_in_its_time(form: str) -> None:
    film = SCENES[form](SMALL)
    for n, scene in enumerate(film.scenes):
        assert numbers(shown_at(film, n)) == boxes(scene)


def test_names_cannot_break_out_of_the_svg() -> None:
    scene = Scene(1, 1, (), says='"><script>alert(1)</script>')
    assert "<script" not in svg.still(scene)


def test_png_shows_the_colours_of_the_cells() -> None:
    film = SCENES["gather"](SMALL)
    for theme in (LIGHT, DARK):
        image = Image.open(BytesIO(raster.png(film.still, theme))).convert("RGB")
        assert image.size == (round(film.still.width * 72), round(film.still.height * 72))
        for box in film.still.marks:
            if isinstance(box, Box):
                colours = theme.of(box.role, box.tint)
                corner = image.getpixel((round((box.x + 0.1) * 72), round((box.y + 0.1) * 72)))
                assert "#{:02x}{:02x}{:02x}".format(*corner) == (colours.lit if box.lit else colours.fill)


def test_gif_has_a_frame_per_step() -> None:
    film = SCENES["scatter"](SMALL)
    image = Image.open(BytesIO(raster.gif(film, 0.5)))
    assert (image.n_frames, image.info["duration"], image.info["loop"]) == (5, 500, 0)
    assert image.size == tuple(round(2 * 36 * length) // 2 for length in film.size)


def test_numbers_can_be_read_on_every_fill() -> None:
    """WCAG's contrast of 4.5 to 1."""

    def light(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    def contrast(a: str, b: str) -> float:
        high, low = sorted((light(a), light(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for theme in (LIGHT, DARK):
        assert contrast(theme.ink, theme.paper) >= 7 and contrast(theme.soft, theme.paper) >= 4.5
        for role, tints in theme.roles.items():
            for colours in tints:
                assert contrast(colours.ink, colours.fill) >= 4.5, role
                assert contrast(colours.ink, colours.lit) >= 4.5, role
                assert role is Role.HEAT or contrast(colours.edge, theme.paper) >= 3.9, role
