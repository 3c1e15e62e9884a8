"""The U-Net on the page has the sizes of `tconv.plan_unet`, and says what repairs those that do not come back."""

from __future__ import annotations

import re

import pytest
from explorer.browser.viewer import Viewer

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
        "On 1 of 4 levels the size does not come back by itself. The deepest: 25 is halved to 12, and 12 comes back as "
        "24; output_padding 1 makes it 25."
    )
    viewer.type("net-size", 96)
    assert says.inner_text() == "Every size comes back by itself on all 4 levels."
    viewer.type("net-size", 15)
    assert viewer.text("network").endswith("An input of 15 is too small for 4 levels: the smallest is 16.")
    viewer.type("net-size", 25)
    viewer.type("net-depth", 1)
    viewer.field("net-up").select_option("3, 2, 1")
    assert "output_padding; the skip is cropped to 23." in says.inner_text()
