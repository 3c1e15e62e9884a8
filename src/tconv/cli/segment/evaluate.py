"""`tconv segment eval`: a model measured on labelled images."""

from __future__ import annotations

from pathlib import Path

from tconv import errors
from tconv.cli.segment import need_segmentation


def evaluate(model: Path, folder: Path) -> int:
    """Measure a model on labelled images: IoU, Dice, precision and recall per class.

    Masks must have the values that the model was trained on, with the same names where they have any. Status 1 if files
    had to be left out.

        tconv segment eval run unseen

    Args:
        model: A run folder, which means its best checkpoint, or a checkpoint.
        folder: Labelled images, as for check-data.
    """
    need_segmentation()
    from tconv.segmentation import load, report
    from tconv.segmentation.data.check import check
    from tconv.segmentation.data.dataset import Normal, Samples
    from tconv.segmentation.data.masks import Legend, make_legend
    from tconv.segmentation.evaluate import evaluate

    network, card = load(model)
    found = check(folder)
    for problem in found.problems:
        print(f"left out: {problem}")
    legend = Legend(card.values, card.classes, card.ignore)
    unknown = sorted(set(found.balance()) - {*card.values, card.ignore})
    if unknown or not found.items:
        what = f"masks with value {unknown[0]}" if unknown else "no sound pair"
        raise errors.TconvError(f"{folder} has {what}; the model knows {legend}")
    known = dict(zip(card.values, card.classes, strict=True))
    said = dict(zip(found.legend.values, found.legend.names, strict=True)) if found.legend and found.named else {}
    other = [value for value in said if known.get(value, said[value]) != said[value]]
    if other and card.classes != make_legend(card.values).names:  # which one has where nobody named them
        value = other[0]
        raise errors.TconvError(
            f"{folder} calls the value {value} {said[value]}, and the model {known[value]}; write classes.txt alike"
        )
    confusion = evaluate(network, Samples(found.items, legend, Normal(card.mean, card.std)), len(card.classes))
    print(f"{len(found.items)} images\n")
    print("\n".join(report.summary(card.classes, confusion, {})))
    return 1 if found.problems else 0
