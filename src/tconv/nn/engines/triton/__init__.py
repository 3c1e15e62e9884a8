"""Triton kernels as an engine for tensors on GPUs.

Everything about a call but its numbers is a `task.Task`, everything about a device a `cards.Card`; `plan.plan` turns
both into a `Plan`, without Triton, PyTorch or a device. `packing.pack` lays weights out as plans read them, and
`launch.launch` runs a plan on tensors. Only `launch` and `kernels/` import Triton, when a plan first runs.
"""
