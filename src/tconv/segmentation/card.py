"""A model's card: what must be known beside its weights in order to use it, as one JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from torch import nn

from tconv import errors
from tconv.names import printable
from tconv.segmentation.data.legend import Legend
from tconv.segmentation.encoded import EncodedUNet
from tconv.segmentation.fcn import FCN8s, FCN16s, FCN32s
from tconv.segmentation.unet import UNet

FORMAT = 1  # of the card; a later one is refused
MODELS: dict[str, type[nn.Module]] = {"unet": UNet, "fcn32s": FCN32s, "fcn16s": FCN16s, "fcn8s": FCN8s}
BUILT = {**MODELS, "encoded": EncodedUNet}  # also what is chosen by an encoder's name

# Easily told apart, also by those who see no difference between red and green; the background is black.
COLOURS = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (255, 255, 255), (148, 103, 189), (140, 86, 75), (152, 223, 138), (255, 152, 150),
    (127, 127, 127), (23, 190, 207), (196, 156, 148),
)  # fmt: skip


def palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` colours, the first for class 0; after 16 they go on as hues in steps of the golden angle."""
    from colorsys import hsv_to_rgb

    more = (hsv_to_rgb(n * 0.381966 % 1, 0.55 + 0.4 * (n % 2), 0.95 - 0.35 * (n % 3 == 0)) for n in range(count))
    colours = [*COLOURS, *((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in more)]
    return tuple(colours[:count])


@dataclass(frozen=True)
class Card:
    """What a trained model is.

    Attributes:
        model: a name in `BUILT`.
        arguments: what its constructor was called with.
        classes: a name per class.
        values: how each class is written in the masks that it was trained on; predictions hold class indices.
        palette: red, green, blue of 0 to 255 per class.
        mean, std: per channel, of pixels in [0, 1] (of the range of their integer dtype; floats as they are); the
            model reads (pixel - mean)/std.
        size: pixels per side of the training crops.
        ignore: the mask value that is left out of loss and metrics, or None.
        versions: of tconv and torch at training.
        metrics: reached on the held-out images.
        finish: how predictions are finished, as `refine.Finish` says it; empty for as they are.
        axes: what the axes of the TIFFs were that it was trained on, if that had to be said.
        colours: red, green and blue of each class in the masks that it was trained on, if they were in colours.
        ignored_colours: those of what was left out.
        objects: whether those masks numbered objects, all of which were class 1.
    """

    model: str
    arguments: Mapping[str, Any]
    classes: tuple[str, ...]
    values: tuple[int, ...]
    palette: tuple[tuple[int, int, int], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    ignore: int | None = None
    versions: Mapping[str, str] = field(default_factory=lambda: {name: version(name) for name in ("tconv", "torch")})
    metrics: Mapping[str, Any] = field(default_factory=dict)
    finish: Mapping[str, Any] = field(default_factory=dict)
    axes: str = ""
    colours: tuple[tuple[int, int, int], ...] = ()
    ignored_colours: tuple[tuple[int, int, int], ...] = ()
    objects: bool = False

    @property
    def channels(self) -> int:
        """Of the images."""
        return len(self.mean)

    @property
    def legend(self) -> Legend:
        """Which value, or colour, in a mask means which class."""
        return Legend(self.values, self.classes, self.ignore, self.colours, self.ignored_colours, self.objects)

    def build(self) -> nn.Module:
        """The model with its first, random weights."""
        model: nn.Module = BUILT[self.model](**self.arguments)
        return model

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str, name: str = "the card") -> Card:
        """The card in `text`; `name` says in messages where it is from.

        Raises:
            TconvError: no card, a card of a later format, or one of an unknown model.
        """
        try:
            found = json.loads(text)
            number = found.pop("format")
            if number > FORMAT:
                raise errors.TconvError(
                    f"{name} has a card of format {number}, and this tconv knows up to {FORMAT}; update tconv"
                )
            for key in ("classes", "values", "mean", "std"):
                found[key] = tuple(found[key])
            found["classes"] = tuple(map(printable, found["classes"]))
            for key in ("palette", "colours", "ignored_colours"):
                colours = found["palette"] if key == "palette" else found.get(key, ())  # older cards lack the others
                found[key] = tuple(tuple(colour) for colour in colours)
            card = cls(**found)
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise errors.TconvError(f"{name} holds no model card that can be read ({error}); train again") from error
        if card.model not in BUILT:
            raise errors.TconvError(f"{name} is of a model {card.model!r}; this tconv knows {', '.join(MODELS)}")
        return card
