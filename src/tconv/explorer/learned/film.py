"""The photograph through every kernel, frame by frame of the training: kernels and plain grey below."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np

from tconv.arrays import Array
from tconv.explorer.learned.photos import PIXELS, photograph
from tconv.explorer.learned.training import STEPS, Experiment, Tried
from tconv.explorer.scene import Block, Film, Mark, Picture, Words, above, beside, shots

PHOTO, SMALL = 4.4, 2.0  # sides, in cells
ADDS, TAKES = np.array([179, 83, 9]), np.array([37, 99, 184])  # the colours of weights: those of kernel and input


def film(experiment: Experiment) -> Film:
    """One frame per number of steps."""
    return shots(title(experiment), _frames(experiment))


def title(experiment: Experiment) -> str:
    """What is compared, in a line."""
    k, s = experiment.k, experiment.stride
    return f"learned: one layer of stride {s}, with fixed kernels and with a trained one of {k}x{k}"


def _frames(experiment: Experiment) -> Iterator[tuple[Block, str]]:
    begins = experiment.learned(0)
    still = [_original(experiment), *map(_column, experiment.fixed), _column(begins, stretched=True)]
    for position, steps in enumerate(STEPS):
        tried = experiment.learned(position)._replace(name="trained")
        yield beside(*still, _column(tried, stretched=not steps), gap=0.7), says(experiment, position)


def says(experiment: Experiment, position: int) -> str:
    """How near the trained kernel comes, and how even it is."""
    tried, begins = experiment.learned(position), experiment.learned(0)
    bicubic = experiment.fixed[-1].psnr
    even = f"phases of plain grey differ by {percent(tried)}"
    if STEPS[position]:
        even += f", by {percent(begins)} before training"
    return f"After {steps_of(position)} of gradient descent: {tried.psnr:.2f} dB, bicubic has {bicubic:.2f}; {even}."


def steps_of(position: int) -> str:
    """`1,024 steps`."""
    return f"{STEPS[position]:,} step{'s' * (STEPS[position] != 1)}"


def percent(tried: Tried) -> str:
    """How far the phases of plain grey lie apart."""
    return f"{100 * tried.spread:.1f} %"


def _original(experiment: Experiment) -> Block:
    small = experiment.small("portrait")
    side = SMALL * 2 / experiment.stride
    shown = _picture(grey(small, 0, 1), side, f"made smaller by {experiment.stride}")
    sizes = Words(0, 0.3, "original", 0.46, bold=True), Words(0, 0.95, f"{PIXELS}x{PIXELS} pixels", 0.38)
    below = Words(0, 0.3, f"the input, {len(small)}x{len(small)}", 0.38)
    return above(
        _picture(grey(photograph("portrait"), 0, 1), PHOTO, "the photograph"),
        Block(PHOTO, 1.2, sizes),
        above(Block(side, SMALL, shown.marks), Block(PHOTO, 0.6, (below,)), gap=0.2),
        gap=0.2,
    )


def _column(tried: Tried, stretched: bool = False) -> Block:
    """Photograph, name, kernel and grey; `stretched` to full contrast where nobody has trained the kernel."""
    low, high = (float(tried.back.min()), float(tried.back.max())) if stretched else (0.0, 1.0)
    dark, light = (float(tried.grey.min()), float(tried.grey.max())) if stretched else (0.0, 1.0)
    side = len(tried.kernel)
    kernel = _picture(signed(tried.kernel), SMALL, f"kernel of {tried.name}, {side}x{side}")
    plain = _picture(grey(tried.grey, dark, light), SMALL, f"what {tried.name} makes of plain grey: {percent(tried)}")
    words = (Words(0, 0.3, tried.name, 0.46, bold=True), Words(0, 0.95, f"{tried.psnr:.2f} dB", 0.38))
    below = (Words(0, 0.3, f"{side}x{side}", 0.38), Words(SMALL + 0.4, 0.3, "of grey", 0.38))
    return above(
        _picture(grey(tried.back, low, high), PHOTO, f"the photograph through {tried.name}"),
        Block(PHOTO, 1.2, words),
        above(beside(kernel, plain, gap=0.4), Block(PHOTO, 0.6, below), gap=0.2),
        gap=0.2,
    )


def _picture(pixels: Array, side: float, says: str) -> Block:
    marks: tuple[Mark, ...] = (Picture(0, 0, side, side, _png(pixels), len(pixels) < PIXELS // 2, says),)
    return Block(side, side, marks)


def _png(pixels: Array) -> bytes:
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def grey(values: Array, low: float, high: float) -> Array:
    """Grey levels of 8 bits, black at `low` and white at `high`."""
    levels: Array = np.rint(255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)
    return levels


def signed(values: Array) -> Array:
    """Weights as colours, (rows, columns, 3): orange where they add, blue where they take away, white where neither."""
    share = (abs(values) / abs(values).max())[..., None]
    hue = np.where((values < 0)[..., None], TAKES, ADDS)
    colours: Array = np.rint(255 + (hue - 255) * share).astype(np.uint8)
    return colours
