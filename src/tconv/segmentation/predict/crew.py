"""Who computes: this process, or the workers of a Dask cluster (`cluster`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from tconv import errors
from tconv.names import shown
from tconv.nn import fold
from tconv.segmentation.card import Card


@dataclass(frozen=True)
class Job:
    """What is to be done with a file; it may go to another machine, so it is small."""

    path: Path


J = TypeVar("J", bound=Job)
T = TypeVar("T")
Task = Callable[[nn.Module, Card, J], T]  # a function of a module, which other processes find by its name


class Crew(Protocol):
    """Calls task(model, card, job) for every job."""

    def each(self, task: Task[J, T], jobs: Iterable[J], in_order: bool = False) -> Iterator[tuple[J, T | Exception]]:
        """Every job with its result, or with what is wrong with its file; few results are held at a time.

        Args:
            task: what to do.
            jobs: with what.
            in_order: results come in the order of the jobs, else as they are done.
        """
        ...


@dataclass
class Here:
    """This process."""

    model: nn.Module
    card: Card

    def each(self, task: Task[J, T], jobs: Iterable[J], in_order: bool = False) -> Iterator[tuple[J, T | Exception]]:
        """As `Crew.each`."""
        for job in jobs:
            yield job, attempt(task, self.model, self.card, job)


def ready(model: Any) -> Any:
    """The model as it predicts fastest, in place: channels-last and folded."""
    return fold(model.eval().to(memory_format=torch.channels_last))


def attempt(task: Task[J, T], model: nn.Module, card: Card, job: J) -> T | Exception:
    """The result, or what is wrong with the file; other errors are ours, and raised."""
    try:
        return task(model, card, job)
    except (errors.TconvError, OSError) as error:
        return error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            return errors.ImageFileError(f"{shown(job.path)} needs more memory than there is; give a smaller --memory")
        raise


def result_of(found: T | Exception) -> T:
    """The result, or raise what is wrong with the file."""
    if isinstance(found, Exception):
        raise found
    return found
