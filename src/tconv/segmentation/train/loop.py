"""A training from a folder to a run: what it works on, what it starts from, its end. `trainer` has the steps."""

from __future__ import annotations

import hashlib
import signal
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from tconv import errors, outputs
from tconv.names import shown
from tconv.segmentation import shared
from tconv.segmentation.baselines import baselines, majority
from tconv.segmentation.card import Card, palette
from tconv.segmentation.checkpoint import BEST, load, save
from tconv.segmentation.data.check import check
from tconv.segmentation.data.dataset import Batches, Samples, measure
from tconv.segmentation.data.findings import Found
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.split import split
from tconv.segmentation.evaluate import evaluate
from tconv.segmentation.losses import Loss
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.refine import Refined, refine
from tconv.segmentation.train import record
from tconv.segmentation.train.alone import Alone, is_alone
from tconv.segmentation.train.choose import choose, this_machine
from tconv.segmentation.train.clock import Clock
from tconv.segmentation.train.probe import Probe
from tconv.segmentation.train.settings import Chosen, Settings
from tconv.segmentation.train.start import Start, read_start
from tconv.segmentation.train.state import LAST, Progress, load_state
from tconv.segmentation.train.trainer import Stopped, Tell, Trainer, class_weights, schedule

__all__ = ["Result", "Stopped", "Task", "Tell", "class_weights", "interruptible", "prepare", "schedule", "train"]

SETTINGS = "settings.toml"


