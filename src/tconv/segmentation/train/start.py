"""What a training starts from: a model of other classes, channels or sizes gives what fits, and says what it gave.

Tensors of one name and shape are taken as they are. The first convolution is adapted to other channels, the scores of
classes that both know by name are kept, and everything else begins anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tconv import errors
from tconv.segmentation.card import Card
from tconv.segmentation.checkpoint import plain_names, read_any
from tconv.segmentation.fcn import FCN

NAMED = 4  # tensors that a line names
ENCODER = "encoder."


@dataclass(frozen=True)
class Start:
    """A model to begin with.

    Attributes:
        path: where it was read.
        state: its tensors by name.
        card: if it was written by tconv.
    """

    path: Path
    state: Mapping[str, Tensor]
    card: Card | None

    def architecture(self) -> dict[str, Any]:
        """What is known of the network, as settings: by its card, or by the names and shapes of a U-Net's tensors."""
        if self.card is not None:
            found = {name: self.card.arguments[name] for name in ("features", "up", "encoder")
                     if name in self.card.arguments}  # fmt: skip
            return {"model": "unet" if "encoder" in found else self.card.model, **found}
        levels = dict[int, int]()
        ups = dict[str, int]()
        for name, tensor in self.state.items():
            if block := re.search(r"(?:^|\.)downs\.(\d+)\.dualconv\.0\.weight$", name):
                levels[int(block[1])] = tensor.shape[0]
            if up := re.search(r"(?:^|\.)ups\.0\.((?:conv\.)?weight)$", name):
                ups[up[1]] = tensor.dim()
        if not levels or sorted(levels) != list(range(len(levels))):
            return {}
        kind = {"weight": {"up": "transposed"}, "conv.weight": {"up": "pixelshuffle"}}
        return {
            "model": "unet",
            "features": [levels[n] for n in range(len(levels))],
            **kind.get(next(iter(ups), ""), {}),
        }

    def give(self, model: nn.Module, card: Card) -> tuple[str, ...]:
        """Fill `model`, whose card is `card`, with what fits; lines that say what was taken over.

        Raises:
            TconvError: nothing fits.
        """
        wanted = model.state_dict()
        state = _under_names_of(wanted, self.state)
        heads = ("scores.", "ups.") if isinstance(model, FCN) else ("final_conv.",)
        taken, adapted, classes = dict[str, Tensor](), list[str](), False
        for name, target in wanted.items():
            source = state.get(name)
            if source is None:
                continue
            if name.startswith(heads) and self.card is not None and self.card.classes != card.classes:
                kept = _shared_classes(target, source, self.card.classes, card.classes, name.startswith("ups."))
                classes = classes or kept is not None
                taken.update({} if kept is None else {name: kept})
            elif source.shape == target.shape:
                taken[name] = source
            elif _only_channels_differ(target, source, card.channels):
                taken[name] = _with_channels(source, target.shape[1])
                adapted.append(f"{name} adapted from {source.shape[1]} channels to {target.shape[1]}")
        if not any(tensor.dim() > 1 for tensor in taken.values()):
            raise errors.TconvError(
                f"{self.path} has no tensor that fits this {type(model).__name__}: there is {_example(self.state)}, "
                f"and the network has {_example(wanted)}; give the --model, --features or --encoder that it was "
                f"trained with"
            )
        model.load_state_dict({**wanted, **{name: tensor.to(wanted[name].dtype) for name, tensor in taken.items()}})
        anew = [name for name in wanted if name not in taken]
        return self._lines(len(taken), len(wanted), adapted, anew, card if classes else None)

    def _lines(
        self, taken: int, wanted: int, adapted: list[str], anew: list[str], card: Card | None
    ) -> tuple[str, ...]:
        lines = [f"from {self.path}: {taken} of {wanted} tensors taken over", *adapted]
        if card is not None and self.card is not None:
            both = [name for name in card.classes if name in self.card.classes]
            new = [name for name in card.classes if name not in self.card.classes]
            lines.append(f"classes known before: {', '.join(both)}" + (f"; new: {', '.join(new)}" if new else ""))
        if anew:
            more = f" and {len(anew) - NAMED} more" if len(anew) > NAMED else ""
            lines.append(f"begun anew: {', '.join(anew[:NAMED])}{more}")
        return tuple(lines)


def read_start(path: Path) -> Start:
    """A run folder, a checkpoint of tconv, or a state dict as others write them.

    Raises:
        FileNotFoundError: there is none.
        TconvError: damaged, or nothing but other things in it.
    """
    state, card = read_any(path)
    return Start(path, state, card)


def _under_names_of(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state dict by the network's names; that of a classifier alone may be its encoder's."""
    found = plain_names(state, wanted)
    inner = {name.removeprefix(ENCODER) for name in wanted if name.startswith(ENCODER)}
    if len(found.keys() & wanted.keys()) > 0 or not inner:
        return found
    return {ENCODER + name: tensor for name, tensor in plain_names(state, inner).items()}


def _only_channels_differ(target: Tensor, source: Tensor, channels: int) -> bool:
    """Whether a convolution of the image differs in the image's channels alone."""
    here, there = target.shape, source.shape
    return len(here) == len(there) > 2 and here[1] == channels and (here[0], here[2:]) == (there[0], there[2:])


def _with_channels(weight: Tensor, channels: int) -> Tensor:
    """A first convolution for other channels: each gets a known one in turn, so that the sum over channels stays."""
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    known = weight.shape[1]
    return weight[:, [n % known for n in range(channels)]] * (known / channels)


def _shared_classes(
    target: Tensor, source: Tensor, before: tuple[str, ...], now: tuple[str, ...], square: bool
) -> Tensor | None:
    """The scores of the classes that both know, in the new order, between those that begin anew; or None.

    With `square`, the first two axes are classes, as in the layers that enlarge the scores of an FCN; else the first.
    """
    pairs = [(n, before.index(name)) for n, name in enumerate(now) if name in before]
    axes = 1 + square
    sized = source.shape[:axes] == (len(before),) * axes and target.shape[:axes] == (len(now),) * axes
    if not pairs or not sized or source.shape[axes:] != target.shape[axes:]:
        return None
    new, old = (torch.tensor(column) for column in zip(*pairs, strict=True))
    result = target.clone()
    if square:
        result[new[:, None], new] = source[old[:, None], old].to(result.dtype)
    else:
        result[new] = source[old].to(result.dtype)
    return result


def _example(state: Mapping[str, Tensor]) -> str:
    """A tensor of more than one axis, for a message."""
    for name, tensor in state.items():
        if tensor.dim() > 1:
            return f"{name} {tuple(tensor.shape)}"
    return "none of more than one axis"
