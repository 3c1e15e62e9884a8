"""`evolution`: a feature through training, checkpoint by checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from tconv import errors
from tconv.insight.strongest import Strongest, top_activations

if TYPE_CHECKING:
    from tconv.insight.drawing import Sheet


@dataclass(frozen=True, eq=False)
class Evolution:
    """What `evolution` found.

    Attributes:
        layer: its name.
        stages: by the label of each checkpoint, what `top_activations` found there.
    """

    layer: str
    stages: dict[str, Strongest]

    def sheet(self, **options: Any) -> Sheet:
        """As a picture; options as for `tconv.insight.sheet`."""
        from tconv.insight.drawing import sheet

        return sheet(self, **options)

    def _repr_svg_(self) -> str:
        return self.sheet()._repr_svg_()


def evolution(
    checkpoints: Mapping[str, Any] | Iterable[Any],
    images: Any,
    layer: str,
    channels: int | Iterable[int] | None = None,
    n: int = 1,
    *,
    model: nn.Module | None = None,
    **options: Any,
) -> Evolution:
    """The strongest activations of a layer's channels at each of several moments of a training.

    Source: Zeiler and Fergus, arXiv:1311.2901, figure 4. Which image is the strongest may change from one checkpoint to
    the next; that is a part of what is shown.

    Args:
        checkpoints: models; or, with `model`, state dicts or files with them (.safetensors, .pt, .pth); or run folders
            and checkpoints of `tconv segment train`. A mapping gives them labels, else the names of files do.
        images: as for `top_activations`; what can be gone through more than once.
        layer: a name or a pattern.
        channels, n, options: as for `top_activations`; `n` is 1 by default.
        model: what state dicts are loaded into: a copy of it, so that it stays as it is.

    Raises:
        TconvError: no checkpoint, or one that does not fit; and as `top_activations`.
    """
    if not isinstance(checkpoints, Mapping):
        checkpoints = {_label(each, number): each for number, each in enumerate(checkpoints)}
    if not checkpoints:
        raise errors.TconvError("there are no checkpoints; give at least one")
    if hasattr(images, "__next__"):
        images = list(images)  # it would be used up after the first checkpoint
    stages = {}
    for label, each in checkpoints.items():
        loaded, reading = _loaded(each, model)
        stages[label] = top_activations(loaded, images, layer, channels, n, **{**reading, **options})
    return Evolution(next(iter(stages.values())).layer, stages)


def _label(checkpoint: Any, number: int) -> str:
    return Path(checkpoint).stem if isinstance(checkpoint, str | Path) else str(number)


def _loaded(checkpoint: Any, model: nn.Module | None) -> tuple[nn.Module, dict[str, Any]]:
    """A model, and how it reads images where its file says so."""
    from tconv.segmentation.checkpoint import load, load_weights

    if isinstance(checkpoint, nn.Module):
        return checkpoint, {}
    if isinstance(checkpoint, str | Path) and model is None:
        loaded, card = load(checkpoint)
        return loaded, {"mean": card.mean, "std": card.std}
    if isinstance(checkpoint, str | Path):
        assert model is not None
        return load_weights(deepcopy(model), checkpoint), {}
    if not isinstance(checkpoint, Mapping) or not all(isinstance(value, Tensor) for value in checkpoint.values()):
        raise errors.ArgumentTypeError(
            f"a checkpoint must be a model, a state dict or a file, not {type(checkpoint).__name__}"
        )
    if model is None:
        raise errors.TconvError("a state dict needs a model to be loaded into; give model=...")
    copied = deepcopy(model)
    try:
        copied.load_state_dict(checkpoint)
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise errors.TconvError(f"a checkpoint does not fit the model: {said[:300]}") from error
    return copied, {}
