"""One process on a processor, with what the trainer asks of Accelerate, whose import takes longer than to read data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # of torchrun; names of Accelerate's begin with its own


def is_alone() -> bool:
    """Whether this process trains by itself, without an accelerator, and nobody who launched it has wishes."""
    launched = any(name in LAUNCHED or name.startswith("ACCELERATE_") for name in os.environ)
    return not launched and not torch.accelerator.is_available()


class Alone:
    """As accelerate.Accelerator, for one process in full precision.

    Args:
        accumulate: steps whose gradients are added up before the weights change.
    """

    process_index, num_processes, is_main_process = 0, 1, True
    device = torch.device("cpu")
    scaler = None

    def __init__(self, accumulate: int = 1) -> None:
        self.steps, self.done = accumulate, 0

    def prepare(self, part: Any) -> Any:
        """A model as it is; an optimiser as one that steps when enough gradients are there."""
        return Gathering(part, self) if isinstance(part, torch.optim.Optimizer) else part

    @contextmanager
    def accumulate(self, model: nn.Module) -> Iterator[None]:
        """Around every step of the training."""
        self.done += 1
        yield

    def autocast(self) -> AbstractContextManager[None]:
        """Full precision."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add up the gradients of a part of the whole step."""
        (loss / self.steps).backward()

    def unwrap_model(self, model: nn.Module) -> nn.Module:
        """The model."""
        return model

    def wait_for_everyone(self) -> None:
        """Nobody else is there."""

    @property
    def whole(self) -> bool:
        """Whether the gradients are those of a whole step."""
        return self.done % self.steps == 0


class Gathering:
    """An optimiser that does nothing before all gradients of a step are there."""

    def __init__(self, optimizer: torch.optim.Optimizer, alone: Alone) -> None:
        self.optimizer, self.alone = optimizer, alone

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of the optimiser."""
        return self.optimizer.param_groups

    def step(self) -> None:
        """Change the weights."""
        if self.alone.whole:
            self.optimizer.step()

    def zero_grad(self) -> None:
        """Forget the gradients that were used."""
        if self.alone.whole:
            self.optimizer.zero_grad()
