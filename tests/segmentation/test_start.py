"""What a training starts from: models of other classes, channels and sizes, and checkpoints of others."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tconv import errors, segmentation
from tconv.segmentation import Card, FCN8s, UNet, palette, synthetic
from tconv.segmentation.train import Settings, train
from tconv.segmentation.train.start import Start, read_start

QUICK = Settings(epochs=1, size=32, batch=2, held_out=0.25, refine=False)


def card(
    channels: int = 3, classes: tuple[str, ...] = ("background", "cell"), features: tuple[int, ...] = (4, 8)
) -> Card:
    arguments = {"in_channels": channels, "out_channels": len(classes), "features": list(features), "up": "transposed"}
    values = tuple(range(len(classes)))
    return Card("unet", arguments, classes, values, palette(len(classes)), (0.5,) * channels, (0.25,) * channels, 32)


def started(state: dict[str, torch.Tensor], path: Path, known: Card | None = None) -> Start:
    return Start(path, state, known)


def test_everything_fits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before, model = UNet(3, 2, (4, 8)), UNet(3, 2, (4, 8))
    lines = started(before.state_dict(), tmp_path, card()).give(model, card())
    assert lines == (f"from {tmp_path}: {len(before.state_dict())} of {len(before.state_dict())} tensors taken over",)
    assert all(
        torch.equal(a, b) for a, b in zip(before.state_dict().values(), model.state_dict().values(), strict=True)
    )


def test_other_classes_keep_what_both_know_by_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before, model = UNet(3, 3, (4, 8)), UNet(3, 2, (4, 8))
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    known = card(classes=("background", "nucleus", "cell"))
    lines = started(before.state_dict(), tmp_path, known).give(model, card(classes=("cell", "vessel")))
    assert "classes known before: cell; new: vessel" in lines
    assert torch.equal(model.final_conv.weight[0], before.final_conv.weight[2])
    assert torch.equal(model.final_conv.weight[1], fresh["final_conv.weight"][1])


def test_the_same_names_in_another_order(tmp_path: Path) -> None:
    before, model = UNet(3, 2, (4, 8)), UNet(3, 2, (4, 8))
    started(before.state_dict(), tmp_path, card(classes=("a", "b"))).give(model, card(classes=("b", "a")))
    assert torch.equal(model.final_conv.weight, before.final_conv.weight.flip(0))


def test_classes_of_an_fcn(tmp_path: Path) -> None:
    before, model = FCN8s(3, 3, (2,) * 5), FCN8s(3, 2, (2,) * 5)
    known = card(classes=("background", "nucleus", "cell"))
    started(before.state_dict(), tmp_path, known).give(model, card(classes=("cell", "background")))
    assert torch.equal(model.scores[0].weight, before.scores[0].weight[[2, 0]])
    assert torch.equal(model.ups[0].weight, before.ups[0].weight[[2, 0]][:, [2, 0]])


@pytest.mark.parametrize(("there", "here"), [(3, 1), (1, 3), (3, 5)])
def test_other_channels_keep_the_sum_of_the_first_layer(tmp_path: Path, there: int, here: int) -> None:
    before, model = UNet(there, 2, (4, 8)), UNet(here, 2, (4, 8))
    lines = started(before.state_dict(), tmp_path, card(there)).give(model, card(here))
    assert f"downs.0.dualconv.0.weight adapted from {there} channels to {here}" in lines
    grey = torch.rand(1, 1, 16, 16)
    first, second = before.downs[0].dualconv[0], model.downs[0].dualconv[0]
    if here != 5:
        torch.testing.assert_close(second(grey.expand(1, here, 16, 16)), first(grey.expand(1, there, 16, 16)))
    else:
        assert second.weight.shape[1] == 5 and torch.equal(second.weight[:, 3], second.weight[:, 0])


def test_other_widths_begin_anew_where_they_differ(tmp_path: Path) -> None:
    before, model = UNet(3, 2, (4, 8)), UNet(3, 2, (4, 16))
    lines = started(before.state_dict(), tmp_path, card()).give(model, card(features=(4, 16)))
    assert torch.equal(model.downs[0].dualconv[0].weight, before.downs[0].dualconv[0].weight)
    assert any(line.startswith("begun anew: downs.1.dualconv.0.weight, ") and line.endswith(" more") for line in lines)


def test_nothing_fits(tmp_path: Path) -> None:
    with pytest.raises(errors.TconvError) as raised:
        started({"conv.weight": torch.zeros(2, 3, 5, 5)}, tmp_path / "w.pt").give(UNet(3, 2, (4, 8)), card())
    assert str(raised.value) == (
        f"{tmp_path / 'w.pt'} has no tensor that fits this UNet: there is conv.weight (2, 3, 5, 5), and the network "
        f"has downs.0.dualconv.0.weight (4, 3, 3, 3); give the --model, --features or --encoder that it was "
        f"trained with"
    )


class Settings2(argparse.Namespace):
    """A class that only the one who wrote the checkpoint has."""


def wrapped(state: dict[str, torch.Tensor], how: str) -> Any:
    """A state dict as others write it."""
    if how == "lightning":
        inner = {f"model.{name}": tensor for name, tensor in state.items()} | {"loss.weight": torch.ones(2)}
        return {"state_dict": OrderedDict(inner), "epoch": 3, "hyper_parameters": Settings2(rate=1e-3), "callbacks": {}}
    if how == "nested":
        return {"model_state_dict": {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}, "step": 7}
    return {f"{how}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize("how", ["", "module.", "_orig_mod.", "model.", "net.unet.", "lightning", "nested"])
def test_prefixes_and_wrappers_load(tmp_path: Path, how: str) -> None:
    before, model = UNet(3, 2, (4, 8)), UNet(3, 2, (4, 8))
    torch.save(wrapped(before.state_dict(), how), tmp_path / "w.ckpt")
    segmentation.load_weights(model, tmp_path / "w.ckpt")
    assert all(
        torch.equal(a, b) for a, b in zip(before.state_dict().values(), model.state_dict().values(), strict=True)
    )
    start = read_start(tmp_path / "w.ckpt")
    assert start.architecture() == {"model": "unet", "features": [4, 8], "up": "transposed"}


CALLED = list[int]()


class Trap:
    """Calls a function when it is unpickled as usual."""

    def __reduce__(self) -> Any:
        return call, (99,)


def call(number: int) -> None:
    CALLED.append(number)


def test_what_others_call_is_never_called(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2, 2)}, "trap": Trap()}, tmp_path / "w.pt")
    assert read_start(tmp_path / "w.pt").state["a"].shape == (2, 2) and not CALLED
    torch.load(tmp_path / "w.pt", weights_only=False)
    assert CALLED == [99]  # the trap works


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match="none: there is no such checkpoint; give a run folder, or a file of weights"
    ):
        read_start(tmp_path / "none")
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(errors.TconvError, match=r"w\.pt holds no tensors by name; save model\.state_dict\(\)"):
        read_start(tmp_path / "w.pt")


def test_fine_tuning_from_a_run(cells: Path, tmp_path: Path) -> None:
    train(cells, tmp_path / "first", replace(QUICK, features=(4, 8)))
    synthetic.write(tmp_path / "digits", "digits", 6, 48)
    said = list[str]()
    result = train(
        tmp_path / "digits",
        tmp_path / "second",
        QUICK,
        start=tmp_path / "first",
        begin=lambda task: said.extend(task.said),
    )
    assert result.card.arguments["features"] == [4, 8] and result.card.channels == 3
    assert any(line.startswith(f"from {tmp_path / 'first'}: ") for line in said)
    assert "classes known before: background; new: " in "\n".join(said)
    assert "downs.0.dualconv.0.weight adapted from 1 channels to 3" in said
    assert "# classes known before: background" in (tmp_path / "second" / "settings.toml").read_text()
    with pytest.raises(errors.TconvError) as raised:
        train(cells, tmp_path / "first", QUICK, resume=True, start=tmp_path / "second")
    assert str(raised.value) == "--from begins a training and --resume goes on with one; give one of them"
