"""Plans run on tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from tconv.nn.engines.triton.packing import Packed
from tconv.nn.engines.triton.plan import Plan


class Launcher:
    """A plan on a device, with all that a call can be spared: compiled kernels, grids, constants.

    Kernels are kept for each combination of strides and alignments that was met.
    """

    def __init__(self, plan: Plan, device: torch.device):
        raise NotImplementedError

    def __call__(self, x: Tensor, packed: Packed, y: Tensor, workspace: Tensor | None = None) -> None:
        """Compute the plan's task: see `launch`."""
        raise NotImplementedError


def launcher(plan: Plan, device: torch.device) -> Launcher:
    """The launcher of a plan on a device, remembered."""
    raise NotImplementedError


def launch(plan: Plan, x: Tensor, packed: Packed, y: Tensor, workspace: Tensor | None = None) -> None:
    """Enqueue the plan's task on the current stream of the tensors' device.

    Args:
        x: (batch, in_channels, *in_size), with any strides.
        packed: of the plan's layout.
        y: (batch, out_channels, *out_size), any strides; every number of it is written, and nothing between.
        workspace: at least `plan.workspace` bytes on the device, aligned to 16; default: allocated if needed.

    Raises:
        LaunchError: a tensor's shape, dtype or device is not that of the plan.
    """
    launcher(plan, x.device)(x, packed, y, workspace)


def warm(plan: Plan, device: torch.device) -> None:
    """Compile the plan's kernels for dense tensors of the task's layouts, so that the first call does not."""
    raise NotImplementedError
