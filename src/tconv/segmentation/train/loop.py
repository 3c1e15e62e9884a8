"""The training loop: steps, measurements, checkpoints. Accelerate sees to devices, precision and many processes."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, isfinite, pi
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from tconv import errors, outputs
from tconv.names import shown
from tconv.segmentation import shared
from tconv.segmentation.baselines import baselines, majority
from tconv.segmentation.card import Card, palette
from tconv.segmentation.checkpoint import BEST, load, save
from tconv.segmentation.data.check import check
from tconv.segmentation.data.dataset import Batches, Normal, Samples, measure
from tconv.segmentation.data.findings import Found
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.split import split
from tconv.segmentation.evaluate import evaluate
from tconv.segmentation.losses import Loss
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.train import record
from tconv.segmentation.train.settings import Settings
from tconv.segmentation.train.state import LAST, Progress, load_state, save_state

WARM = 0.05  # the part of all steps in which the learning rate rises
SETTINGS = "settings.toml"

Tell = Callable[[Progress, int, int], object]


class Stopped(KeyboardInterrupt):
    """Ctrl-C, and the state is saved and the training can be resumed."""


@dataclass(frozen=True)
class Task:
    """What a training works on, the same in every process."""

    settings: Settings
    found: Found
    training: Samples
    held_out: Samples
    card: Card
    digest: str
    memory: int | None = None


@dataclass(frozen=True)
class Result:
    """What came out.

    Attributes:
        card: of the best model, which is in the run folder.
        confusion: of the best model on the held-out images.
        baselines: by name, on the same images.
        progress: the history.
    """

    card: Card
    confusion: Confusion
    baselines: dict[str, Confusion]
    progress: Progress


def train(
    folder: Path,
    run: Path,
    settings: Settings,
    resume: bool = False,
    begin: Callable[[Task], object] | None = None,
    tell: Tell | None = None,
    tensorboard: bool = False,
    memory: int | None = None,
) -> Result:
    """Train on a folder of images and masks.

    Args:
        folder: in a layout that `data.pairs` knows.
        run: folder for checkpoints, metrics.csv, curves.png and samples; made if missing.
        settings: of the training.
        resume: go on with the training in `run`, with the same result as if it had never stopped.
        begin: called before the first step with what was found.
        tell: called with (progress, step, steps per epoch) after every step, and with step 0 after an epoch.
        tensorboard: write TensorBoard's files too; needs tensorboard.
        memory: bytes that a tile of a validation image may take; default a quarter of the machine's.

    Raises:
        TconvError: too little data, a run folder in use, a loss that is not a number; the message says what to do.
        Stopped: Ctrl-C; everything is saved.
    """
    if not resume:
        check_run(run, folder)
    accelerator = _accelerator(settings)
    colours = Path(settings.colors) if settings.colors else None
    task = prepare(check(folder, axes=settings.axes, colours=colours), folder, settings, memory)
    outputs.check_folder(run, [path for item in task.found.items for path in (item.pair.image, item.pair.mask_file)])
    torch.manual_seed(settings.seed)
    model: Any = task.card.build()
    check_norms(model, settings, accelerator.num_processes)
    model.to(memory_format=torch.channels_last)  # faster on CPUs, and on GPUs in half precision
    if accelerator.num_processes > 1:
        shared.share_norms(model)
    optimiser = torch.optim.AdamW(model.parameters(), settings.rate, weight_decay=settings.decay)
    progress = load_state(run, settings, task.digest, model, optimiser, accelerator.scaler) if resume else Progress()
    if accelerator.is_main_process:
        settings.write(run / SETTINGS)
        if begin:
            begin(task)
    with interruptible() as stop, record.Recorder(run, task.card, task.held_out, tensorboard) as recorder:
        _epochs(task, run, accelerator, accelerator.prepare(model), accelerator.prepare(optimiser), progress, stop,
                recorder, tell)  # fmt: skip
    accelerator.wait_for_everyone()
    best, card = load(run / BEST)
    confusion = evaluate(best.to(accelerator.device), task.held_out, len(card.classes), accelerator, memory)
    return Result(card, confusion, baselines(task.training, task.held_out, len(card.classes)), progress)


def _accelerator(settings: Settings) -> Any:
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


def check_norms(model: Any, settings: Settings, processes: int) -> None:
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


def prepare(found: Found, folder: Path, settings: Settings, memory: int | None = None) -> Task:
    """Split the data and say what the model must be.

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
    training, held_out = split(found.items, settings.held_out, settings.seed)
    channels = _channels(found, folder)
    normal = measure(training, channels)
    arguments: dict[str, Any] = {"in_channels": channels, "out_channels": len(legend.values)}
    arguments["features"] = list(settings.features)
    if settings.model == "unet":
        arguments["up"] = settings.up
    card = Card(
        model=settings.model, arguments=arguments, classes=legend.names, values=legend.values,
        palette=legend.colours or palette(len(legend.values)), mean=normal.mean, std=normal.std, size=settings.size,
        ignore=legend.ignore, axes=settings.axes, colours=legend.colours, ignored_colours=legend.ignored_colours,
        objects=legend.objects,
    )  # fmt: skip
    digest = hashlib.blake2b(repr([(i.pair.name, i.digest, i.counts) for i in found.items]).encode(), digest_size=12)
    sides = [Samples(items, legend, Normal(card.mean, card.std)) for items in (training, held_out)]
    return Task(settings, found, sides[0], sides[1], card, digest.hexdigest(), memory)


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


