"""Where atoms may lie: every pixel of a cropped image is reached as if there were no border."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from tconv import errors
from tconv.decomposition.frame import frame, largest_size


@pytest.mark.parametrize(("n", "kernel", "stride"), list(product((1, 2, 7, 12), (1, 3, 4, 8), (1, 2, 3))))
def test_every_pixel_has_as_many_atoms_as_without_a_border(n: int, kernel: int, stride: int) -> None:
    if kernel < stride:
        return
    found = frame((n,), (kernel,), stride)
    ((low, _),) = found.geometry.crop
    for pixel in range(n):
        inside = [p for p in range(found.places[0]) if 0 <= pixel + low - stride * p < kernel]
        everywhere = [p for p in range(-99, 99) if 0 <= pixel + low - stride * p < kernel]
        assert inside == everywhere
    assert found.geometry.output_size(found.places) == (n,)
    assert all(any(0 <= pixel + low - stride * p < kernel for pixel in range(n)) for p in range(found.places[0]))
    assert found.window[0] == slice(low, low + n)


@pytest.mark.parametrize(("border", "sizes"), [("cropped", range(1, 20)), ("inside", (4, 6, 8, 10, 12))])
def test_the_largest_size_is_the_largest(border: str, sizes: range) -> None:
    for n in sizes:
        places = frame((n,), (4,), 2, border).places
        largest = largest_size(places, (4,), 2, border)
        assert n <= largest[0] and frame(largest, (4,), 2, border).places == places


def test_atoms_inside() -> None:
    found = frame((8, 9), (3, 4), 1, "inside")
    assert found.places == (6, 6) and found.canvas == (8, 9)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((8,), (3,), 1, "round"), errors.TconvError, "border 'round' is unknown; choose 'cropped' or 'inside'"),
        (
            ((8,), (2,), 3),
            errors.KernelError,
            "kernels of (2,) with stride (3,) leave pixels that no atom reaches; choose a stride of at "
            "most the kernel's size",
        ),
        (
            ((2, 9), (3, 3), 1, "inside"),
            errors.InputSizeError,
            "images of (2, 9) are smaller than the kernels of (3, 3); use larger images, or border='cropped'",
        ),
        (
            ((8,), (3,), 2, "inside"),
            errors.InputSizeError,
            "with border='inside' and stride (2,), kernels of (3,) fill (7,) of an image of (8,); crop the images to "
            "that, or use border='cropped'",
        ),
    ],
)
def test_refusals(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        frame(*arguments)
