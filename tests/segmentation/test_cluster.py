"""Prediction on a Dask cluster of two workers: the same files as without, whatever happens to a worker."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import tifffile
import torch
import zarr
from distributed import Client, LocalCluster
from PIL import Image
from segmentation.test_predict import alive, card, pixels

from tconv import errors
from tconv.segmentation import UNet
from tconv.segmentation.predict import cluster, windows
from tconv.segmentation.predict.crew import Job
from tconv.segmentation.predict.files import find_images, predict
from tconv.segmentation.predict.tasks import Wish


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that run tests may be slow."""
    monkeypatch.setattr(cluster, "CONNECT", 60)


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalCluster]:
    """Two processes."""
    with LocalCluster(n_workers=2, processes=True, threads_per_worker=1, dashboard_address=":0") as found:
        yield found


@pytest.fixture
def network() -> Iterator[torch.nn.Module]:
    """A network, and one thread, as each worker has: sums are added up in another order with more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield alive(UNet(3, 3, (4, 8)))
    torch.set_num_threads(threads)


def large_tiff(path: Path, height: int = 700) -> Path:
    tifffile.imwrite(path, pixels(height, 300, 3), photometric="rgb", tile=(64, 64), bigtiff=True)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_files_as_without(
    tmp_path: Path, network: torch.nn.Module, workers: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LARGE", 100_000)
    for n in range(5):
        Image.fromarray(pixels(40, 50 + n, 3)).save(tmp_path / f"{n}.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG")
    tifffile.imwrite(tmp_path / "five.tif", pixels(5, 20, 30), metadata={"axes": "CYX"})
    large_tiff(tmp_path / "large.tif")
    tifffile.imwrite(tmp_path / "odd.tif", pixels(7, 200, 200), metadata={"axes": "CYX"})
    stored = zarr.create_array(tmp_path / "array.zarr", shape=(300, 200, 3), chunks=(100, 100, 3), dtype="uint8")
    stored[:] = pixels(300, 200, 3)
    images, wish = find_images(str(tmp_path)), Wish(overlay=True, probabilities=True, tile=128)
    monkeypatch.chdir(tmp_path)
    relative = [path.relative_to(tmp_path) for path in images]
    here = predict(network, card(), images, tmp_path / "here", wish)
    told: list[float] = []
    there = predict(network, card(), relative, tmp_path / "there", wish, lambda done, _: told.append(done),
                    dask=workers.scheduler_address)  # fmt: skip
    assert contents(tmp_path / "here") == contents(tmp_path / "there") and len(here.written) == 7
    assert [path.name for path in there.written] == [path.name for path in here.written]
    assert [p.message for p in there.problems] == [p.message for p in here.problems] and len(here.problems) == 3
    assert told == sorted(told) and told[-1] == len(images) and any(n % 1 for n in told)
    again = predict(network, card(), images, tmp_path / "there", wish, dask=workers.scheduler_address)
    assert (len(again.skipped), again.written, len(again.problems)) == (7, [], 3)


def test_a_killed_worker_loses_nothing(
    tmp_path: Path, network: torch.nn.Module, workers: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LARGE", 1000)
    image = large_tiff(tmp_path / "large.tif", 2000)
    predict(network, card(), [image], tmp_path / "here", Wish(tile=128))
    killed: list[float] = []

    def kill(done: float, _: int) -> None:
        if done > 0.2 and not killed:
            killed.append(done)
            os.kill(next(iter(workers.workers.values())).pid, signal.SIGKILL)

    with Client(workers) as client:
        before = client.run(os.getpid)
        outcome = predict(network, card(), [image], tmp_path / "there", Wish(tile=128), kill,
                          dask=workers.scheduler_address)  # fmt: skip
        client.wait_for_workers(2, timeout=60)
        assert set(client.run(os.getpid).values()) - set(before.values()), "no worker was killed"
    assert 0.2 < killed[0] < 0.5 and not outcome.problems
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def die(model: torch.nn.Module, card: Any, job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_image_over_which_workers_die(tmp_path: Path, network: torch.nn.Module, workers: LocalCluster) -> None:
    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "a.png")
    with Client(workers) as client:
        client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
        with cluster.cluster(workers.scheduler_address, network, card()) as crew:
            ((_, error),) = crew.each(die, [Job(tmp_path / "a.png")])
        client.wait_for_workers(2, timeout=60)
    assert str(error).startswith(f"{tmp_path}/a.png cost 1 workers their lives, the last at tcp://127.0.0.1:")
    assert str(error).endswith("; give workers more memory, or choose a smaller --tile")


def test_an_image_that_workers_do_not_see(tmp_path: Path, network: torch.nn.Module, workers: LocalCluster) -> None:
    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "a.png")
    mine = Path("/proc/self/fd/500")  # is another file in every process, or none
    with (tmp_path / "a.png").open("rb") as file:
        os.dup2(file.fileno(), 500)
    try:
        outcome = predict(network, card(), [tmp_path / "a.png", mine], tmp_path / "out", dask=workers.scheduler_address)
        with pytest.raises(errors.ImageFileError, match=r"^/proc/self/fd/500 is not there on worker tcp://127\."):
            predict(network, card(), [mine], tmp_path / "none", dask=workers.scheduler_address)
    finally:
        os.close(500)
    assert len(outcome.written) == 1 and not (tmp_path / "none").exists()
    assert str(outcome.problems[0]).startswith("/proc/self/fd/500 is not there on worker tcp://127.0.0.1:")
    assert str(outcome.problems[0]).endswith(
        "; put the images on storage that all workers see under the same path, such as a network file system"
    )


def test_an_interrupt_cancels_what_is_under_way(
    tmp_path: Path, network: torch.nn.Module, workers: LocalCluster
) -> None:
    for n in range(30):
        Image.fromarray(pixels(100, 100, 3)).save(tmp_path / f"{n}.png")

    def interrupt(done: float, _: int) -> None:
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(
            network, card(), find_images(str(tmp_path)), tmp_path / "out", None, interrupt, workers.scheduler_address
        )
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    with Client(workers) as client:
        tasks, plugins = client.run_on_scheduler(
            lambda dask_scheduler: (dask_scheduler.tasks, dask_scheduler.worker_plugins)
        )
        assert not tasks and not [name for name in plugins if name.startswith("tconv")]


def test_workers_that_run_something_else(
    network: torch.nn.Module, workers: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, ours = os.getpid(), version("tconv")

    def refusal(on_workers: str, on_scheduler: str) -> str:
        """What is said if other versions are there; a name of no package stands for none."""

        def told(package: str) -> str:
            if os.getpid() != here:  # it runs there too
                return on_workers if on_workers[0].isdigit() else version(on_workers)
            if threading.current_thread() is threading.main_thread() or on_scheduler == ours:
                return version(package)
            return version(on_scheduler)

        monkeypatch.setattr(cluster, "version", told)
        with pytest.raises(errors.ClusterError) as error, cluster.cluster(workers.scheduler_address, network, card()):
            pass
        return re.sub(r"tcp://\S+", "HERE", str(error.value))

    end = f"and this process {ours}; install the same everywhere"
    assert refusal("0.0.9", ours) == f"worker HERE has tconv 0.0.9 {end}"
    assert refusal("no-such", ours) == f"worker HERE has tconv none {end}"
    assert refusal(ours, "no-such") == f"the scheduler has tconv none {end}"


def test_workers_and_schedulers_that_go_away(
    tmp_path: Path, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    monkeypatch.setattr(windows, "LARGE", 1000)
    images, out = [large_tiff(tmp_path / "a.tif"), large_tiff(tmp_path / "b.tif")], tmp_path / "out"

    def refusal(happens: Callable[[], object] | None = None) -> str:
        """What is said if something happens when a part is done."""
        with pytest.raises(errors.ClusterError) as error:
            predict(network, card(), images, out, Wish(tile=128), lambda done, _: done > 0.2 and happens and happens(),
                    dask=address)  # fmt: skip
        assert not out.exists() or not list(out.iterdir())
        return str(error.value)

    few = LocalCluster(n_workers=1, processes=False, threads_per_worker=1, dashboard_address=":0", protocol="tcp://")
    with few:
        address = few.scheduler_address
        again = "run this again: what is done is skipped"
        assert refusal(lambda: few.scale(0)) == (
            f"all workers have left the Dask scheduler at {address}; start some with `dask worker {address}` and "
            f"{again}"
        )
        assert refusal() == (f"the Dask scheduler at {address} has no workers; start some with `dask worker {address}`")
        few.scale(1)
        with Client(few) as client:
            client.wait_for_workers(1, timeout=60)
        assert refusal(few.close) == f"lost the Dask scheduler at {address}; start it and {again}"
    assert refusal() == (
        f"no Dask scheduler answers at {address}; start one with `dask scheduler`, and workers with `dask worker "
        f"{address}`"
    )
