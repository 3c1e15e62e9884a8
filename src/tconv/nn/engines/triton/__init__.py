"""Triton kernels as an engine for tensors on GPUs.

Everything about a call but its numbers is a `task.Task`, everything about a device a `cards.Card`; `plan.plan` turns
both into a `Plan`, without Triton, PyTorch or a device. `packing.pack` lays weights out as plans read them, and
`launch.launcher` makes what runs a plan on tensors. Only `launch`, `bias` and `kernels/` import Triton, when something
first runs.
"""
