"""Training: `train(folder, run, settings)`; `python -m tconv.segmentation.train` for `accelerate launch`.

The module can be called: `tconv.segmentation.train(folder, run)` is `runs.train`, which prints and gives a run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tconv.segmentation.train.loop import Result, train
from tconv.segmentation.train.settings import Settings

if TYPE_CHECKING:
    from tconv.segmentation.runs import Run

__all__ = ["Result", "Settings", "train"]


class _Callable(ModuleType):
    """A function and a package of one name would hide one another; a package that can be called is both."""

    def __call__(
        self,
        folder: str | Path,
        run: str | Path,
        settings: Settings | None = None,
        *,
        minutes: float | None = None,
        start: str | Path | Run | None = None,
        resume: bool = False,
        quiet: bool = False,
    ) -> Run:
        """Train on a folder of images and masks: see `tconv.segmentation.runs.train`."""
        from tconv.segmentation import runs

        return runs.train(folder, run, settings, minutes=minutes, start=start, resume=resume, quiet=quiet)


sys.modules[__name__].__class__ = _Callable
