"""`tconv segment eval`: a model measured on labelled images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tconv import errors
from tconv.cli.screen import show_json
from tconv.cli.segment import MODEL, need_segmentation
from tconv.names import shown

if TYPE_CHECKING:  # they would load PyTorch
    from tconv.segmentation import Card
    from tconv.segmentation.data.findings import Found


def evaluate(
    model: Path,
    folder: Path,
    *,
    memory: str = "",
    colors: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Measure a model on labelled images: IoU, Dice, precision and recall per class.

    It predicts as `predict` does, with what was found to be best on held-out images. Masks must have the values, or the
    colours, that the model was trained on, with the same names where they have any. Status 1 if files had to be left
    out.

        tconv segment eval run unseen

    Args:
        model: A run folder, which means its best checkpoint, or all of its folds; or a checkpoint.
        folder: Labelled images, as for check-data.
        memory: What a tile of a large image may take, as in 2GiB; default a quarter of the machine's memory.
        colors: Table of colours, if it is another than the one of the training.
        json: Print everything as JSON.
    """
    need_segmentation(*MODEL)
    from tconv.segmentation import report
    from tconv.segmentation.components import finished
    from tconv.segmentation.data.check import check
    from tconv.segmentation.data.dataset import Normal, Samples
    from tconv.segmentation.ensemble import assemble, load_parts
    from tconv.segmentation.evaluate import evaluate
    from tconv.segmentation.memory import budget

    most = budget(memory)
    network, card = assemble(load_parts([model]))
    known = card.legend if (card.colours or card.objects) and not colors else None
    found = check(folder, axes=card.axes, colours=colors, legend=known)
    for problem in found.problems:
        print(f"left out: {problem}", file=sys.stderr if json else sys.stdout)
    _check_classes(found, card, folder)
    samples = Samples(found.items, card.legend, Normal(card.mean, card.std))
    confusion = evaluate(network, samples, len(card.classes), memory=most, finish=lambda found: finished(found, card))
    if json:
        show_json(
            {"images": len(found.items), "left_out": len(found.problems)} | report.content(card.classes, confusion)
        )
    else:
        print(f"{len(found.items)} images\n")
        print("\n".join(report.summary(card.classes, confusion, {})))
    return 1 if found.problems else 0


def _check_classes(found: Found, card: Card, folder: Path) -> None:
    """Refuse masks that speak of other classes than the model."""
    from tconv.segmentation.data.legend import make_legend

    if found.conflict:
        raise errors.TconvError(f"{shown(folder)}: {found.conflict}")
    unknown = sorted(set(found.balance()) - {*card.values, card.ignore})
    if unknown or not found.items:
        what = f"masks with value {unknown[0]}" if unknown else "no sound pair"
        raise errors.TconvError(f"{shown(folder)} has {what}; the model knows {card.legend}")
    known = dict(zip(card.values, card.classes, strict=True))
    said = dict(zip(found.legend.values, found.legend.names, strict=True)) if found.legend and found.named else {}
    other = [value for value in said if known.get(value, said[value]) != said[value]]
    if other and card.classes != make_legend(card.values).names:  # which one has where nobody named them
        value = other[0]
        raise errors.TconvError(
            f"{shown(folder)} calls the value {value} {said[value]}, and the model {known[value]}; write classes.txt "
            f"alike"
        )
