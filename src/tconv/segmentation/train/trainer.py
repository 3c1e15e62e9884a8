"""Epoch after epoch: steps, a measurement, a checkpoint, and what can be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import cos, isfinite, pi
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from tconv import errors
from tconv.names import shown
from tconv.segmentation import shared
from tconv.segmentation.card import Card
from tconv.segmentation.checkpoint import BEST, save
from tconv.segmentation.data.dataset import Batches, Samples
from tconv.segmentation.losses import Loss
from tconv.segmentation.refine import FLIPS
from tconv.segmentation.train import record
from tconv.segmentation.train.clock import Clock
from tconv.segmentation.train.mirror import mirrored
from tconv.segmentation.train.probe import Probe
from tconv.segmentation.train.settings import AUTO, Chosen
from tconv.segmentation.train.state import Progress, save_state

WARM = 0.05  # the part of all steps in which the learning rate rises
MARGIN = 2.0  # seconds that the baselines and the last picture take

Tell = Callable[[Progress, int, int], object]


class Stopped(KeyboardInterrupt):
    """Ctrl-C, and the state is saved and the training can be resumed."""


@dataclass
class Trainer:
    """A training that runs.

    Attributes:
        settings, card, digest: of the task.
        run: folder.
        accelerator, model, optimiser: as Accelerate has prepared them.
        progress: where it is; changes.
        batches, loss: what is learned from, and what is made small.
        probe: what is measured after an epoch.
        clock: when it ends.
        recorder: writes what can be looked at.
        stop: an event that asks for an end after the step that runs.
        tell: called with (progress, step, steps per epoch) after every step, and with step 0 after an epoch.
    """

    settings: Chosen
    card: Card
    digest: str
    run: Path
    accelerator: Any
    model: nn.Module
    optimiser: Any
    progress: Progress
    batches: Batches
    loss: Loss
    probe: Probe
    clock: Clock
    recorder: record.Recorder
    stop: threading.Event
    tell: Tell | None = None

    def train(self) -> None:
        """All epochs that are left.

        Raises:
            Stopped: `stop` was set; everything is saved.
            TconvError: the loss is not a number.
        """
        progress, main = self.progress, self.accelerator.is_main_process
        self._mirror(progress.flip)
        while not self._over() or not progress.history:
            for _ in self._steps():
                if main and self.tell:
                    self.tell(progress, progress.step, self.batches.steps())
                # Every process stops after the same step: one that heard Ctrl-C tells the others.
                if progress.step % self.settings.accumulate == 0 and self._asked_to_stop():
                    if main:
                        self._save()
                    raise Stopped
            self._finish_epoch()
        if main:
            self.recorder.last(progress, self.accelerator.unwrap_model(self.model))

    def _over(self) -> bool:
        """Whether the training is at its end; the first process's clock holds for all."""
        progress, patience = self.progress, self.settings.patience
        progress.done = self.clock.part(progress)
        if self.clock.seconds is not None:
            progress.done = float(shared.first(torch.tensor(progress.done, device=self.accelerator.device)))
        enough = bool(patience) and progress.epoch - progress.best_epoch >= patience
        return progress.done >= 1 or (enough and progress.step == 0)

    def _asked_to_stop(self) -> bool:
        asked = torch.tensor(float(self.stop.is_set()), device=self.accelerator.device)
        return bool(shared.total(asked) > 0)

    def _steps(self) -> Iterator[None]:
        """The rest of an epoch, step by step."""
        self.model.train()
        progress, device = self.progress, self.accelerator.device
        started = perf_counter()
        for images, classes in self.batches.epoch(progress.epoch, progress.step):
            progress.waited += perf_counter() - started
            for group in self.optimiser.param_groups:
                group["lr"] = self.settings.rate * schedule(progress.done)
            with self.accelerator.accumulate(self.model):
                with self.accelerator.autocast():
                    scores = self.model(images.to(device, memory_format=torch.channels_last))
                value = self.loss(scores, classes.to(device))
                lost = float(value.detach())
                if not isfinite(lost):
                    raise errors.TconvError(self._not_finite())
                self.accelerator.backward(value)
                self.optimiser.step()
                self.optimiser.zero_grad()
            progress.losses += lost
            progress.step += 1
            progress.busy += perf_counter() - started
            yield
            if self._over():
                return
            started = perf_counter()

    def _finish_epoch(self) -> None:
        progress, main = self.progress, self.accelerator.is_main_process
        started = perf_counter()
        confusion = self.probe.measure(self.model, len(self.card.classes), self.accelerator)
        measured = perf_counter() - started
        self.clock.keep(MARGIN + measured / self.probe.part, (1 + FLIPS) * measured * self.settings.refine)
        progress.after = self.clock.after
        progress.spent = self.clock.spent
        better = record.finish_epoch(progress, confusion)
        if self.settings.flip == AUTO and not progress.flip:
            progress.flip = mirrored(self.model, self.probe, confusion, self.accelerator) or ""
            self._mirror(progress.flip)
            if progress.flip:
                progress.history[-1]["note"] = f"crops are mirrored from now on: {progress.flip}"
        if main:
            plain: nn.Module = self.accelerator.unwrap_model(self.model)
            if better:
                reached = {"mean_iou": progress.best, "epoch": progress.best_epoch, "iou": record.listed(confusion.iou)}
                save(self.run / BEST, plain, replace(self.card, metrics={**self.card.metrics, **reached}))
            self._save()
            self.recorder.epoch(progress, plain)
            if self.tell:
                self.tell(progress, 0, self.batches.steps())
        self.accelerator.wait_for_everyone()

    def _mirror(self, flip: str) -> None:
        """Mirror crops from now on, if it was found out how."""
        if flip:
            self.batches = replace(self.batches, augmentation=replace(self.batches.augmentation, flip=flip))

    def _save(self) -> None:
        self.progress.spent = self.clock.spent
        plain = self.accelerator.unwrap_model(self.model)
        save_state(
            self.run, self.settings, self.digest, self.progress, plain, self.optimiser.optimizer,
            self.accelerator.scaler,
        )  # fmt: skip

    def _not_finite(self) -> str:
        progress, settings = self.progress, self.settings
        items = self.batches.samples.items
        names = [shown(items[n].pair.image.name) for _, n in self.batches.numbers(progress.epoch, progress.step)]
        return (
            f"the loss is not a number in epoch {progress.epoch + 1}, step {progress.step + 1} ({', '.join(names)}); "
            f"give a smaller --rate than {settings.rate:g}"
            + ("" if settings.precision == "no" else ", or --precision no")
        )


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
