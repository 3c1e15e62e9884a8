"""Cross-validation: so many networks, each with another part of the images held out, and all images measured once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

from tconv import errors
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.report import aligned, number
from tconv.segmentation.train.choose import MINUTES
from tconv.segmentation.train.loop import SETTINGS, Result, Task, train
from tconv.segmentation.train.settings import Settings
from tconv.segmentation.train.state import LAST
from tconv.segmentation.train.trainer import Tell


@dataclass(frozen=True)
class Validated:
    """What came out.

    Attributes:
        results: of the folds, in order.
        confusion: over all images, each predicted by the network that has not seen it.
    """

    results: tuple[Result, ...]
    confusion: Confusion

    def lines(self) -> list[str]:
        """A row per fold, and how far they lie apart."""
        ious = [result.confusion.mean_iou for result in self.results]
        rows = [[f"fold {n}", number(iou), number(result.confusion.accuracy)]
                for n, (iou, result) in enumerate(zip(ious, self.results, strict=True), 1)]  # fmt: skip
        rows.append(["all images", number(self.confusion.mean_iou), number(self.confusion.accuracy)])
        spread = f"mean IoU of the folds: {mean(ious):.3f}, standard deviation {stdev(ious):.3f}"
        return [*aligned(["held out", "mean IoU", "accuracy"], rows), "", spread]


def cross_validate(
    folder: Path,
    run: Path,
    settings: Settings,
    resume: bool = False,
    begin: Callable[[Task], object] | None = None,
    tell: Tell | None = None,
    tensorboard: bool = False,
    memory: int | None = None,
    start: Path | None = None,
) -> Validated:
    """Train `settings.folds` networks into `run`/fold_1, fold_2 and so on; `predict` takes `run` for all of them.

    Arguments and errors as `train.train`; the minutes are those of all folds together. With `resume`, folds that are
    done stay as they are.
    """
    if not resume and any((path / LAST).exists() for path in run.glob("fold_*")):
        raise errors.TconvError(f"{run} holds folds already; go on with --resume, or give another folder")
    run.mkdir(parents=True, exist_ok=True)
    settings.write(run / SETTINGS)
    minutes = settings.minutes or (MINUTES if settings.epochs is None else None)
    results = []
    for fold in range(1, settings.folds + 1):
        place = run / f"fold_{fold}"
        wanted = replace(settings, fold=fold, minutes=minutes and minutes / settings.folds)
        begun = resume and (place / LAST).exists()
        results.append(train(folder, place, wanted, begun, begin, tell, tensorboard, memory, None if begun else start))
    total = Confusion.empty(len(results[0].card.classes))
    for result in results:
        total += result.confusion
    return Validated(tuple(results), total)
