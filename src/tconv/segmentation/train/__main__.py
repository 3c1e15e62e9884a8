"""`accelerate launch -m tconv.segmentation.train DIR -o RUN ...`: the training in each of many processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import cyclopts

from tconv import errors
from tconv.names import printable, reason
from tconv.segmentation import report
from tconv.segmentation.train.loop import Stopped, Task, train
from tconv.segmentation.train.options import written
from tconv.segmentation.train.record import epoch_line
from tconv.segmentation.train.settings import DEFAULTS, Settings
from tconv.segmentation.train.state import Progress
from tconv.wholes import whole_numbers


def main() -> None:
    """Parse the options of `tconv segment train`, train, and let the first process report."""
    from accelerate import PartialState

    def begin(task: Task) -> None:
        print(f"processes: {PartialState().num_processes}, crops per step and process: {task.settings.batch}")
        print("\n".join((*report.data(task.found, len(task.training), len(task.held_out)), *task.said)), flush=True)

    def tell(progress: Progress, step: int, steps: int) -> None:
        if step == 0:
            print(epoch_line(progress.history[-1]), flush=True)

    def run(
        folder: Path,
        *,
        out: Annotated[Path, cyclopts.Parameter(name=["--out", "-o"])],
        start: Annotated[Path | None, cyclopts.Parameter(name="--from")] = None,
        resume: Annotated[bool, cyclopts.Parameter(negative=())] = False,
        config: Path | None = None,
        tensorboard: Annotated[bool, cyclopts.Parameter(negative=())] = False,
        settings: Annotated[Settings, cyclopts.Parameter(name="*")] = DEFAULTS,
    ) -> None:
        result = train(folder, out, settings, resume, begin, tell, tensorboard, start=start)
        if PartialState().is_main_process:
            print("\n".join(report.summary(result.card.classes, result.confusion, result.baselines)))

    try:
        app = cyclopts.App(config=(written, whole_numbers), help=__doc__)
        app.default(run)
        app()
    except Stopped:
        sys.exit(130)
    except (errors.TconvError, OSError) as error:
        sys.exit(f"tconv: {printable(reason(error))}")


if __name__ == "__main__":
    main()
