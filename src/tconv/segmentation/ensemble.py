"""Several predictions as one: of an image and its mirror images, and of several networks.

Probabilities are averaged, and their logarithm takes the place of the scores: so what follows, the class with the
highest score or a softmax, is that of the average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tconv import errors
from tconv.segmentation.card import Card
from tconv.segmentation.checkpoint import BEST, load

AXES: dict[str, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "horizontal": ((), (3,)),
    "both": ((), (3,), (2,), (2, 3)),
}
FOLDS = "fold_*"  # of a cross-validation, in its run folder
TINY = 1e-12  # the least probability whose logarithm is taken

Part = tuple[nn.Module, Card]


class Ensemble(nn.Module):
    """The average of networks over mirror images.

    Args:
        parts: networks of the same classes and channels, each with its card; each sees the image normalised as its own
            card says.
        flips: "none", "horizontal" or "both", of the images, for all networks or each; default what its card says.

    Raises:
        TconvError: other classes or channels, or unknown flips.
    """

    def __init__(self, parts: Sequence[Part], flips: str | Sequence[str] | None = None) -> None:
        super().__init__()
        first = parts[0][1]
        for _, card in parts[1:]:
            _check_alike(first, card)
        self.parts = [card for _, card in parts]
        said = [str(card.finish.get("flips", "none")) for card in self.parts]
        self.flips = said if flips is None else [flips] * len(parts) if isinstance(flips, str) else list(flips)
        for each in self.flips:
            if each not in AXES:
                raise errors.TconvError(f"flips {each!r} is unknown; choose one of {', '.join(AXES)}")
        self.members = nn.ModuleList(model for model, _ in parts)
        mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (first.mean, first.std))
        for n, card in enumerate(self.parts):
            own_mean, own_std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (card.mean, card.std))
            self.register_buffer(f"factor_{n}", std / own_std, persistent=False)
            self.register_buffer(f"shift_{n}", (mean - own_mean) / own_std, persistent=False)

    @property
    def stride(self) -> int:
        """Of the coarsest map of all."""
        return max(int(member.stride) for member in _any(self.members))

    @property
    def reach(self) -> int:
        """How far, in pixels, a score looks at most."""
        return max(int(member.reach) for member in _any(self.members))

    @property
    def floats(self) -> float:
        """About how many numbers an inference holds at a time, per pixel of the input."""
        members = [float(member.floats) for member in _any(self.members)]
        return max(members) + 3 * len(self.parts[0].classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) -> (batch, classes, h, w), logarithms of averaged probabilities."""
        total: Tensor | None = None
        count = 0
        for n, member in enumerate(self.members):
            image = x * self.get_buffer(f"factor_{n}") + self.get_buffer(f"shift_{n}") if n else x
            for axes in AXES[self.flips[n]]:
                scores = member(image.flip(axes) if axes else image)
                found = (scores.flip(axes) if axes else scores).softmax(dim=1)
                total = found if total is None else total + found
                count += 1
        assert total is not None
        return (total / count).clamp(min=TINY).log()


def assemble(parts: Sequence[Part], flips: str | None = None) -> Part:
    """One network for all parts, and the card that it predicts by; a network that stands alone, unflipped, is itself.

    Args:
        parts: as for `Ensemble`.
        flips: as for `Ensemble`.
    """
    model, card = parts[0]
    if len(parts) == 1 and (flips or card.finish.get("flips", "none")) == "none":
        return model, card
    # What cleans components was chosen for each alone: of several, only what all of them want is done.
    wanted = [part.finish for _, part in parts]
    finish = {name: [min(sizes) for sizes in zip(*(each.get(name, ()) for each in wanted), strict=False)]
              for name in ("least", "holes")}  # fmt: skip
    return Ensemble(parts, flips).eval(), replace(card, finish={name: sizes for name, sizes in finish.items() if sizes})


def load_parts(paths: Sequence[str | Path]) -> list[Part]:
    """The networks of runs and checkpoints; a run with folds stands for all of them.

    Raises:
        FileNotFoundError, TconvError: as `load`.
    """
    return [load(path) for where in paths for path in _members(Path(where))]


def is_model(path: str | Path) -> bool:
    """Whether a path names a run or a checkpoint, and not an image."""
    path = Path(path)
    return path.suffix == ".safetensors" or (path / BEST).exists() or (path.is_dir() and bool(_folds(path)))


def leading_models(places: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The models that stand first, of which the first is one whatever it is, and the images that follow."""
    count = 1
    while count < len(places) and is_model(places[count]):
        count += 1
    return list(places[:count]), tuple(places[count:])


def _members(path: Path) -> list[Path]:
    return (_folds(path) or [path]) if path.is_dir() and not (path / BEST).exists() else [path]


def _folds(path: Path) -> list[Path]:
    return sorted(fold for fold in path.glob(FOLDS) if (fold / BEST).exists())


def _check_alike(one: Card, other: Card) -> None:
    if one.classes != other.classes:
        raise errors.TconvError(
            f"networks of other classes cannot predict together: {', '.join(one.classes)} and "
            f"{', '.join(other.classes)}"
        )
    if one.channels != other.channels:
        raise errors.TconvError(
            f"networks for images of {one.channels} and of {other.channels} channels cannot predict together; give "
            f"those of one kind"
        )


def _any(members: nn.ModuleList) -> list[Any]:
    return list(members)
