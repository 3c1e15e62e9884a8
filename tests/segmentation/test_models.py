"""The networks: names, sizes, upsampling, checkpoints, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tconv import errors, segmentation
from tconv.segmentation import UPS, Card, FCN8s, FCN16s, FCN32s, UNet, blocks


def tutorial_keys(levels: int) -> set[str]:
    """The keys of the widespread definition, written out by hand."""
    convolutions = [f"dualconv.{n}.weight" for n in (0, 3)]
    norms = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    block = convolutions + [f"dualconv.{n}.{name}" for n in (1, 4) for name in norms]
    keys = {f"downs.{n}.{key}" for n in range(levels) for key in block}
    keys |= {f"ups.{2 * n + 1}.{key}" for n in range(levels) for key in block}
    keys |= {f"ups.{2 * n}.{name}" for n in range(levels) for name in ("weight", "bias")}
    return keys | {f"bottleneck.{key}" for key in block} | {"final_conv.weight", "final_conv.bias"}


def test_a_tutorial_state_dict_loads() -> None:
    model = UNet(3, 6)
    assert set(model.state_dict()) == tutorial_keys(4)
    assert model.ups[0].weight.shape == (1024, 512, 2, 2)
    assert model.downs[0].dualconv[0].weight.shape == (64, 3, 3, 3)
    assert model.ups[7].dualconv[0].weight.shape == (64, 128, 3, 3)


def test_the_unet_computes_what_its_layers_say() -> None:
    model = UNet(2, 3, (4, 8)).eval()
    x = torch.randn(1, 2, 16, 12)
    down, up = model.downs, model.ups
    first = down[0](x)
    second = down[1](F.max_pool2d(first, 2))
    y = model.bottleneck(F.max_pool2d(second, 2))
    y = up[1](torch.cat((second, F.conv_transpose2d(y, up[0].weight, up[0].bias, 2)), 1))
    y = up[3](torch.cat((first, F.conv_transpose2d(y, up[2].weight, up[2].bias, 2)), 1))
    torch.testing.assert_close(model(x), model.final_conv(y), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_the_worked_example() -> None:
    assert UNet(3, 6).eval()(torch.zeros(8, 3, 512, 512)).shape == (8, 6, 512, 512)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("up", UPS)
def test_any_size_in_any_dimension(up: str, ndim: int) -> None:
    model = UNet(2, 3, (4, 6), up=up, ndim=ndim)
    x = torch.randn(2, 2, *(13, 22, 17)[:ndim])
    y = model(x)
    assert y.shape == (2, 3, *x.shape[2:])
    y.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("up", "ndim", "mode"), [
    ("nearest", 1, "nearest"), ("nearest", 2, "nearest"), ("nearest", 3, "nearest"),
    ("bilinear", 1, "linear"), ("bilinear", 2, "bilinear"), ("bilinear", 3, "trilinear"), ("bicubic", 2, "bicubic"),
])  # fmt: skip
def test_fixed_upsampling_is_interpolation(up: str, ndim: int, mode: str) -> None:
    layer: Any = blocks.upsampler(up, 3, 2, ndim)
    x = torch.randn(2, 3, *(5, 7, 4)[:ndim])
    how: dict[str, Any] = {} if mode == "nearest" else {"align_corners": False}
    expected = layer.project(F.interpolate(x, scale_factor=2, mode=mode, **how))
    torch.testing.assert_close(blocks.double(layer, x, (0,) * ndim), expected, atol=1e-5, rtol=1e-4)


def test_pixelshuffle_is_pytorchs_and_starts_without_checkerboard() -> None:
    layer: Any = blocks.upsampler("pixelshuffle", 3, 2, 2)
    x = torch.randn(1, 3, 4, 5)
    y = blocks.double(layer, x, (0, 0))
    torch.testing.assert_close(y, F.pixel_shuffle(layer.conv(x), 2))
    torch.testing.assert_close(y[:, :, ::2, ::2], y[:, :, 1::2, 1::2])
    assert blocks.double(layer, x, (1, 0)).shape == (1, 2, 9, 10)


@pytest.mark.parametrize(("network", "kernels"), [(FCN32s, [64]), (FCN16s, [4, 32]), (FCN8s, [4, 4, 16])])
def test_fcn(network: Any, kernels: list[int]) -> None:
    model = network(3, 5)
    assert [layer.kernel_size[0] for layer in model.ups] == kernels
    assert [layer.stride[0] for layer in model.ups] == [k // 2 for k in kernels]
    assert model(torch.zeros(2, 3, 50, 70)).shape == (2, 5, 50, 70)


def test_fcn_starts_as_bilinear_interpolation() -> None:
    up: Any = FCN8s(3, 4).ups[2]
    x = torch.randn(1, 4, 6, 6)
    expected = F.interpolate(x, scale_factor=8, mode="bilinear", align_corners=False)
    torch.testing.assert_close(up(x)[..., 8:-8, 8:-8], expected[..., 8:-8, 8:-8])


def test_fcn_on_a_backbone_of_ones_own() -> None:
    class Pools(nn.Module):
        channels = (3, 3, 3)

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [F.avg_pool2d(x, stride) for stride in (8, 16, 32)]

    assert FCN8s(out_channels=2, backbone=Pools())(torch.zeros(1, 3, 33, 64)).shape == (1, 2, 33, 64)
    with pytest.raises(errors.ChannelError, match="must say in `channels` how many channels its maps"):
        FCN8s(backbone=nn.Identity())


@pytest.mark.parametrize(("call", "message"), [
    (lambda: UNet(up="spline"),
     "up 'spline' is unknown; choose one of transposed, nearest, bilinear, bicubic, pixelshuffle"),
    (lambda: UNet(ndim=4), "ndim 4 must be 1, 2 or 3"),
    (lambda: UNet(features=(0,)), "in_channels 3, out_channels 1 and features (0,) must be at least 1, and there must "
     "be at least one level"),
    (lambda: UNet(features=(4,))(torch.zeros(1, 2, 8, 8)), "input has 2 channels, this U-Net takes 3"),
    (lambda: UNet(features=(4,))(torch.zeros(3, 8, 8)), "input has shape (3, 8, 8); it must be (batch, channels, *2 "
     "sizes)"),
    (lambda: FCN8s(3, 2)(torch.zeros(3, 8, 8)), "input has shape (3, 8, 8); it must be (batch, channels, "
     "height, width)"),
    (lambda: segmentation.SmallVGG(features=(1, 2)), "features (1, 2) must be five counts, one per block, as in "
     "16,32,64,128,256"),
])  # fmt: skip
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(errors.TconvError) as raised:
        call()
    assert str(raised.value) == message


def test_too_small_an_input_is_told_what_fits() -> None:
    with pytest.raises(errors.InputSizeError, match="size 3 on axis 0 is too small for a U-Net of depth 2"):
        UNet(features=(4, 8))(torch.zeros(1, 3, 3, 9))


# checkpoints


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "model": "unet", "arguments": {"in_channels": 3, "out_channels": 2, "features": [4, 8], "up": "bilinear"},
        "classes": ("background", "thing"), "values": (0, 255), "palette": segmentation.palette(2),
        "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2), "size": 64,
    }  # fmt: skip
    return Card(**(values | changes))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    segmentation.save(tmp_path / "best.safetensors", card().build(), card())
    return tmp_path / "best.safetensors"


def test_a_model_comes_back_as_it_was(saved: Path) -> None:
    torch.manual_seed(0)
    first = card().build().state_dict()
    model, found = segmentation.load(saved.parent)
    assert found.to_json() == card().to_json() and not model.training
    assert all(torch.equal(value, first[name]) for name, value in model.state_dict().items())
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_damage_is_found(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-5] ^= 1
    saved.write_bytes(content)
    with pytest.raises(errors.TconvError, match="is damaged: its numbers do not fit its checksum; take another copy"):
        segmentation.load(saved)
    saved.write_bytes(content[: len(content) // 2])
    with pytest.raises(errors.TconvError, match=r"best\.safetensors is damaged or no safetensors file"):
        segmentation.load(saved)


def test_versions_and_models_that_are_not_known(tmp_path: Path) -> None:
    text = card().to_json().replace('"format": 1', '"format": 2')
    with pytest.raises(errors.TconvError, match="F has a card of format 2, and this tconv knows up to 1; update tconv"):
        Card.from_json(text, "F")
    with pytest.raises(errors.TconvError, match="F is of a model 'segnet'; this tconv knows unet, fcn32s"):
        Card.from_json(card(model="segnet").to_json(), "F")
    with pytest.raises(errors.TconvError, match="F holds no model card that can be read"):
        Card.from_json("[]", "F")
    with pytest.raises(FileNotFoundError, match="there is no such model; give a run folder"):
        segmentation.load(tmp_path)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}])
def test_weights_of_others(tmp_path: Path, wrap: Any) -> None:
    theirs = UNet(3, 1, (4, 8))
    torch.save(wrap(theirs.state_dict()), tmp_path / "w.pth")
    mine = segmentation.load_weights(UNet(3, 1, (4, 8)), tmp_path / "w.pth")
    assert torch.equal(mine.state_dict()["ups.0.weight"], theirs.state_dict()["ups.0.weight"])
    with pytest.raises(errors.TconvError) as raised:
        segmentation.load_weights(UNet(3, 2, (4, 8)), tmp_path / "w.pth")
    assert str(raised.value) == (
        f"{tmp_path}/w.pth is of another model than this UNet: shapes differ in 2, such as final_conv.weight is "
        f"(1, 4, 1, 1) and not (2, 4, 1, 1); build the model with the arguments it was trained with"
    )


def test_no_code_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"w": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(errors.TconvError, match="holds more than tensors, or is no checkpoint"):
        segmentation.load_weights(UNet(features=(4,)), tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()
    (tmp_path / "text.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(errors.TconvError, match="is damaged or no checkpoint"):
        segmentation.load_weights(UNet(features=(4,)), tmp_path / "text.pt")


def test_palette_colours_differ() -> None:
    assert len(set(segmentation.palette(60))) == 60 and segmentation.palette(1) == ((0, 0, 0),)


# export


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
def test_exported_programs_agree(tmp_path: Path, up: str) -> None:
    model, x = UNet(3, 4, (4, 8), up=up), torch.randn(1, 3, 21, 30)
    assert segmentation.export_torch(model, x, tmp_path / "m.pt2") <= 1e-4
    found = torch.export.load(tmp_path / "m.pt2").module()(x)
    np.testing.assert_allclose(found.detach(), model(x).detach(), atol=1e-4)


@pytest.mark.filterwarnings("ignore::Warning")  # of PyTorch's exporter
def test_onnx_holds_standard_operators_and_agrees(tmp_path: Path) -> None:
    import onnx

    model, x = UNet(3, 4, (4, 8)), torch.randn(1, 3, 21, 30)
    assert segmentation.export_onnx(model, x, tmp_path / "m.onnx") <= 1e-4
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert {node.domain for node in graph.node} == {""}
    assert sum(node.op_type == "ConvTranspose" for node in graph.node) == 2