def _epochs(
    task: Task, run: Path, accelerator: Any, model: nn.Module, optimiser: Any, progress: Progress,
    stop: threading.Event, recorder: record.Recorder, tell: Tell | None,
) -> None:  # fmt: skip
    settings, main = task.settings, accelerator.is_main_process
    batches = Batches(
        task.training, settings.augmentation(), settings.batch, settings.seed, accelerator.num_processes,
        accelerator.process_index, settings.accumulate,
    )  # fmt: skip
    weights = class_weights(task.training) if settings.weights == "balanced" else None
    loss = Loss(settings.loss, None if weights is None else weights.to(accelerator.device))
    while progress.epoch < settings.epochs and not _enough(progress, settings):
        for _ in _steps(batches, loss, accelerator, model, optimiser, progress, settings):
            if main and tell:
                tell(progress, progress.step, batches.steps())
            # Every process stops after the same step: one that heard Ctrl-C tells the others.
            whole = progress.step % settings.accumulate == 0
            if whole and shared.total(torch.tensor(float(stop.is_set()), device=accelerator.device)) > 0:
                if main:
                    _save(run, task, accelerator, model, optimiser, progress)
                raise Stopped
        confusion = evaluate(model, task.held_out, len(task.card.classes), accelerator, task.memory)
        better = record.finish_epoch(progress, confusion, batches.steps())
        if main:
            plain: nn.Module = accelerator.unwrap_model(model)
            if better:
                metrics = {
                    "mean_iou": progress.best, "epoch": progress.best_epoch, "iou": record.listed(confusion.iou),
                    "majority": majority(task.training, task.held_out).mean_iou,
                }  # fmt: skip
                save(run / BEST, plain, Card(**{**vars(task.card), "metrics": metrics}))
            _save(run, task, accelerator, model, optimiser, progress)
            recorder.epoch(progress, plain)
            if tell:
                tell(progress, 0, batches.steps())
        accelerator.wait_for_everyone()


def _steps(
    batches: Batches, loss: Loss, accelerator: Any, model: nn.Module, optimiser: Any, progress: Progress,
    settings: Settings,
) -> Iterator[None]:  # fmt: skip
    """The rest of an epoch, step by step."""
    model.train()
    per_epoch = batches.steps()
    started = perf_counter()
    for images, classes in batches.epoch(progress.epoch, progress.step):
        progress.waited += perf_counter() - started
        done = (progress.epoch * per_epoch + progress.step) / (settings.epochs * per_epoch)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * schedule(done)
        with accelerator.accumulate(model):
            with accelerator.autocast():
                scores = model(images.to(accelerator.device, memory_format=torch.channels_last))
            value = loss(scores, classes.to(accelerator.device))
            lost = float(value.detach())
            if not isfinite(lost):
                raise errors.TconvError(_not_finite(batches, progress, settings))
            accelerator.backward(value)
            optimiser.step()
            optimiser.zero_grad()
        progress.losses += lost
        progress.step += 1
        progress.busy += perf_counter() - started
        yield
        started = perf_counter()


def schedule(done: float) -> float:
    """The learning rate's factor when the part `done` of all steps is: up in a line, down in half a cosine."""
    if done < WARM:
        return (done + WARM / 10) / (WARM * 1.1)
    return 0.5 * (1 + cos(pi * (done - WARM) / (1 - WARM)))


def class_weights(samples: Samples) -> torch.Tensor:
    """Inverse square roots of the classes' parts of all pixels, 1 on average over the classes that are there."""
    counts = torch.from_numpy(samples.pixels().astype(np.float32))
    weights = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), torch.zeros(()))
    return weights / weights[weights > 0].mean()


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


def _save(run: Path, task: Task, accelerator: Any, model: nn.Module, optimiser: Any, progress: Progress) -> None:
    plain = accelerator.unwrap_model(model)
    save_state(run, task.settings, task.digest, progress, plain, optimiser.optimizer, accelerator.scaler)


def _enough(progress: Progress, settings: Settings) -> bool:
    return bool(settings.patience) and progress.epoch - progress.best_epoch >= settings.patience


def _not_finite(batches: Batches, progress: Progress, settings: Settings) -> str:
    names = [shown(batches.samples.items[n].pair.image.name) for _, n in batches.numbers(progress.epoch, progress.step)]
    return (
        f"the loss is not a number in epoch {progress.epoch + 1}, step {progress.step + 1} ({', '.join(names)}); give "
        f"a smaller --rate than {settings.rate:g}" + ("" if settings.precision == "no" else ", or --precision no")
    )
