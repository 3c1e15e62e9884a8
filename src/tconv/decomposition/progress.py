"""A line on the terminal that says how far a solver is; nothing where nobody looks, or where rich is not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import log

from tconv.decomposition.coding import Standing
from tconv.decomposition.descent import Tell


@contextmanager
def shown(what: str, wanted: bool, tol: float) -> Iterator[Tell | None]:
    """What a solver may call after each round, while the block runs.

    The bar is full when the duality gap is down to `tol`; in between it is as the logarithm of the gap.
    """
    if not wanted or not sys.stderr.isatty() or find_spec("rich") is None:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(what, total=1.0)

        def tell(n: int, standing: Standing) -> None:
            relative = standing.gap / standing.objective if standing.objective else 0.0
            done = log(max(relative, tol, 1e-12)) / log(max(tol, 1e-12)) if tol < 1 else 1.0
            said = f"{what}: {n}, objective {standing.objective:.6g}, gap {relative:.1e}"
            progress.update(bar, completed=max(done, 0.0), description=said)

        yield tell
