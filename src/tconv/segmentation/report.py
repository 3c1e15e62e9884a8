"""Results as rows of text: the model's classes beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from tconv.names import printable
from tconv.segmentation.data.findings import Found
from tconv.segmentation.metrics import Confusion


def data(found: Found, training: int, held_out: int) -> list[str]:
    """What a training starts from, as lines: problems, classes, counts of images."""
    count = len(found.legend.values) if found.legend else 0
    return [
        *(f"left out: {problem}" for problem in found.problems),
        *(f"note: {printable(note)}" for note in found.notes),
        f"{count} classes: {found.legend}",
        f"{training} images to learn from, {held_out} held out",
    ]


def summary(classes: Sequence[str], confusion: Confusion, baselines: Mapping[str, Confusion]) -> list[str]:
    """The table of `class_table` and the remarks, as lines."""
    said = remarks(classes, confusion)
    if "majority" in baselines:
        frequent = classes[int(baselines["majority"].counts.sum(axis=0).argmax())]
        said += worse_than(confusion.mean_iou, baselines["majority"].mean_iou, frequent)
    return [*aligned(*class_table(classes, confusion, baselines)), "", *said]


def worse_than(reached: float, majority: float, frequent: str) -> list[str]:
    """What must be said of a model that is no better than the most frequent class, as lines; none of a better one."""
    if not reached <= majority:
        return []
    how = "worse than" if reached < majority else "no better than"
    return [
        f"this model is {how} always answering {frequent}: its mean IoU is {reached:.3f}, and that answer's "
        f"{majority:.3f}; train longer, with more images or a smaller --rate, before you use it"
    ]


def class_table(
    classes: Sequence[str], confusion: Confusion, baselines: Mapping[str, Confusion]
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: a row per class, and the means; "-" where a class is absent."""
    heads = ["class", "IoU", "Dice", "precision", "recall", *(f"IoU {name}" for name in baselines)]
    columns = [confusion.iou, confusion.dice, confusion.precision, confusion.recall]
    columns += [baseline.iou for baseline in baselines.values()]
    rows = [[name, *(number(column[n]) for column in columns)] for n, name in enumerate(classes)]
    means = [number(confusion.mean_iou), number(confusion.mean_dice), "", ""]
    rows.append(["mean", *means, *(number(baseline.mean_iou) for baseline in baselines.values())])
    return heads, rows


def content(classes: Sequence[str], confusion: Confusion) -> dict[str, Any]:
    """The numbers of a measurement, for JSON; NaN where a class is absent."""
    columns = {"iou": confusion.iou, "dice": confusion.dice, "precision": confusion.precision,
               "recall": confusion.recall}  # fmt: skip
    rows = [{"name": name} | {key: float(column[n]) for key, column in columns.items()}
            for n, name in enumerate(classes)]  # fmt: skip
    return {
        "mean_iou": confusion.mean_iou, "mean_dice": confusion.mean_dice, "accuracy": confusion.accuracy,
        "classes": rows,
    }  # fmt: skip


def remarks(classes: Sequence[str], confusion: Confusion) -> list[str]:
    """What one must know about the numbers."""
    said = [f"pixels right: {confusion.accuracy:.1%}"]
    absent = confusion.absent(classes)
    if absent:
        said.append(f"absent from truth and prediction, and so left out of the mean: {', '.join(absent)}")
    predicted = int((confusion.counts.sum(axis=0) > 0).sum())
    if predicted == 1:
        said.append("every pixel was given the same class: the model has learned nothing yet; train longer")
    return said


def number(value: float) -> str:
    """Three digits, or "-" for NaN."""
    return "-" if isnan(value) else f"{value:.3f}"


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of text, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(text.ljust(width) if n == 0 else text.rjust(width) for n, (text, width) in enumerate(zip(
            row, widths, strict=True))).rstrip()
        for row in (heads, *rows)
    ]  # fmt: skip
