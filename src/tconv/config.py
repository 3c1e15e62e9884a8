"""What this installation runs on."""

from __future__ import annotations

import platform

import numpy as np

from tconv import native


def config() -> dict[str, str]:
    """Version, CPU features, kernels, cache and threads, as text."""
    from tconv import __version__

    cache = native.second_cache()
    return {
        "tconv": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu features": ", ".join(native.cpu_features()) or "none that matter",
        "kernels": ", ".join(f"{name} (active)" if name == native.active() else name for name in native.backends()),
        "instructions": native.instructions(),
        "L2 cache": f"{cache // 1024} KB" if cache else "of unknown size",
        "threads": str(native.num_threads()),
    }


def show_config() -> None:
    """Print `config()`, one line each."""
    for name, value in config().items():
        print(f"{name + ':':<14}{value}")
