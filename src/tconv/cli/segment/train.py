"""`tconv segment train`: from a folder to a model, with its progress on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tconv.cli.segment import need_segmentation
from tconv.names import shown
from tconv.segmentation.train.settings import DEFAULTS, Settings

if TYPE_CHECKING:  # it would load PyTorch
    from tconv.segmentation.train.loop import Task, Tell
    from tconv.segmentation.train.state import Progress


def train(
    folder: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    start: Annotated[Path | None, Parameter(name="--from")] = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    config: Path | None = None,
    tensorboard: Annotated[bool, Parameter(negative=())] = False,
    memory: str = "",
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
    settings: Annotated[Settings, Parameter(name="*")] = DEFAULTS,
) -> int:
    """Train on a folder of images and masks.

    What is not said is chosen from the data and the machine, and printed with its reason: crops, channels, batch, and
    ten minutes or fewer. The run folder gets best.safetensors, the best model so far; last.pt, to resume from;
    settings.toml, metrics.csv, curves.png and samples/. Ctrl-C saves and leaves.

        tconv segment train data -o run
        tconv segment train data -o run --minutes 10
        tconv segment train data -o run --epochs 30 --features 16,32,64 --size 96
        tconv segment train data -o run --resume --epochs 60
        tconv segment train data -o better --from run
        tconv segment train data -o runs --folds 5

    On several devices or machines: accelerate launch -m tconv.segmentation.train data -o run ...; on CPUs
    torchrun --nproc-per-node 2 -m tconv.segmentation.train data -o run ...

    Args:
        folder: The data, as for check-data.
        out: The run folder; made if missing.
        start: A run or a checkpoint to start from, also of other classes, channels or sizes: what fits is taken over,
            and said. Files of weights by others (.pt, .pth, .ckpt, .safetensors) are read too; nothing in them is
            executed.
        resume: Go on with the training in the run folder; its settings hold where no option is given. More --epochs or
            --minutes make it longer.
        config: TOML file with options, which those of the command line go before.
        tensorboard: Write TensorBoard's files too.
        memory: What a tile of a large validation image may take, as in 2GiB; default a quarter of the machine's memory.
        quiet: Print nothing before the result.
        settings: How to train.
    """
    need_segmentation()
    from tconv.segmentation import report
    from tconv.segmentation.memory import budget
    from tconv.segmentation.train.folds import cross_validate
    from tconv.segmentation.train.loop import Stopped, train

    begun = perf_counter()
    try:
        with watched(quiet) as (begin, tell):
            if settings.folds > 1 and not settings.fold:
                found = cross_validate(folder, out, settings, resume, begin, tell, tensorboard, budget(memory), start)
                print("\n".join(["", *found.lines()]))
                print(f"{perf_counter() - begun:.0f} s; wrote {shown(out)}, whose networks predict together")
                return 0
            result = train(folder, out, settings, resume, begin, tell, tensorboard, budget(memory), start)
    except Stopped:
        print(f"stopped; everything is saved: tconv segment train {shown(folder)} -o {shown(out)} --resume")
        return 130
    print()
    print("\n".join(report.summary(result.card.classes, result.confusion, result.baselines)))
    for line in result.refined.lines() if result.refined else ():
        print(line)
    print(f"best of {len(result.progress.history)} epochs: {result.progress.best_epoch}")
    print(f"{perf_counter() - begun:.0f} s; wrote {shown(out)}")
    return 0


@contextmanager
def watched(quiet: bool = False) -> Iterator[tuple[Callable[[Task], object], Tell]]:
    """What `train` calls at the beginning and after steps: lines for what is done, and a bar in a terminal."""
    from tconv.segmentation import report
    from tconv.segmentation.train.record import epoch_line

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Bar(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        shown = bar.add_task("reading the data", total=None)

        def begin(task: Task) -> None:
            if quiet:
                return
            print("\n".join((*report.data(task.found, len(task.training), len(task.held_out)), *task.said)), flush=True)

        def tell(progress: Progress, step: int, steps: int) -> None:
            if step == 0:
                if not quiet:
                    print(epoch_line(progress.history[-1]), flush=True)
                return
            best = f", best mean IoU {progress.best:.3f}" if progress.best_epoch else ""
            loss = f"epoch {progress.epoch + 1}, step {step}/{steps}, loss {progress.losses / step:.3f}"
            bar.update(shown, total=1, completed=progress.done, description=loss + best)

        yield begin, tell
