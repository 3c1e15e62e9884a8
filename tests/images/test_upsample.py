"""Bands give the whole picture bit for bit, with the values of interpolation, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tconv import errors
from tconv.images import Picture, Upsampler, upsample
from tconv.images.files import Reader
from tconv.images.upsample import KERNELS, bands

Array = np.ndarray
MODULE = sys.modules["tconv.images.upsample"]  # whose name in the package is the function's


@dataclass
class Held:
    """A reader of an array."""

    pixels: Array
    at: int = 0

    @property
    def picture(self) -> Picture:
        return Picture(*self.pixels.shape, self.pixels.dtype)

    def read(self, rows: int) -> Array:
        self.at += rows
        return self.pixels[self.at - rows : self.at]


def noise(shape: tuple[int, ...], dtype: Any = np.uint8, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@settings(deadline=None, max_examples=150)
@given(
    height=st.integers(1, 40),
    width=st.sampled_from([1, 2, 15, 16, 17, 33]),
    channels=st.integers(1, 4),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    kernel=st.sampled_from([*KERNELS, (5, 7), (10, 10), (31, 4)]),
    scale=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    rows=st.integers(1, 41),
)
def test_bands_are_the_whole(
    height: int, width: int, channels: int, dtype: Any, kernel: Any, scale: Any, rows: int
) -> None:
    pixels = noise((height, width, channels), dtype, seed=height)
    if not isinstance(kernel, str):
        kernel = np.random.default_rng(width).standard_normal((channels, 1, *kernel)) / 3
    upsampler = Upsampler(kernel, scale, channels)
    whole = upsampler(pixels)
    assert (whole.shape, whole.dtype) == ((height * scale[0], width * scale[1], channels), dtype)
    parts = [upsampler.band(band) for band in bands(Held(pixels), rows, upsampler.halo[0])]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("kernel, mode", [("nearest", "nearest"), ("bilinear", "bilinear"), ("bicubic", "bicubic")])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_values_are_those_of_interpolation(kernel: str, mode: str, scale: int) -> None:
    pixels = noise((19, 26, 3))
    corners = {} if mode == "nearest" else {"align_corners": False}
    x = torch.from_numpy(np.moveaxis(pixels, -1, 0)[None].astype(np.float64))
    y = torch.nn.functional.interpolate(x, scale_factor=scale, mode=mode, **corners)[0].numpy()
    expected = np.clip(np.moveaxis(y, 0, -1), 0, 255)
    assert np.abs(Upsampler(kernel, scale, 3)(pixels) - expected).max() <= 0.5 + 1e-4  # only rounded


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("value", [0, 1, 255, 65535])
def test_a_flat_picture_stays_flat(kernel: str, value: int) -> None:
    dtype = np.uint8 if value < 256 else np.uint16
    assert (Upsampler(kernel, 3, 1)(np.full((9, 8, 1), value, dtype)) == value).all()


def test_overshoot_is_clipped() -> None:
    edge = np.repeat([0, 255], 8).astype(np.uint8)[None, :, None].repeat(4, axis=0)
    y = Upsampler("bicubic", 2, 1)(edge)
    assert y[0, :14].max() == 0 and y[0, 18:].min() == 255


def test_each_channel_may_have_its_kernel() -> None:
    pixels = noise((6, 5, 3))
    shift = np.zeros((3, 1, 3, 3))
    shift[0, 0, 1, 1] = shift[1, 0, 0, 1] = shift[2, 0, 1, 2] = 1  # as it is, up by one, right by one
    y = Upsampler(shift, 1, 3)(pixels)
    assert np.array_equal(y[..., 0], pixels[..., 0])
    assert np.array_equal(y[:-1, :, 1], pixels[1:, :, 1])
    assert np.array_equal(y[:, 1:, 2], pixels[:, :-1, 2])


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 4, 4)])
def test_one_kernel_serves_all_channels(shape: Any) -> None:
    pixels, kernel = noise((6, 5, 4)), np.random.default_rng(0).random(shape)
    assert np.array_equal(Upsampler(kernel, 2, 4)(pixels)[..., 3], Upsampler(kernel, 2, 1)(pixels[..., 3:])[..., 0])


def test_a_file_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise((50, 30, 3))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.setattr(MODULE, "BAND_BYTES", 7 * 4 * 60 * 3 * 2)  # seven rows
    calls: list[tuple[int, int]] = []
    found = upsample(tmp_path / "a.png", tmp_path / "b.png", 2, "bicubic", lambda *done: calls.append(done))
    assert [str(picture) for picture in found] == ["30 x 50 RGB, 8-bit", "60 x 100 RGB, 8-bit"]
    assert calls == [(n, 50) for n in (7, 14, 21, 28, 35, 42, 49, 50)]
    assert np.array_equal(Reader(tmp_path / "b.png").read(100), Upsampler("bicubic", 2, 3)(pixels))


def test_the_suffix_chooses_the_format(tmp_path: Path) -> None:
    Image.fromarray(noise((5, 6, 3))).save(tmp_path / "a.png")
    for suffix, name in ((".jpg", "JPEG"), (".tif", "TIFF"), (".png", "PNG")):
        upsample(tmp_path / "a.png", tmp_path / f"b{suffix}")
        with Image.open(tmp_path / f"b{suffix}") as found:
            assert (found.format, found.size) == (name, (12, 10))


@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupted_run_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    monkeypatch.setattr(MODULE, "BAND_BYTES", 1)  # one row at a time
    Image.fromarray(noise((50, 30, 3))).save(tmp_path / "a.png")

    def interrupt(done: int, _: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upsample(tmp_path / "a.png", tmp_path / "b.png", on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


SHAPES = "for a picture with 3 channels it must be (k, k), (1, 1, k, k) or (3, 1, k, k)"
REAL = "must hold real numbers that are finite in float32"
MESSAGES = [
    (
        "lanczos",
        2,
        errors.KernelError,
        "kernel 'lanczos' is unknown; choose one of nearest, bilinear, bicubic, or give an array (.npy)",
    ),
    (np.ones(4), 2, errors.KernelError, f"kernel has shape (4,); {SHAPES}"),
    (np.ones((2, 1, 4, 4)), 2, errors.KernelError, f"kernel has shape (2, 1, 4, 4); {SHAPES}"),
    (np.ones((3, 3, 4, 4)), 2, errors.KernelError, f"kernel has shape (3, 3, 4, 4); {SHAPES}"),
    (np.ones((0, 4)), 2, errors.KernelError, f"kernel has shape (0, 4); {SHAPES}"),
    (np.full((4, 4), np.nan), 2, errors.KernelError, f"kernel (dtype float64) {REAL}"),
    (np.full((4, 4), 1e300), 2, errors.KernelError, f"kernel (dtype float64) {REAL}"),
    (np.ones((4, 4), complex), 2, errors.KernelError, f"kernel (dtype complex128) {REAL}"),
    (
        np.ones((4, 2)),
        3,
        errors.KernelError,
        "kernel (4, 2) is smaller than the scale (3, 3): some pixels would get no value; use a kernel of at least "
        "(3, 3)",
    ),
    ("bicubic", 0, errors.StrideError, "scale 0 must be at least 1"),
    (
        "bicubic",
        9000,
        errors.StrideError,
        "scale (9000, 9000) must be at most 64; enlarge in several steps",
    ),
    (
        "bicubic",
        1.5,
        errors.ArgumentTypeError,
        "scale must be an integer, not 1.5 (float); sizes are counted in whole cells",
    ),
]


@pytest.mark.parametrize("kernel, scale, error, message", MESSAGES, ids=[message for *_, message in MESSAGES])
def test_messages(kernel: Any, scale: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        Upsampler(kernel, scale, 3)
    assert str(raised.value) == message


# ru_maxrss would count what the parent had, too.
HUGE = """
import json, sys, pyvips
from pathlib import Path
from tconv.images import upsample
source, target, side = sys.argv[1], sys.argv[2], 20_000
pyvips.Image.xyz(side, side).extract_band(0).linear([0.01], [0]).cast("uchar").pngsave(source, compression=1)
before, after = upsample(source, target, 2, "bicubic")
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps([str(before), str(after), peak]))
"""


@pytest.mark.slow
def test_a_huge_picture_in_bounded_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HUGE, str(tmp_path / "huge.png"), str(tmp_path / "twice.png")]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    before, after, peak = json.loads(run.stdout)
    assert (before, after) == ("20000 x 20000 grey, 8-bit", "40000 x 40000 grey, 8-bit")
    assert peak < 700, f"{peak:.0f} MiB"  # the output alone has 1.5 GiB
