"""`tconv show-config`: what this installation runs on."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from tconv.cli.screen import show, show_json
from tconv.config import config
from tconv.explorer.grids import Facts


def show_config(*, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Say what this installation runs on: versions, CPU, compiled kernels, threads.

    TCONV_BACKEND=portable in the environment forces a kernel.

        tconv show-config
        tconv show-config --json

    Args:
        json: Print it as JSON.
    """
    if json:
        show_json(config())
        return
    show(Facts(tuple(config().items())))
