"""The networks on the page: sizes are those of `tconv.plan_unet` and the FCN, what an output sees is what counts.

What counts is found by PyTorch: the pixels that have a gradient where all weights are one.
"""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from explorer.browser.viewer import Viewer
from torch import Tensor

import tconv

UPS = {"2, 2, 0": (2, 0), "3, 2, 1": (3, 1), "4, 2, 1": (4, 1)}


@pytest.mark.parametrize("up", UPS)
def test_sizes_of_every_level(viewer: Viewer, up: str) -> None:
    viewer.field("net-up").select_option(up)
    kernel, padding = UPS[up]
    for size, depth in ((100, 4), (101, 3), (64, 5), (37, 2), (16, 4)):
        viewer.type("net-size", size)
        viewer.type("net-depth", depth)
        plan = tconv.plan_unet(size, depth, kernel=kernel, padding=padding)
        rows = [re.split(r"\s*\n\s*", row) for row in viewer.page.locator(".network .level").all_inner_texts()]
        assert len(rows) == depth + 1 and rows[-1] == [str(plan.levels[-1].pooled[0])]
        for row, level in zip(rows, plan.levels, strict=False):
            (crop,), (op,) = level.crop, level.output_padding
            fit = f"crop the skip by {crop[0]} and {crop[1]}" if any(crop) else f"output_padding {op}" if op else "fits"
            assert row == [str(level.skip[0]), fit, f"{level.up_in[0]} → {level.joined[0]}"], (size, depth)


def test_it_says_where_and_why(viewer: Viewer) -> None:
    says = viewer.page.locator(".net-says")
    assert says.inner_text() == (
        "On 1 of 3 levels the size does not come back by itself. The deepest: 25 is halved to 12, and 12 comes back as "
        "24; output_padding 1 makes it 25."
    )
    viewer.type("net-depth", 4)
    viewer.type("net-size", 96)
    assert says.inner_text() == "Every size comes back by itself on all 4 levels."
    viewer.type("net-size", 15)
    assert viewer.text("network").endswith("An input of 15 is too small for 4 levels: the smallest is 16.")
    viewer.type("net-size", 25)
    viewer.type("net-depth", 1)
    viewer.field("net-up").select_option("3, 2, 1")
    assert "output_padding; the skip is cropped to 23." in says.inner_text()


def blocks(x: Tensor) -> Tensor:
    """Two convolutions of kernel 3 that keep the size."""
    three = torch.ones(1, 1, 3, dtype=x.dtype)
    return F.conv1d(F.conv1d(x, three, padding=1), three, padding=1)


def unet(x: Tensor, depth: int, kernel: int, padding: int) -> Tensor:
    """All weights one; average pooling, through which gradients reach all that maximum pooling could choose."""
    if depth == 0:
        return blocks(x)
    skip = blocks(x)
    below = unet(F.avg_pool1d(skip, 2), depth - 1, kernel, padding)
    size = skip.shape[2] - (2 * (below.shape[2] - 1) + kernel - 2 * padding)
    ones = torch.ones(1, 1, kernel, dtype=x.dtype)
    up = F.conv_transpose1d(below, ones, stride=2, padding=padding, output_padding=size if 0 <= size < 2 else 0)
    over = skip.shape[2] - up.shape[2]
    return blocks(skip[:, :, over // 2 : over // 2 + up.shape[2]] + up)


def fcn(x: Tensor, strides: tuple[int, ...]) -> Tensor:
    maps = [F.pad(x, (0, -x.shape[2] % 32), mode="replicate")]
    for _ in range(5):
        maps.append(F.avg_pool1d(blocks(maps[-1]), 2))
    y = maps.pop()
    for n, s in enumerate(strides):
        ones = torch.ones(1, 1, 2 * s, dtype=x.dtype)
        y = F.conv_transpose1d(y, ones, stride=s, padding=s // 2)
        if n < len(strides) - 1:
            y = y + maps.pop()
    return y[:, :, : x.shape[2]]


def counts(x: Tensor, y: Tensor, cell: int) -> list[int]:
    """The inputs that an output depends on."""
    (gradient,) = torch.autograd.grad(y[0, 0, cell], x, retain_graph=True)
    found: list[int] = gradient[0, 0].nonzero().ravel().tolist()
    return found


def look_at(viewer: Viewer, cell: int) -> str:
    viewer.field("net-cell").evaluate("(f, v) => { f.value = v; f.dispatchEvent(new Event('input')); }", cell)
    return viewer.page.locator(".net-sees").inner_text()


@pytest.mark.parametrize("up", UPS)
def test_what_an_output_of_the_unet_sees(viewer: Viewer, up: str) -> None:
    viewer.field("net-up").select_option(up)
    for size, depth in ((100, 2), (101, 3), (37, 1)):
        viewer.type("net-size", size)
        viewer.type("net-depth", depth)
        x = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
        y = unet(x, depth, *UPS[up])
        assert viewer.field("net-cell").get_attribute("max") == str(y.shape[2] - 1)
        for cell in (0, 1, size // 2, y.shape[2] - 1):
            found = counts(x, y, cell)
            assert look_at(viewer, cell).startswith(
                f"Output cell {cell} sees the input cells {found[0]} to {found[-1]}, {len(found)} of {size}:"
            )


@pytest.mark.parametrize(("kind", "strides"), [("FCN-8s", (2, 2, 8)), ("FCN-16s", (2, 16)), ("FCN-32s", (32,))])
def test_fully_convolutional_networks(viewer: Viewer, kind: str, strides: tuple[int, ...]) -> None:
    viewer.field("net-kind").select_option(kind)
    assert not viewer.field("net-depth").is_visible() and not viewer.field("net-up").is_visible()
    for size in (500, 256, 33):
        viewer.type("net-size", size)
        padded = -(-size // 32) * 32
        rows = [re.split(r"\s*\n\s*", row) for row in viewer.page.locator(".network .level").all_inner_texts()]
        assert [row[0] for row in rows] == [str(padded // 2**n) for n in range(6)]
        ups, cells = [], padded // 32
        for s in strides:
            ups.append(f"{cells} → {s * cells}")
            cells *= s
        assert [row[-1] for row in reversed(rows) if "→" in row[-1]] == ups and cells == padded
        assert rows[0][1] == ("fits" if size == padded else f"cropped to {size}")
        says = viewer.page.locator(".net-says").inner_text()
        assert (f"extended to {padded} by repeating its edge" in says) == (size != padded)
        x = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
        y = fcn(x, strides)
        for cell in (0, size // 2, size - 1):
            found = counts(x, y, cell)
            assert f"sees the input cells {found[0]} to {found[-1]}, {len(found)} of {size}:" in look_at(viewer, cell)
