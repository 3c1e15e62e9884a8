"""`accelerate launch -m tconv.segmentation.train DIR -o RUN ...`: the training in each of many processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import cyclopts

from tconv import errors
from tconv.segmentation import report
from tconv.segmentation.train.loop import Stopped, train
from tconv.segmentation.train.options import written
from tconv.segmentation.train.settings import Settings


def main() -> None:
    """Parse the options of `tconv segment train`, train, and let the first process report."""
    from accelerate import PartialState

    def run(
        folder: Path,
        *,
        out: Annotated[Path, cyclopts.Parameter(name=["--out", "-o"])],
        resume: Annotated[bool, cyclopts.Parameter(negative=())] = False,
        config: Path | None = None,
        settings: Annotated[Settings, cyclopts.Parameter(name="*")] = Settings(),  # noqa: B008  # frozen
    ) -> None:
        result = train(folder, out, settings, resume)
        if PartialState().is_main_process:
            lines = report.aligned(*report.class_table(result.card.classes, result.confusion, result.baselines))
            print("\n".join([*lines, *report.remarks(result.card.classes, result.confusion)]))

    try:
        app = cyclopts.App(config=written, help=__doc__)
        app.default(run)
        app()
    except Stopped:
        sys.exit(130)
    except (errors.TconvError, OSError) as error:
        sys.exit(f"tconv: {error}")


if __name__ == "__main__":
    main()
