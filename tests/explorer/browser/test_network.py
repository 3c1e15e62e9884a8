"""The networks on the page: sizes are those of `tconv.plan_unet` and the FCN, what an output sees is what counts.

What counts is found by PyTorch: the pixels that have a gradient where all weights are one.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from explorer.browser.viewer import Viewer
from explorer.networks import counting, fcn, pixels, unet
from playwright.sync_api import Browser, expect

import tconv
from tconv.explorer import explain_learned, explain_network

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


def look_at(viewer: Viewer, cell: int) -> str:
    viewer.field("net-cell").evaluate("(f, v) => { f.value = v; f.dispatchEvent(new Event('input')); }", cell)
    return viewer.page.locator(".net-sees").inner_text()


@pytest.mark.parametrize("up", UPS)
def test_what_an_output_of_the_unet_sees(viewer: Viewer, up: str) -> None:
    viewer.field("net-up").select_option(up)
    for size, depth in ((100, 2), (101, 3), (37, 1)):
        viewer.type("net-size", size)
        viewer.type("net-depth", depth)
        x = pixels(size)
        y = unet(x, depth, *UPS[up])
        assert viewer.field("net-cell").get_attribute("max") == str(y.shape[2] - 1)
        for cell in (0, 1, size // 2, y.shape[2] - 1):
            found = counting(x, y, cell)
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
        x = pixels(size)
        y = fcn(x, strides)
        for cell in (0, size // 2, size - 1):
            found = counting(x, y, cell)
            assert f"sees the input cells {found[0]} to {found[-1]}, {len(found)} of {size}:" in look_at(viewer, cell)


def test_a_page_that_begins_with_a_network(browser: Browser, tmp_path: Path) -> None:
    """`tconv explore --form network`: its fields are filled in, it is in view, and its sizes are there."""
    explain_network(57, depth=2, kernel=4, padding=1, cell=9).save(tmp_path / "network.html")
    explain_learned(3).save(tmp_path / "learned.html")
    viewer = Viewer(browser, (tmp_path / "network.html").as_uri())
    viewer.open(settings=False)
    names = ("net-kind", "net-size", "net-depth", "net-up", "net-cell")
    assert [viewer.field(name).input_value() for name in names] == ["U-Net", "57", "2", "4, 2, 1", "9"]
    expect(viewer.page.locator("#network")).to_be_in_viewport()
    seen = explain_network(57, depth=2, kernel=4, padding=1, cell=9).fields.image[0]
    assert seen and f"sees the input cells {seen[0]} to {seen[1]}," in viewer.page.locator(".net-sees").inner_text()
    assert viewer.complaints == []
    viewer.close()
    viewer = Viewer(browser, (tmp_path / "learned.html").as_uri())
    viewer.open(settings=False)
    viewer.page.locator("#learned figure").first.wait_for()
    expect(viewer.page.locator("#learned")).to_be_in_viewport(ratio=0.99)
    assert (viewer.field("trained-k").input_value(), viewer.field("trained").input_value()) == ("3", "9")
    last = explain_learned(3).experiment.learned(-1)
    assert f"After 65536 steps: {last.psnr:.2f} dB" in viewer.page.locator(".learned-says").inner_text()
    assert viewer.complaints == []
    viewer.close()
