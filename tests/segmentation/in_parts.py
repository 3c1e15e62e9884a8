"""Run by test_shared.py under torchrun, as one process with a batch or as two with a half of it each.

What batch norm and losses make of it in several precisions goes to FOLDER/<processes>-<rank>.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tconv.segmentation import shared
from tconv.segmentation.losses import LOSSES, Loss

SIZE = 300  # 90,000 pixels of each image: more than float16 can count
MODES = {
    "float32": (torch.float32, torch.float32),  # dtypes of input and layers
    "float64": (torch.float64, torch.float64),
    "float16 input": (torch.float16, torch.float32),
    "bfloat16 input": (torch.bfloat16, torch.float32),
    "float16": (torch.float16, torch.float16),
    "bfloat16": (torch.bfloat16, torch.bfloat16),
}


def part(whole: Tensor) -> Tensor:
    """Of a batch, what this process has."""
    return whole.chunk(dist.get_world_size())[dist.get_rank()].clone()


def normed(x: Tensor, factors: Tensor, model: nn.Module, autocast: bool) -> dict[str, Tensor]:
    """A training step's result, gradients and memory."""
    model.train()
    if dist.get_world_size() > 1:
        shared.share_norms(model)
    x = part(x).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = model(x)
    (y.double() * part(factors)).sum().backward()
    assert x.grad is not None
    norm: Any = model.get_submodule("norm")
    sums = {f"sum {name}": p.grad for name, p in norm.named_parameters() if p.grad is not None}
    return {"y": y.detach(), "grad": x.grad, **sums, "mean": norm.running_mean, "var": norm.running_var}


def model_of(dtype: torch.dtype) -> nn.Module:
    model = nn.Sequential()
    model.add_module("norm", nn.BatchNorm2d(3))
    return model.to(dtype)


def main() -> None:
    dist.init_process_group("gloo")
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, SIZE, SIZE, generator=random, dtype=torch.float64) * 3 + 5
    factors = torch.randn(2, 3, SIZE, SIZE, generator=random, dtype=torch.float64)
    found = {}
    for name, (dtype, parameters) in MODES.items():
        found[name] = normed(x.to(dtype), factors, model_of(parameters), False)
    with_layer = nn.Sequential()
    with_layer.add_module("layer", nn.Conv2d(3, 3, 1, bias=False))
    with_layer.add_module("norm", nn.BatchNorm2d(3))
    with torch.no_grad():
        with_layer.get_parameter("layer.weight").copy_(torch.eye(3)[..., None, None])
    found["autocast"] = normed(x.float(), factors, with_layer, True)
    classes = torch.randint(0, 3, (2, SIZE, SIZE), generator=random)
    classes[1, :50] = 255
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for loss in LOSSES:
            scores = part(x).to(dtype).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                value = Loss(loss, torch.tensor([1.0, 2.0, 0.5]).to(dtype))(scores, part(classes))
            (value * 1000 / dist.get_world_size()).backward()  # gradients are averaged; float16 would lose small ones
            assert scores.grad is not None
            found[f"{loss}, {dtype}"] = {"loss": value.detach(), "grad": scores.grad}
    torch.save(found, Path(sys.argv[1]) / f"{dist.get_world_size()}-{dist.get_rank()}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
