"""Averages: of mirror images, of networks with other normalisations, of folds; and what cannot predict together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tconv import errors
from tconv.segmentation import Card, FCN8s, UNet, palette, save
from tconv.segmentation.ensemble import Ensemble, assemble, is_model, load_parts
from tconv.segmentation.predict.files import predict
from tconv.segmentation.predict.tasks import Wish


def card(mean: float = 0.5, classes: tuple[str, ...] = ("a", "b", "c"), channels: int = 3) -> Card:
    arguments = {"in_channels": channels, "out_channels": len(classes), "features": [4, 8]}
    values = tuple(range(len(classes)))
    return Card("unet", arguments, classes, values, palette(len(classes)), (mean,) * channels, (0.25,) * channels, 32)


def network(seed: int) -> UNet:
    torch.manual_seed(seed)
    return UNet(3, 3, (4, 8)).eval()


@torch.no_grad()
def test_each_network_sees_its_own_normalisation() -> None:
    one, two = network(0), network(1)
    both = Ensemble([(one, card(0.5)), (two, card(0.3))]).eval()
    image = torch.rand(1, 3, 20, 30)
    expected = (one((image - 0.5) / 0.25).softmax(1) + two((image - 0.3) / 0.25).softmax(1)) / 2
    torch.testing.assert_close(both((image - 0.5) / 0.25).softmax(1), expected, atol=1e-5, rtol=1e-5)
    assert (both.stride, both.reach) == (4, one.reach) and both.floats > one.floats


@torch.no_grad()
@pytest.mark.parametrize(("flips", "axes"), [("horizontal", ((), (3,))), ("both", ((), (3,), (2,), (2, 3)))])
def test_flips(flips: str, axes: tuple[tuple[int, ...], ...]) -> None:
    model, image = network(0), torch.rand(1, 3, 24, 32)
    expected = sum(model(image.flip(a)).flip(a).softmax(1) for a in axes) / len(axes)
    mirrored = Ensemble([(model, card())], flips).eval()
    torch.testing.assert_close(mirrored(image).softmax(1), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mirrored(image.flip(3)), mirrored(image).flip(3), atol=1e-4, rtol=1e-4)


def test_one_network_alone_is_left_as_it_is() -> None:
    model, known = network(0), card()
    assert assemble([(model, known)]) == (model, known)
    told = replace(known, finish={"flips": "horizontal", "least": [0, 5, 5]})
    found, finish = assemble([(model, told)])
    assert isinstance(found, Ensemble) and found.flips == ["horizontal"] and finish.finish == {"least": [0, 5, 5]}
    assert assemble([(model, told)], "none") == (model, told)


def test_several_do_what_all_of_them_want() -> None:
    parts = [(network(n), replace(card(), finish=finish))
             for n, finish in enumerate(({"least": [0, 9, 4]}, {"least": [0, 5, 6], "holes": [1, 1, 1]}))]  # fmt: skip
    assert assemble(parts)[1].finish == {"least": [0, 5, 4]}


def test_refusals() -> None:
    with pytest.raises(errors.TconvError) as raised:
        Ensemble([(network(0), card()), (network(1), card(classes=("a", "b", "z")))])
    assert str(raised.value) == "networks of other classes cannot predict together: a, b, c and a, b, z"
    with pytest.raises(errors.TconvError) as raised:
        Ensemble([(network(0), card()), (network(1), card(channels=1))])
    assert str(raised.value) == (
        "networks for images of 3 and of 1 channels cannot predict together; give those of one kind"
    )
    with pytest.raises(errors.TconvError) as raised:
        Ensemble([(network(0), card())], "up")
    assert str(raised.value) == "flips 'up' is unknown; choose one of none, horizontal, both"


def test_folds_stand_for_one_run(tmp_path: Path) -> None:
    for n in (1, 2):
        save(tmp_path / "run" / f"fold_{n}" / "best.safetensors", network(n), card())
    save(tmp_path / "other.safetensors", network(3), card())
    (tmp_path / "photos").mkdir()
    assert is_model(tmp_path / "run") and is_model(tmp_path / "other.safetensors") and not is_model(tmp_path / "photos")
    parts = load_parts([tmp_path / "run", tmp_path / "other.safetensors"])
    assert len(parts) == 3
    assert torch.equal(parts[1][0].final_conv.weight, network(2).final_conv.weight)


def test_prediction_in_tiles_and_folded(tmp_path: Path) -> None:
    """What predicts a file is folded and sees tiles; an average of networks and mirror images is, too."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    torch.manual_seed(2)
    fcn = FCN8s(3, 3, (2,) * 5).eval()
    model, known = assemble([(network(0), card()), (fcn, card(0.4))], "horizontal")
    outcome = predict(model, known, [tmp_path / "a.png"], tmp_path / "out", Wish(probabilities=True))
    assert len(outcome.written) == 1
    with torch.no_grad():
        normal = (torch.from_numpy(pixels.transpose(2, 0, 1)[None] / np.float32(255)).float() - 0.5) / 0.25
        expected = Ensemble([(network(0), card()), (fcn, card(0.4))], "horizontal").eval()(normal)[0].softmax(0)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "a_probabilities.npy"), expected.numpy(), atol=1e-4)
