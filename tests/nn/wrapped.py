"""Run by test_parallel.py under torchrun: models in DistributedDataParallel and in FSDP2, before and after two steps.

What they return, for the same input before and after training on a part of the batch each, goes to
FOLDER/<rank>.pt, by the way in which the model was made faster, how it is wrapped, and which came first; and with it
what was refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

import tconv.nn

FACTOR = 0.05  # of the optimiser
JUDGING = {"seconds": 2.0, "forwards": 1000}


def model() -> nn.Module:
    torch.manual_seed(0)
    up = [nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.GroupNorm(2, 8), nn.ReLU()]
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *up, nn.ConvTranspose2d(8, 3, 2, 2))


def batch() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(4, 3, 8, 8)


def outcome(runs: nn.Module, x: Tensor, mine: slice) -> list[Tensor]:
    """The results before and after two steps on a part of `x`."""
    with torch.no_grad():
        results = [runs.eval()(x), runs(x)]
    optimiser = torch.optim.SGD(runs.parameters(), FACTOR)
    for _ in range(2):
        optimiser.zero_grad()
        runs.train()(x[mine]).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        return [y.clone() for y in (*results, runs.eval()(x), runs(x))]


def sharded(module: nn.Module) -> nn.Module:
    for layer in (module[0], module[2], module[5]):  # type: ignore[index]  # the models are Sequential
        fully_shard(layer)
    fully_shard(module)
    return module


WRAPS: dict[str, Callable[[nn.Module], nn.Module]] = {"ddp": nn.parallel.DistributedDataParallel, "fsdp": sharded}
WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "as it is": lambda m: m,
    "layers": lambda m: tconv.nn.accelerate(m, mode="training"),
    "fold": tconv.nn.fold,
    "accelerate": lambda m: tconv.nn.accelerate(m, batch(), **JUDGING),  # type: ignore[arg-type]  # limits are numbers
}


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank, count = dist.get_rank(), dist.get_world_size()
    torch.set_num_threads(1)
    x = batch()
    size = len(x) // count
    found: dict[tuple[str, str, str], list[Tensor]] = {}
    refusals: list[str] = []
    for way, faster in WAYS.items():
        for name, wrap in WRAPS.items():
            mine = slice(rank * size, (rank + 1) * size)
            found[way, name, "wrapped last"] = outcome(wrap(faster(model())), x, mine)
            if way != "accelerate":
                found[way, name, "wrapped first"] = outcome(faster(wrap(model())), x, mine)
                continue
            try:
                faster(wrap(model()))
            except tconv.nn.AccelerateError as error:
                refusals.append(str(error))
    torch.save((found, refusals), folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
