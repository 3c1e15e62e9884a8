"""Encoders of timm and segmentation-models-pytorch as a U-Net's way down, with their pretrained weights.

An encoder is named as timm names it, or `smp:NAME` as segmentation-models-pytorch does. Nothing is downloaded: weights
are taken where a cache of this machine has them, and else one is told how to get them.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, library, nn

from tconv import errors, extras

SMP = "smp:"
FILES = ("model.safetensors", "pytorch_model.bin")  # of a repository of weights
_names: list[library.Library] = []  # which must live as long as the names


@dataclass(frozen=True)
class Encoder:
    """A way down.

    Attributes:
        module: maps (batch, channels, height, width), both multiples of the coarsest stride, to maps.
        channels: of the maps, the finest first.
        strides: of the maps, each a power of two.
        first: how many of the module's maps come before them and are not used.
    """

    module: nn.Module
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    first: int = 0


def build(name: str, in_channels: int) -> Encoder:
    """An encoder with random weights.

    Args:
        name: of timm, or of segmentation-models-pytorch behind "smp:".
        in_channels: of the image.

    Raises:
        TconvError: no such encoder, or the package that knows it is missing.
    """
    return _smp(name.removeprefix(SMP), in_channels) if name.startswith(SMP) else _timm(name, in_channels)


def cached(name: str, in_channels: int) -> tuple[dict[str, Tensor] | None, str]:
    """The pretrained weights of an encoder, by its module's names, if this machine has them; and what was found."""
    if name.startswith(SMP):
        return _smp_cached(name.removeprefix(SMP), in_channels)
    return _timm_cached(name, in_channels)


def _timm(name: str, in_channels: int) -> Encoder:
    timm = _package("timm", name)
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=3)
        meant = f"; did you mean {', '.join(close)}?" if close else "; timm.list_models() lists them"
        raise errors.TconvError(f"encoder {name!r} is unknown to timm{meant}")
    try:
        module = timm.create_model(name, pretrained=False, features_only=True, in_chans=in_channels)
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        raise errors.TconvError(
            f"encoder {name!r} gives no maps of several sizes; choose one that does, such as resnet18"
        ) from error
    info = module.feature_info
    return _judged(name, module, tuple(info.channels()), tuple(info.reduction()), 0)


def _smp(name: str, in_channels: int) -> Encoder:
    smp = _package("segmentation_models_pytorch", SMP + name)
    known = smp.encoders.get_encoder_names()
    if name not in known:
        close = ", ".join(get_close_matches(name, known, n=3)) or ", ".join(known[:3])
        raise errors.TconvError(
            f"encoder {SMP + name!r} is unknown to segmentation-models-pytorch; did you mean {close}?"
        )
    module = smp.encoders.get_encoder(name, in_channels=in_channels, depth=5, weights=None)
    channels = tuple(module.out_channels[1:])  # the first one is the image
    kept = [n for n, count in enumerate(channels) if count > 0]
    strides = tuple(2 << n for n in kept)
    return _judged(SMP + name, module, tuple(channels[n] for n in kept), strides, 1)


def _judged(name: str, module: nn.Module, channels: tuple[int, ...], strides: tuple[int, ...], first: int) -> Encoder:
    """The encoder, if a U-Net can be built on it."""
    doubling = all(stride > 1 and stride & (stride - 1) == 0 for stride in strides)
    if len(strides) < 2 or not doubling or sorted(set(strides)) != list(strides):
        raise errors.TconvError(
            f"encoder {name!r} has maps of strides {', '.join(map(str, strides))}, and a U-Net needs several, each of "
            f"them a larger power of two; choose another encoder, such as resnet18"
        )
    return Encoder(module, channels, strides, first)


def _timm_cached(name: str, in_channels: int) -> tuple[dict[str, Tensor] | None, str]:
    timm = _package("timm", name)
    about = timm.get_pretrained_cfg(name)
    where = _in_caches(getattr(about, "hf_hub_id", None), getattr(about, "url", None)) if about else None
    if where is None:
        return None, (
            f"encoder {name} begins at random, as no cache of this machine has its weights; where there is a network, "
            f"python -c \"import timm; timm.create_model('{name}', pretrained=True)\" fetches them"
        )
    filled = timm.create_model(
        name, pretrained=True, features_only=True, in_chans=in_channels, pretrained_cfg_overlay={"file": str(where)}
    )
    return filled.state_dict(), f"encoder {name} begins with the weights of {where}"


def _smp_cached(name: str, in_channels: int) -> tuple[dict[str, Tensor] | None, str]:
    smp = _package("segmentation_models_pytorch", SMP + name)
    known = smp.encoders.encoders.get(name, {}).get("pretrained_settings", {})
    about = known.get("imagenet") or next(iter(known.values()), None) or {}
    where = _in_caches(about.get("repo_id"), about.get("url"), about.get("revision"))
    if where is None:
        return None, (
            f"encoder {SMP}{name} begins at random, as no cache of this machine has its weights; where there is a "
            f"network, segmentation_models_pytorch.encoders.get_encoder('{name}', weights='imagenet') fetches them"
        )
    weights = "imagenet" if "imagenet" in known else next(iter(known))
    filled = smp.encoders.get_encoder(name, in_channels=in_channels, depth=5, weights=weights)
    return filled.state_dict(), f"encoder {SMP}{name} begins with the weights of {where}"


def _in_caches(repository: str | None, url: str | None, revision: str | None = None) -> Path | None:
    """A file of weights in the caches of the Hugging Face hub and of torch.hub."""
    if repository:
        from huggingface_hub import try_to_load_from_cache

        for file in FILES:
            found = try_to_load_from_cache(repository.partition("@")[0], file, revision=revision)
            if isinstance(found, str):
                return Path(found)
    if url:
        path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
        if path.exists():
            return path
    return None


def _package(package: str, encoder: str) -> Any:
    """The package, imported.

    Raises:
        TconvError: it is missing, or what it needs does not fit.
    """
    try:
        know_torchvision()
        return import_module(package)
    except ImportError as error:
        needed = error.name or package
        raise errors.TconvError(f"encoder {encoder!r} needs {needed}: {extras.cure('encoders')}") from error


def know_torchvision() -> None:
    """Make `import torchvision`, which packages of models need, work beside a PyTorch that its operators do not fit.

    It gives fake kernels to two of them, and that fails where they are not loaded; so they get their names here. No
    network here calls one.
    """
    try:
        import_module("torchvision")
    except RuntimeError:
        names = library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            names.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
        _names.append(names)
        import_module("torchvision")