@dataclass(frozen=True)
class Task:
    """What a training works on, the same in every process; `said` are lines about what was chosen and taken over."""

    settings: Chosen
    found: Found
    training: Samples
    held_out: Samples
    card: Card
    digest: str
    memory: int | None = None
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What came out.

    Attributes:
        card: of the best model, which is in the run folder.
        confusion: of the best model on the held-out images.
        baselines: by name, on the same images.
        progress: the history.
        refined: what was chosen for prediction on held-out images, or None.
    """

    card: Card
    confusion: Confusion
    baselines: dict[str, Confusion]
    progress: Progress
    refined: Refined | None = None


def train(
    folder: Path,
    run: Path,
    settings: Settings,
    resume: bool = False,
    begin: Callable[[Task], object] | None = None,
    tell: Tell | None = None,
    tensorboard: bool = False,
    memory: int | None = None,
    start: Path | None = None,
) -> Result:
    """Train on a folder of images and masks.

    Args:
        folder: in a layout that `data.pairs` knows.
        run: folder for checkpoints, metrics.csv, curves.png and samples; made if missing.
        settings: of the training; what is None in them is chosen.
        resume: go on with the training in `run`. Where epochs are the limit, and the same as before, the result is as
            if it had never stopped.
        begin: called before the first step with what was found.
        tell: called with (progress, step, steps per epoch) after every step, and with step 0 after an epoch.
        tensorboard: write TensorBoard's files too; needs tensorboard.
        memory: bytes that a tile of a validation image may take; default a quarter of the machine's.
        start: a run or a checkpoint to begin with, of other classes, channels or sizes too; see `start.py`.

    Raises:
        TconvError: too little data, a run folder in use, a loss that is not a number; the message says what to do.
        Stopped: Ctrl-C; everything is saved.
    """
    begun = perf_counter()
    if resume and start is not None:
        raise errors.TconvError("--from begins a training and --resume goes on with one; give one of them")
    if not resume:
        check_run(run, folder)
    settings = settings.resumed(stored(run)) if resume else settings
    accelerator = _accelerator(settings)
    source = read_start(start) if start is not None else None
    colours = Path(settings.colors) if settings.colors else None
    found = check(folder, axes=settings.axes, colours=colours)
    task = prepare(found, folder, settings, memory, source)
    outputs.check_folder(run, [path for item in task.found.items for path in (item.pair.image, item.pair.mask_file)])
    chosen = task.settings
    model, said = _model(task, source, resume)
    check_norms(model, chosen, accelerator.num_processes)
    if accelerator.num_processes > 1:
        shared.share_norms(model)
    optimiser = torch.optim.AdamW(model.parameters(), chosen.rate, weight_decay=chosen.decay)
    progress = load_state(run, chosen, task.digest, model, optimiser, accelerator.scaler) if resume else Progress()
    said = (f"goes on after epoch {progress.epoch}",) if resume else said
    task = replace(task, said=(*task.said, *said))
    if accelerator.is_main_process:
        before = remarks(run) if resume else ()
        chosen.write(run / SETTINGS, (*before, *(line for line in task.said if line not in before)))
        if begin:
            begin(task)
    batches = Batches(
        task.training, chosen.augmentation(), chosen.batch, chosen.seed, accelerator.num_processes,
        accelerator.process_index, chosen.accumulate, chosen.steps,
    )  # fmt: skip
    learned = batches.steps() * accelerator.num_processes * chosen.batch * chosen.size**2
    probe = Probe(task.held_out, chosen.size, chosen.batch, learned, chosen.seed)
    limit = None if chosen.minutes is None else 60 * chosen.minutes
    clock = Clock(chosen.epochs, limit, batches.steps(), progress.spent, progress.after, begun)
    weights = class_weights(task.training) if chosen.weights == "balanced" else None
    loss = Loss(chosen.loss, None if weights is None else weights.to(accelerator.device))
    with interruptible() as stop, record.Recorder(run, task.card, probe, tensorboard) as recorder:
        Trainer(
            chosen, task.card, task.digest, run, accelerator, accelerator.prepare(model),
            accelerator.prepare(optimiser), progress, batches, loss, probe, clock, recorder, stop, tell,
        ).train()  # fmt: skip
    accelerator.wait_for_everyone()
    return _finished(task, run, accelerator, probe, progress, clock.refining)


def _model(task: Task, source: Start | None, resume: bool) -> tuple[Any, tuple[str, ...]]:
    """The network with its first weights, and lines about where they are from; of one that goes on they come later."""
    torch.manual_seed(task.settings.seed)
    model: Any = task.card.build()
    said: tuple[str, ...] = ()
    if source is not None:
        said = source.give(model, task.card)
    elif task.settings.encoder and not resume:
        said = model.load_cached()
    return model.to(memory_format=torch.channels_last), said  # faster on CPUs, and on GPUs in half precision


def _finished(task: Task, run: Path, accelerator: Any, probe: Probe, progress: Progress, refining: float) -> Result:
    """The best model, measured on everything that is held out, and how it predicts best, which its card then says."""
    best, card = load(run / BEST)
    best.to(accelerator.device)
    confusion = evaluate(best, task.held_out, len(card.classes), accelerator, task.memory)
    refined = None
    if task.settings.refine and accelerator.is_main_process:
        refined = refine(best, card, probe, refining)
        if refined.finish.as_dict() != card.finish:
            card = replace(card, finish=refined.finish.as_dict())
            save(run / BEST, best, card)
    accelerator.wait_for_everyone()
    return Result(card, confusion, baselines(task.training, task.held_out, len(card.classes)), progress, refined)


def stored(run: Path) -> dict[str, Any]:
    """The settings of the training in a run folder, as they were written; none if there is no such file.

    Raises:
        TconvError: the file cannot be read.
    """
    path = run / SETTINGS
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise errors.TconvError(f"{path} is no TOML file: {error}") from error


def remarks(run: Path) -> tuple[str, ...]:
    """What was written about the settings of the training in a run folder."""
    lines = (run / SETTINGS).read_text(encoding="utf-8").splitlines() if (run / SETTINGS).exists() else []
    return tuple(line.removeprefix("# ") for line in lines if line.startswith("# "))


def _accelerator(settings: Settings) -> Any:
    """Accelerate, or what does the same for one process on a processor."""
    if settings.precision == "no" and is_alone():
        return Alone(settings.accumulate)
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # what an earlier training in this process chose
    # Without a GPU, Accelerate takes part in a group of processes only where it is told that CPUs are meant.
    accelerator: Any = Accelerator(
        mixed_precision=settings.precision, gradient_accumulation_steps=settings.accumulate,
        cpu=not torch.accelerator.is_available(),
    )  # fmt: skip
    if settings.precision == "fp16" and accelerator.device.type == "cpu":
        raise errors.TconvError("--precision fp16 is for GPUs; on a CPU give bf16, or no")
    return accelerator


def check_run(run: Path, folder: Path) -> None:
    """Refuse a folder for a run that holds something else.

    Raises:
        TconvError: a training, the data, or files that would be replaced.
    """
    if (run / LAST).exists():
        raise errors.TconvError(f"{shown(run)} holds a training already; go on with --resume, or give another folder")
    inside = [folder / name for name in ("images", "masks")] if folder.is_dir() else []
    outputs.check_folder(run, [folder, *inside])
    for name in (BEST, "metrics.csv", "curves.png"):
        outputs.check_file(run / name, cure="give another folder for the run")


def check_norms(model: Any, settings: Chosen, processes: int) -> None:
    """Refuse a batch whose coarsest map has one pixel per channel: batch norm would divide by a spread of none.

    Raises:
        TconvError: the message says what would do.
    """
    cells = settings.batch * processes * model.normed(settings.size) ** 2
    if cells < 2:
        raise errors.TconvError(
            f"a batch of {settings.batch} crop of {settings.size} pixels leaves one pixel per channel on the coarsest "
            f"map, of stride {model.stride}, and batch norm needs two: give --batch 2, or --size {2 * model.stride}"
        )


def prepare(
    found: Found, folder: Path, settings: Settings, memory: int | None = None, start: Start | None = None
) -> Task:
    """Split the data, choose what the settings leave open, and say what the model must be.

    Raises:
        TconvError: nothing to learn from, or something that a person must decide first.
    """
    if found.conflict:
        raise errors.TconvError(f"{shown(folder)}: {found.conflict}")
    if found.legend is None:
        first = f"{len(found.problems)} problems, the first: {found.problems[0]}" if found.problems else ""
        cure = first or "put pictures there, and for each a mask of the same name"
        raise errors.TconvError(f"{folder} has no image with a sound mask; {cure}")
    legend = found.legend
    if len(legend.values) < 2:
        raise errors.TconvError(f"{folder}: all masks hold one class only ({legend}); two at least can be told apart")
    if len(legend.values) > IGNORED:
        raise errors.TconvError(
            f"{folder}: the masks hold {len(legend.values)} values, and a mask of classes at most {IGNORED}; write one "
            f"value per class"
        )
    training, held_out = split(found.items, settings.held_out, settings.seed, settings.folds, max(settings.fold, 1))
    channels = _channels(found, folder)
    normal = measure(training, channels)
    known = start.architecture() if start else {}
    choice = choose(settings, found.items, len(legend.values), channels, known, this_machine())
    chosen = choice.settings
    arguments: dict[str, Any] = {"in_channels": channels, "out_channels": len(legend.values)}
    arguments["features"] = list(chosen.features)
    if chosen.model == "unet":
        arguments["up"] = chosen.up
    if chosen.encoder is not None:
        arguments["encoder"] = chosen.encoder
    sides = [Samples(items, legend, normal) for items in (training, held_out)]
    card = Card(
        model="encoded" if chosen.encoder else chosen.model, arguments=arguments, classes=legend.names,
        values=legend.values, palette=legend.colours or palette(len(legend.values)), mean=normal.mean, std=normal.std,
        size=chosen.size, ignore=legend.ignore, axes=settings.axes, colours=legend.colours,
        ignored_colours=legend.ignored_colours, objects=legend.objects, metrics={"majority": majority(*sides).mean_iou},
    )  # fmt: skip
    digest = hashlib.blake2b(repr([(i.pair.name, i.digest, i.counts) for i in found.items]).encode(), digest_size=12)
    return Task(chosen, found, sides[0], sides[1], card, digest.hexdigest(), memory, choice.reasons)


def _channels(found: Found, folder: Path) -> int:
    """Of the images, if all have as many; or 3 where some are grey and some RGB."""
    counts = {item.shape[2] for item in found.items}
    if len(counts) == 1:
        return counts.pop()
    if counts == {1, 3}:
        return 3
    named = {count: next(i.pair.image.name for i in found.items if i.shape[2] == count) for count in sorted(counts)}
    said = ", ".join(f"{count} as in {shown(name)}" for count, name in named.items())
    raise errors.TconvError(f"{shown(folder)}: the images have different channels ({said}); give images of one kind")


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
