"""U-Nets on encoders of timm and of segmentation-models-pytorch: shapes, weights from caches, training, refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tconv import errors, extras, segmentation
from tconv.segmentation import Card, encoders, palette
from tconv.segmentation.encoded import EncodedUNet
from tconv.segmentation.train import Settings, train
from tconv.segmentation.train.start import read_start

SMALL = "test_resnet.r160_in1k"  # of timm, 0.5 million parameters
REVISION = "0" * 40


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "smp:resnet18", "convnext_atto"])
@pytest.mark.parametrize("up", ["transposed", "bilinear"])
def test_any_size_in_the_same_size_out(name: str, up: str) -> None:
    model = EncodedUNet(3, 5, (4, 8), up, name).eval()
    assert model(torch.rand(1, 3, 37, 70)).shape == (1, 5, 37, 70)
    assert model.stride == 32 and model.reach == 160 and model.normed(33) == 2 and model.floats > 64
    assert any(name.startswith("encoder.") for name in model.state_dict())


def test_refusals() -> None:
    with pytest.raises(errors.TconvError) as raised:
        EncodedUNet(encoder="resnet81")
    assert str(raised.value).startswith("encoder 'resnet81' is unknown to timm; did you mean ")
    with pytest.raises(errors.TconvError) as raised:
        EncodedUNet(encoder="smp:resnet81")
    assert str(raised.value).startswith(
        "encoder 'smp:resnet81' is unknown to segmentation-models-pytorch; did you mean resnet"
    )
    with pytest.raises(
        errors.ChannelError, match=r"^in_channels 3, out_channels 0 and features \(4,\) must be at least 1"
    ):
        EncodedUNet(3, 0, (4,))
    model = EncodedUNet(1, 2, (4,), encoder=SMALL)
    with pytest.raises(errors.ChannelError, match=r"^input has 3 channels, this U-Net takes 1$"):
        model(torch.zeros(1, 3, 32, 32))
    with pytest.raises(
        errors.RankError, match=r"^input has shape \(3, 32, 32\); it must be \(batch, channels, height, wid"
    ):
        model(torch.zeros(3, 32, 32))


def test_maps_that_make_no_unet() -> None:
    with pytest.raises(errors.TconvError) as raised:
        encoders._judged("flat", torch.nn.Identity(), (8, 8), (16, 16), 0)
    assert str(raised.value) == (
        "encoder 'flat' has maps of strides 16, 16, and a U-Net needs several, each of them a larger power of two; "
        "choose another encoder, such as resnet18"
    )


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(errors.TconvError) as raised:
        EncodedUNet(encoder="resnet18")
    assert str(raised.value) == f"encoder 'resnet18' needs timm: {extras.cure('encoders')}"


def in_cache(place: Path, repository: str, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights where the Hugging Face hub keeps what it has fetched."""
    folder = place / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    path = folder / "snapshots" / REVISION / "model.safetensors"
    path.parent.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(place), raising=False)
    return path


def test_weights_of_a_cache_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    whole = timm.create_model(SMALL, pretrained=False)
    path = in_cache(tmp_path, timm.get_pretrained_cfg(SMALL).hf_hub_id, whole.state_dict(), monkeypatch)
    model = EncodedUNet(1, 2, (4, 8), encoder=SMALL)
    assert model.load_cached() == (f"encoder {SMALL} begins with the weights of {path}",)
    theirs, ours = whole.state_dict(), model.encoder.state_dict()
    same = [name for name in ours if name in theirs and ours[name].shape == theirs[name].shape and ours[name].dim() > 1]
    assert len(same) > 5 and all(torch.equal(ours[name], theirs[name]) for name in same)


def test_no_weights_are_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert EncodedUNet(3, 2, (4,), encoder=SMALL).load_cached() == (
        f"encoder {SMALL} begins at random, as no cache of this machine has its weights; where there is a network, "
        f"python -c \"import timm; timm.create_model('{SMALL}', pretrained=True)\" fetches them",
    )
    assert EncodedUNet(3, 2, (4,), encoder="smp:resnet18").load_cached() == (
        "encoder smp:resnet18 begins at random, as no cache of this machine has its weights; where there is a network, "
        "segmentation_models_pytorch.encoders.get_encoder('resnet18', weights='imagenet') fetches them",
    )


def test_training_and_the_way_back(cells: Path, tmp_path: Path) -> None:
    settings = Settings(epochs=1, size=32, batch=2, features=(4, 8), encoder=SMALL, refine=False)
    said = list[str]()
    result = train(cells, tmp_path / "run", settings, begin=lambda task: said.extend(task.said))
    assert any(line.startswith(f"encoder {SMALL} begins ") for line in said) and "rate 0.001: half" in "\n".join(said)
    model, card = segmentation.load(tmp_path / "run")
    assert isinstance(model, EncodedUNet) and card.model == "encoded" and result.card.channels == 1
    start = read_start(tmp_path / "run")
    assert start.architecture() == {"model": "unet", "features": [4, 8], "up": "transposed", "encoder": SMALL}


def test_weights_of_a_classifier_or_of_smp_fill_the_encoder(tmp_path: Path) -> None:
    import segmentation_models_pytorch as smp
    import timm

    card = Card("encoded", {}, ("a", "b"), (0, 1), palette(2), (0.5,) * 3, (0.25,) * 3, 32)
    theirs: dict[str, Any] = {
        "classifier": timm.create_model("resnet18"), "smp": smp.Unet("resnet18", encoder_weights=None, classes=2),
    }  # fmt: skip
    for name, other in theirs.items():
        model = EncodedUNet(3, 2, (4, 8), encoder="resnet18")
        torch.save(
            {"state_dict": {f"model.{key}": value for key, value in other.state_dict().items()}}, tmp_path / name
        )
        read_start(tmp_path / name).give(model, card)
        conv = other.conv1 if name == "classifier" else other.encoder.conv1
        assert torch.equal(model.encoder.conv1.weight, conv.weight)
