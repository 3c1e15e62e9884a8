"""One picture that compares the results of an experiment: whole, in detail, in error, and the kernels behind them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tconv import kernels
from tconv.arrays import Array
from tconv.images.experiment import Experiment

PAPER, INK, QUIET, ACCENT = "#fcfbf8", "#1d1d1f", "#77757a", "#b8430f"
TITLE, HEADING, TEXT = 46, 27, 20  # font sizes, pixels
MARGIN, GAP, CELL = 84, 26, 300
DETAIL = 60  # pixels of the original per side of the detail
ERROR_GAIN = 6  # the error, of 255, that is drawn in full ink is 255/ERROR_GAIN
NEGATIVE, ZERO, POSITIVE = np.array([38, 84, 148]), np.array([244, 242, 236]), np.array([184, 67, 15])

WIDTH = 2 * MARGIN + 6 * CELL + 5 * GAP
HEADS, WHOLE = 276, 360  # heights at which the rows begin
DETAILS = WHOLE + CELL + 74
ERRORS = DETAILS + CELL + 74
HEIGHT = ERRORS + CELL + 172


@dataclass
class Page:
    """A canvas with the few things that are put on it."""

    image: Image.Image = field(default_factory=lambda: Image.new("RGB", (WIDTH, HEIGHT), PAPER))

    def write(self, x: float, y: float, text: str, size: int = TEXT, colour: str = INK) -> None:
        """Text whose capitals begin at height `y`."""
        ImageDraw.Draw(self.image).text((x, y), text, colour, ImageFont.load_default(size))

    def paste(self, x: int, y: int, pixels: Array, size: int = CELL, smooth: bool = False) -> None:
        """An image (height, width, 3) uint8, `size` wide and high."""
        how = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
        self.image.paste(Image.fromarray(pixels).resize((size, size), how), (x, y))

    def frame(self, x: float, y: float, size: float) -> None:
        """A thin white square in a thin dark one, to be seen on any ground."""
        draw = ImageDraw.Draw(self.image)
        draw.rectangle((x - 2, y - 2, x + size + 2, y + size + 2), outline="#00000090", width=1)
        draw.rectangle((x - 1, y - 1, x + size + 1, y + size + 1), outline="white", width=2)


def poster(experiment: Experiment, detail: tuple[int, int], credit: str = "") -> Image.Image:
    """The comparison, `WIDTH` x `HEIGHT` pixels.

    Args:
        experiment: on a square photograph.
        detail: (row, column) of the original at which the detail begins; even.
        credit: whose photograph it is.
    """
    page = Page()
    _words(page, experiment, credit)
    side = len(experiment.original)
    columns = [experiment.original, experiment.small, *experiment.results.values()]
    for number, pixels in enumerate(columns):
        scale = len(pixels) / side
        top, left, size = (round(n * scale) for n in (*detail, DETAIL))
        shown = round(CELL * scale)
        page.paste(_column(number), WHOLE, pixels, shown, smooth=True)
        page.frame(
            _column(number) + left / scale * shown / side, WHOLE + detail[0] * shown / side, DETAIL * shown / side
        )
        page.paste(_column(number), DETAILS, pixels[top : top + size, left : left + size])
        if number > 1:
            page.paste(_column(number), ERRORS, _error(experiment.original, pixels), smooth=True)
    _kernels(page, {"bicubic": kernels.bicubic(2)[0, 0], "learned": experiment.learned})
    return page.image


def _column(number: int) -> int:
    return MARGIN + number * (CELL + GAP)


def _words(page: Page, experiment: Experiment, credit: str) -> None:
    page.write(MARGIN, 76, "Half the pixels, brought back", TITLE)
    said = (
        "A strided convolution halves a photograph. Four transposed convolutions with stride 2 bring it back.",
        f"The last kernel was learned by least squares from {len(experiment.training)} other photographs; "
        "it has never seen this one.",
    )
    for line, text in enumerate(said):
        page.write(MARGIN, 150 + 32 * line, text, 23, QUIET)
    best = max(experiment.psnr, key=lambda name: experiment.psnr[name])
    height, width = experiment.original.shape[:2]
    heads = [("original", f"{width} x {height}"), ("halved", f"{width // 2} x {height // 2}")]
    heads += [(name, f"{value:.2f} dB") for name, value in experiment.psnr.items()]
    for number, (name, value) in enumerate(heads):
        page.write(_column(number), HEADS, name, HEADING, ACCENT if name == best else INK)
        page.write(_column(number), HEADS + 38, value, TEXT, ACCENT if name == best else QUIET)
    page.write(MARGIN, DETAILS - 36, "Detail", TEXT, QUIET)
    page.write(_column(2), ERRORS - 36, "Error: the darker, the further from the original", TEXT, QUIET)
    page.write(MARGIN, ERRORS - 36, "Kernels: red adds, blue takes away", TEXT, QUIET)
    footer = "dB: peak signal-to-noise ratio over all pixels and channels; 6 dB more is half the error. " + credit
    page.write(MARGIN, HEIGHT - 88, footer, 17, QUIET)


def _error(original: Array, result: Array) -> Array:
    """Mean absolute error over the channels, white where there is none."""
    error = np.abs(original.astype(float) - result).mean(axis=2) * ERROR_GAIN
    shade = 1 - np.clip(error / 255, 0, 1)[..., None]
    drawn: Array = np.rint(ZERO * shade + 29 * (1 - shade))
    return drawn.astype(np.uint8)


def _kernels(page: Page, drawn: dict[str, Array]) -> None:
    """Kernels side by side, in colours of one scale; the square root keeps the small taps visible."""
    largest = max(np.abs(kernel).max() for kernel in drawn.values())
    taps = max(len(kernel) for kernel in drawn.values())
    for number, (name, kernel) in enumerate(drawn.items()):
        values = np.pad(kernel, (taps - len(kernel)) // 2)[..., None]  # centred on the larger one
        strength = np.sqrt(np.abs(values) / largest)
        colours = ZERO * (1 - strength) + np.where(values > 0, POSITIVE, NEGATIVE) * strength
        page.paste(_column(number), ERRORS, np.rint(colours).astype(np.uint8))
        page.write(_column(number), ERRORS + CELL + 12, f"{name}, {len(kernel)} x {len(kernel)}", TEXT, QUIET)
