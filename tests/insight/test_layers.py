"""`layers`, the blocks that stand for all of them, and models that are named in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from insight.nets import Net, image, seeded
from torch import nn

from tconv import errors
from tconv.insight import LayerView, layers, load_model
from tconv.insight.overview import blocks
from tconv.segmentation import UNet, export_torch


def told(views: list[LayerView]) -> list[tuple[str, str, int, tuple[int, ...], str]]:
    return [(each.name, each.kind, each.channels, each.size, each.sees) for each in views]


def test_a_u_net_in_the_order_in_which_an_image_meets_it() -> None:
    torch.manual_seed(0)
    model = UNet(3, 2, (4, 6))
    views = layers(model, image(1, 3, 64, 48))
    main = told(blocks(model, views))
    assert main == [
        ("downs.0", "DualConv", 4, (64, 48), "5 x 5"),
        ("downs.1", "DualConv", 6, (32, 24), "14 x 14"),
        ("bottleneck", "DualConv", 12, (16, 12), "32 x 32"),
        ("ups.0", "ConvTranspose2d", 6, (32, 24), "32 x 32"),
        ("ups.1", "DualConv", 6, (32, 24), "40 x 40"),
        ("ups.2", "ConvTranspose2d", 4, (64, 48), "40 x 40"),
        ("ups.3", "DualConv", 4, (64, 48), "44 x 44"),
        ("final_conv", "Conv2d", 2, (64, 48), "44 x 44"),
    ]
    assert next(each for each in views if each.name == "pool").calls == 2
    small = layers(model, image(1, 3, 16, 16))
    assert next(each for each in small if each.name == "bottleneck").sees == "32 x 32, the whole image"


def test_what_is_within_where_there_are_few_blocks() -> None:
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    model = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    views = layers(model, image(1, 3, 12, 12))
    assert [each.name for each in views] == ["0.0", "0.1", "0.2", "0.3", "0.4", "0", "1"]
    assert [each.name for each in blocks(model, views)] == ["0.0", "0.2", "0.4"]
    assert views[-1].sees == "12 x 12, the whole image" or views[-1].sees_all


def test_attention_sees_everything_and_says_so() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.attend = nn.Conv2d(3, 4, 3, 2, 1), nn.MultiheadAttention(4, 2, batch_first=True)
            self.after = nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            tokens = x.flatten(2).transpose(1, 2)
            tokens = self.attend(tokens, tokens, tokens, need_weights=False)[0]
            return self.after(tokens.transpose(1, 2).reshape(x.shape))

    views = layers(seeded(Attending()), image(1, 3, 16, 16))
    assert [each.name for each in views] == ["conv", "after"]
    assert views[0].sees == "3 x 3" and views[1].sees_all


def test_a_model_without_a_spatial_layer() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    said = (
        r"^no layer of this Sequential gives a map \(batch, channels, \*size\) that depends on the image; there is "
        r"nothing to see in it$"
    )
    with pytest.raises(errors.LayerError, match=said):
        layers(model, image(1, 3, 2, 2))


# models in words


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seen_nets.py").write_text(
        "from torch import nn\n\nclass Nets:\n    small = staticmethod(lambda: nn.Conv2d(3, 2, 3))\n\n"
        "ready = nn.Conv2d(1, 1, 1)\nnumber = 3\n\ndef wrong():\n    return 3\n"
    )
    (tmp_path / "seen_broken.py").write_text("import a_module_that_is_not_there\n")
    return tmp_path


def test_ones_own_code_by_module_and_callable(code: Path) -> None:
    assert isinstance(load_model("seen_nets:Nets.small").model, nn.Conv2d)
    assert load_model("seen_nets:ready").model.in_channels == 1
    for text, said in [
        ("seen_nets:none", "seen_nets:none: seen_nets has no none; write MODULE:CALLABLE"),
        ("seen_nets:number", "seen_nets:number is of type int; name a model, or what builds one"),
        ("seen_nets:wrong", "seen_nets:wrong() gives int; it must give a torch.nn.Module"),
        ("seen_gone:net",
         "seen_gone:net: seen_gone cannot be imported (No module named 'seen_gone'); write MODULE:CALLABLE"),
        ("seen_broken:net",
         "seen_broken:net: seen_broken cannot be imported (No module named 'a_module_that_is_not_there'); write "
         "MODULE:CALLABLE"),
    ]:  # fmt: skip
        with pytest.raises(errors.TconvError, match=f"^{re.escape(said)}$"):
            load_model(text)


def test_an_exported_program_has_the_layers_of_its_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = UNet(3, 2, (4, 6)).eval()
    x = image(1, 3, 24, 20)
    export_torch(model, x, tmp_path / "model.pt2")
    loaded = load_model(str(tmp_path / "model.pt2"))
    assert loaded.channels == 3
    own = {each.name: (each.size, each.sees) for each in layers(model, x)}
    exported = {each.name: (each.size, each.sees) for each in layers(loaded.model, x)}
    assert exported and all(exported[name] == own[name] for name in exported if name in own)
    assert {"downs.0", "bottleneck", "ups.3", "final_conv"} <= exported.keys()


def test_no_such_model_and_no_program(tmp_path: Path) -> None:
    said = (
        "nothing/here: there is no such model; give a run folder of `tconv segment train`, a .pt2 file, or "
        "MODULE:CALLABLE"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(said)}$"):
        load_model("nothing/here")
    with pytest.raises(FileNotFoundError, match=r"gone\.pt2: there is no such file; `tconv segment export` "):
        load_model(str(tmp_path / "gone.pt2"))
    (tmp_path / "bad.pt2").write_bytes(b"PK")
    with pytest.raises(errors.TconvError, match=r"bad\.pt2 is no torch\.export program that can be read \("):
        load_model(str(tmp_path / "bad.pt2"))


def test_net_is_listed() -> None:
    views = layers(Net(), image(1, 3, 9, 9))
    assert told(views) == [
        ("convs.0", "Conv2d", 6, (9, 9), "3 x 3"),
        ("convs.1", "Conv2d", 8, (9, 9), "5 x 5"),
        ("convs.2", "Conv2d", 4, (9, 9), "7 x 7"),
    ]
