"""The workers of a Dask cluster: each gets the model once, then jobs; what they make comes back, a few at a time.

Workers read the images themselves and write nothing, so only the images must lie where all of them see them. A job of a
worker that dies is given to another one by the scheduler; nothing is lost, as results that were fetched are here.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from torch import nn

from tconv import errors, extras
from tconv.names import shown
from tconv.segmentation.card import Card
from tconv.segmentation.predict.crew import J, T, Task, attempt, ready

if TYPE_CHECKING:
    from distributed import Client, Future, Worker, WorkerPlugin

CONNECT = 10  # seconds until a scheduler must have answered
PATIENCE = 30  # seconds without a result after which one looks whether workers are left
AHEAD = 2  # jobs per thread of a worker that are under way or wait to be fetched

R = TypeVar("R")


@contextmanager
def cluster(address: str, model: nn.Module, card: Card, sample: Path | None = None) -> Iterator[Cluster]:
    """The workers of the scheduler at `address`, who know the model until the block ends.

    Args:
        address: tcp://HOST:PORT.
        model, card: are sent to every worker, also to those that come later.
        sample: an image; every worker must see it.

    Raises:
        ClusterError: no address, no `distributed`, no scheduler, no workers, or other versions than here.
        ImageFileError: a worker does not see the sample.
    """
    client = _connect(address)
    log = logging.getLogger("distributed.client")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what goes wrong is raised, in one line
    try:
        _check_versions(client, address)
        if sample is not None and sample.exists():
            _check_sight(client, sample.absolute())
        name = f"tconv-model-{uuid4().hex}"
        client.register_plugin(_carrier(model, card), name=name)
        try:
            yield Cluster(client, name, address)
        finally:
            if client.status == "running":  # else it would wait for a scheduler that has gone away
                client.unregister_worker_plugin(name)
    finally:
        client.close()
        log.setLevel(level)


@dataclass
class Cluster:
    """A crew (see `crew`).

    Attributes:
        client: connected.
        name: of the plugin that holds the model on each worker.
        address: of the scheduler, for messages.
    """

    client: Client
    name: str
    address: str

    def each(self, task: Task[J, T], jobs: Iterable[J], in_order: bool = False) -> Iterator[tuple[J, T | Exception]]:
        """As `Crew.each`.

        Raises:
            ClusterError: no workers are left, or no scheduler.
        """
        from distributed import CancelledError

        waiting: dict[Future[T | Exception], J] = {}  # the oldest first
        rest = iter(jobs)
        try:
            while True:
                room = max(1, AHEAD * self._threads())
                for job in islice(rest, max(0, room - len(waiting))):
                    job = replace(job, path=job.path.absolute())
                    waiting[self.client.submit(_on_worker, self.name, task, job, pure=False)] = job
                if not waiting:
                    return
                future = self._next(waiting, in_order)
                job = waiting.pop(future)
                yield job, _result(future, job)
        except (CancelledError, OSError) as error:
            raise errors.ClusterError(
                f"lost the Dask scheduler at {self.address}; start it and run this again: what is done is skipped"
            ) from error
        finally:
            if waiting and self.client.status == "running":
                self.client.cancel(list(waiting), force=True)

    def _threads(self) -> int:
        """Of all workers; an OSError if the scheduler has gone away, without waiting for its return."""
        if self.client.status != "running":
            raise ConnectionError
        threads: dict[str, int] = self.client.nthreads()
        return sum(threads.values())

    def _next(self, waiting: dict[Future[R], J], in_order: bool) -> Future[R]:
        """The oldest future, or any, that is done."""
        from distributed import wait

        wanted = list(waiting)[:1] if in_order else list(waiting)
        while True:
            try:
                with self.client.as_current():
                    done = wait(wanted, timeout=PATIENCE, return_when="FIRST_COMPLETED").done
                return next(future for future in wanted if future in done)
            except TimeoutError:
                if not self._threads():
                    raise errors.ClusterError(
                        f"all workers have left the Dask scheduler at {self.address}; start some with `dask worker "
                        f"{self.address}` and run this again: what is done is skipped"
                    ) from None


def _connect(address: str) -> Client:
    if find_spec("distributed") is None:
        raise errors.ClusterError(f"--dask needs distributed: {extras.cure('dask')}")
    place = re.fullmatch(r"tcp://\[?([^\[\]]+)\]?:(\d{1,5})", address)
    if not place or int(place[2]) >= 2**16:
        raise errors.ClusterError(f"--dask {address!r} is no scheduler's address; write tcp://HOST:PORT")
    from distributed import Client

    try:
        _listen(place[1], int(place[2]))
        return Client(address, timeout=CONNECT, set_as_default=False)
    except OSError as error:  # also TimeoutError
        raise errors.ClusterError(
            f"no Dask scheduler answers at {address}; start one with `dask scheduler`, and workers with `dask worker "
            f"{address}`"
        ) from error


def _listen(host: str, port: int) -> None:
    """Raise an OSError if something else than Dask is there: a client would wait for its greeting without end."""
    with socket.create_connection((host, port), CONNECT) as line:
        greeting = int.from_bytes(line.recv(8, socket.MSG_WAITALL), "little")  # begins with its length
    if not 0 < greeting < 2**20:
        raise ConnectionError


def _check_versions(client: Client, address: str) -> None:
    """Everyone must run what runs here: other code could give other masks."""
    if not client.nthreads():
        raise errors.ClusterError(
            f"the Dask scheduler at {address} has no workers; start some with `dask worker {address}`"
        )
    for package in ("tconv", "torch"):
        here = version(package)
        found: dict[str, Any] = client.run(version, package, on_error="return")
        workers = [(f"worker {name}", there) for name, there in found.items()]
        for who, there in [*workers, ("the scheduler", _on_scheduler(client, package))]:
            if there != here:
                what = there if isinstance(there, str) else "none"
                raise errors.ClusterError(
                    f"{who} has {package} {what} and this process {here}; install the same everywhere"
                )


def _on_scheduler(client: Client, package: str) -> str | None:
    """The version there, where tasks pass through; or None."""
    try:
        found: str = client.run_on_scheduler(version, package)
    except PackageNotFoundError:
        return None
    return found


def _check_sight(client: Client, path: Path) -> None:
    for worker, seen in client.run(os.path.exists, path).items():
        if not seen:
            raise _unseen(path, worker)


def _unseen(path: Path, worker: str) -> errors.ImageFileError:
    return errors.ImageFileError(
        f"{shown(path)} is not there on worker {worker}; put the images on storage that all workers see under the same "
        f"path, such as a network file system"
    )


def _carrier(model: nn.Module, card: Card) -> WorkerPlugin:
    """What builds the model on a worker when it is told of it or starts: plain numbers and the card go there."""
    from distributed import WorkerPlugin
    from safetensors.torch import save

    from tconv.segmentation.ensemble import Ensemble

    class Carrier(WorkerPlugin):
        def __init__(self, members: list[tuple[bytes, str]], flips: list[str] | None, card: str) -> None:
            self.members, self.flips, self.text = members, flips, card

        def setup(self, worker: Worker) -> None:
            from safetensors.torch import load

            from tconv.segmentation.card import Card
            from tconv.segmentation.ensemble import Ensemble

            parts = [(Card.from_json(text).build(), Card.from_json(text)) for _, text in self.members]
            for (member, _), (numbers, _) in zip(parts, self.members, strict=True):
                member.load_state_dict(load(numbers))
            self.card = Card.from_json(self.text)
            self.model = ready(parts[0][0] if self.flips is None else Ensemble(parts, flips=self.flips))
            del self.members

    parts = list(zip(model.members, model.parts, strict=True)) if isinstance(model, Ensemble) else [(model, card)]
    members = [
        (save({name: tensor.contiguous() for name, tensor in member.state_dict().items()}), about.to_json())
        for member, about in parts
    ]
    return Carrier(members, model.flips if isinstance(model, Ensemble) else None, card.to_json())


def _on_worker(name: str, task: Task[J, T], job: J) -> T | Exception:
    """What a worker does."""
    from distributed import get_worker

    worker = get_worker()
    if not job.path.exists():
        return _unseen(job.path, worker.address)
    carrier: Any = worker.plugins[name]
    return attempt(task, carrier.model, carrier.card, job)


def _result(future: Future[T | Exception], job: J) -> T | Exception:
    """What came back; or, for a job over which workers died again and again, what to do."""
    from distributed import KilledWorker

    try:
        found: T | Exception = future.result()
    except KilledWorker as error:
        return errors.ImageFileError(
            f"{shown(job.path)} cost {error.allowed_failures + 1} workers their lives, the last at "
            f"{error.last_worker.address}; give workers more memory, or choose a smaller --tile"
        )
    return found
