"""The engine on the CPU, in Triton's interpreter: how it is tested, and its scripts are tried, without a GPU."""

from __future__ import annotations

import os

from tconv.nn import engine
from tconv.nn.engines.triton.cards import known
from tconv.nn.engines.triton.engine import Triton


def compute_on_the_cpu(architecture: str = "sm_90", processors: int = 132) -> Triton:
    """Let tensors on the CPU be computed by the engine for GPUs from now on, as on a card of this architecture.

    Kernels run in Triton's interpreter, some million times slower than on a card.

    Raises:
        RuntimeError: TRITON_INTERPRET=1 is not set, which Triton reads when it is imported.
    """
    if os.environ.get("TRITON_INTERPRET") != "1":
        raise RuntimeError("kernels run on the CPU in Triton's interpreter only: set TRITON_INTERPRET=1 first")
    made = Triton(lambda _: None, lambda _: True, lambda _: known(architecture, processors))
    engine.use("cpu", made)
    return made
