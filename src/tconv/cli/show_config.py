"""`tconv show-config`: what this installation runs on."""

from __future__ import annotations

from tconv.cli.screen import show
from tconv.config import config
from tconv.explorer.grids import Facts


def show_config() -> None:
    """Say what this installation runs on: versions, CPU, compiled kernels, threads.

    TCONV_BACKEND=portable in the environment forces a kernel.

        tconv show-config
    """
    show(Facts(tuple(config().items())))
