"""The pictures: what is drawn where, files that are whole, a notebook's last line; and a feature through training."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from insight.nets import Net, image, same, seeded, state
from PIL import Image
from torch import nn

from tconv import errors, insight
from tconv.insight.tiles import of_crop, of_projection
from tconv.segmentation import Card, UNet, palette, save

TENSORS = [image(3, 12, 9 + n, seed=n) for n in range(4)]


@pytest.fixture(scope="module")
def found() -> insight.Strongest:
    return insight.top_activations(seeded(Net()), TENSORS, "convs.2", [0, 2], n=3)


def pictures(svg: str) -> list[tuple[np.ndarray, str]]:
    """Pixels and title of every image in an SVG."""
    name = "{http://www.w3.org/2000/svg}"
    result = []
    for each in ElementTree.fromstring(svg).iter(f"{name}image"):
        with Image.open(BytesIO(base64.b64decode(each.attrib["href"].partition(",")[2]))) as opened:
            result.append((np.asarray(opened.convert("RGB")), each[0].text or ""))
    return result


def test_a_row_per_channel_projections_beside_crops(found: insight.Strongest) -> None:
    svg = found.sheet(title="A <title>", note="Whose pictures").svg()
    texts = [each.text for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    for text in ("A <title>", "Whose pictures", "convs.2", "channel 0", "channel 2", "What the image looks like there"):
        assert text in texts
    assert "Conv2d: 4 channels of 12 x 12; one activation sees 7 x 7 pixels" in texts
    drawn = pictures(svg)
    assert len(drawn) == 2 * 2 * 3
    sightings = [each for channel in (0, 2) for each in found[channel]]
    for n, each in enumerate(sightings):
        projection, crop = drawn[2 * n], drawn[2 * n + 1]
        assert crop[1].startswith(f"channel {each.channel}: {each.value:.4g} in {each.name}, pixels ")
        assert projection[1] == f"{crop[1]}, projection"
        assert projection[0].shape[:2] == crop[0].shape[:2] == each.field.sizes


def test_grey_is_nothing_and_the_image_keeps_its_pixels(found: insight.Strongest) -> None:
    each = found[0][0]
    with Image.open(BytesIO(of_projection(each).png)) as opened:
        pixels = np.asarray(opened).astype(int)
    values = each.projection.movedim(0, -1).numpy()
    assert ((pixels == 128) == (np.abs(values) < np.abs(values).max() / 254)).mean() > 0.98
    assert (np.sign(pixels - 128) == np.sign(values))[np.abs(values) > 0.01 * np.abs(values).max()].all()
    photo = np.random.default_rng(0).integers(0, 256, (3, 20, 20), np.uint8).transpose(1, 2, 0)
    seen = insight.top_activations(seeded(Net()), [photo], "convs.2", 0, 1)[0][0]
    with Image.open(BytesIO(of_crop(seen).png)) as opened:
        assert np.array_equal(np.asarray(opened), photo[seen.field.slices])


def test_files_and_notebooks(found: insight.Strongest, tmp_path: Path) -> None:
    sheet = insight.sheet(found, title="Features")
    sheet.save(tmp_path / "sheet.svg")
    sheet.save(str(tmp_path / "sheet.png"))
    assert (tmp_path / "sheet.svg").read_text() == sheet.svg() == sheet._repr_svg_()
    with Image.open(tmp_path / "sheet.png") as opened:
        size = ElementTree.fromstring(sheet.svg()).attrib
        assert opened.size == (round(2 * float(size["width"])), round(2 * float(size["height"])))
        assert len(opened.convert("RGB").getcolors(1 << 24) or ()) > 100
    assert sheet._repr_html_().count("<svg") == 1 and found._repr_svg_().startswith("<svg")
    assert repr(sheet) == "<Sheet: features of convs.2>"
    for name in ("sheet.jpg", "sheet"):
        said = rf"^'{re.escape(name)}' must end in \.svg or \.png, which says what is written$"
        with pytest.raises(errors.TconvError, match=said):
            sheet.save(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.png", "sheet.svg"]


def test_several_layers_stand_below_one_another() -> None:
    model = seeded(Net())
    both = [insight.top_activations(model, TENSORS, f"convs.{n}", 1, n=2) for n in (0, 2)]
    svg = insight.sheet(*both).svg()
    assert svg.index(">convs.0<") < svg.index(">convs.2<") and len(pictures(svg)) == 8


def test_dead_channels_and_large_grey_and_many_channelled_images() -> None:
    dead = seeded(nn.Sequential(nn.Conv2d(5, 2, 3), nn.ReLU()))
    with torch.no_grad():
        dead[0].bias.fill_(-1e6)
    found = insight.top_activations(dead, [image(5, 9, 9)], "1", n=1)
    assert found[0][0].value == 0 and len(pictures(found.sheet().svg())) == 4
    whole = seeded(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(1, 1, 1)))
    drawn = pictures(insight.top_activations(whole, [image(1, 300, 310)], "1", n=1).sheet().svg())
    assert max(drawn[0][0].shape) == 232  # no larger than it is shown


def test_nothing_to_draw() -> None:
    said = r"^a sheet needs something to draw; give what top_activations or evolution returns$"
    with pytest.raises(errors.TconvError, match=said):
        insight.sheet()
    three: Any = 3
    with pytest.raises(
        errors.ArgumentTypeError, match=r"^a sheet draws what top_activations or evolution returns, not int$"
    ):
        insight.sheet(three)


# evolution


def states(count: int) -> list[dict[str, torch.Tensor]]:
    return [seeded(Net(), seed).state_dict() for seed in range(count)]


def test_each_checkpoint_is_seen_as_by_itself(tmp_path: Path) -> None:
    model = seeded(Net(), 9)
    before = state(model)
    grown = insight.evolution(states(3), TENSORS, "convs.2", [0, 1], model=model)
    assert list(grown.stages) == ["0", "1", "2"] and grown.layer == "convs.2" and same(state(model), before)
    for seed, stage in enumerate(grown.stages.values()):
        alone = insight.top_activations(seeded(Net(), seed), TENSORS, "convs.2", [0, 1], 1)
        for channel in (0, 1):
            assert stage[channel][0].value == alone[channel][0].value
            assert torch.equal(stage[channel][0].projection, alone[channel][0].projection)
    svg = grown.sheet().svg()
    assert len(pictures(svg)) == 2 * 2 * 3 and grown._repr_svg_() == svg
    torch.save({"state_dict": states(2)[1]}, tmp_path / "epoch 1.pt")
    models = {"start": seeded(Net(), 0)}
    assert list(insight.evolution(models, TENSORS, "convs.2", 0).stages) == ["start"]
    files = insight.evolution([tmp_path / "epoch 1.pt"], iter(TENSORS), "convs.2", 0, model=model)
    assert files.stages["epoch 1"][0][0].value == grown.stages["1"][0][0].value


def test_a_run_of_the_segmentation_reads_images_as_it_was_trained(tmp_path: Path) -> None:
    arguments = {"in_channels": 3, "out_channels": 2, "features": [4]}
    torch.manual_seed(0)
    model = UNet(**arguments).eval()
    card = Card("unet", arguments, ("a", "b"), (0, 1), palette(2), (0.5, 0.4, 0.3), (0.2,) * 3, 32)
    save(tmp_path / "best.safetensors", model, card)
    photo = np.random.default_rng(0).integers(0, 256, (16, 18, 3), np.uint8)
    (stage,) = insight.evolution([tmp_path], [photo], "bottleneck", 0).stages.values()
    alone = insight.top_activations(model, [photo], "bottleneck", 0, 1, mean=card.mean, std=card.std)
    assert stage[0][0].value == alone[0][0].value


def test_checkpoints_that_do_not_fit() -> None:
    model = seeded(Net())
    for checkpoints, options, text in [
        ([], {}, "there are no checkpoints; give at least one"),
        (states(1), {}, "a state dict needs a model to be loaded into; give model=..."),
        ([3], {"model": model}, "a checkpoint must be a model, a state dict or a file, not int"),
    ]:
        with pytest.raises(errors.TconvError, match=f"^{re.escape(text)}$"):
            insight.evolution(checkpoints, TENSORS, "convs.2", 0, **options)
    with pytest.raises(
        errors.TconvError, match=r"^a checkpoint does not fit the model: Error\(s\) in loading state_dict"
    ):
        insight.evolution([{"x": torch.ones(1)}], TENSORS, "convs.2", 0, model=model)
