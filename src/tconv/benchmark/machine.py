"""On what it was measured."""

from __future__ import annotations

import platform
import re
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tconv import native
from tconv.benchmark.process import FREE, HELD, ISAS, cores

PACKAGES = ("tconv", "numpy", "torch", "onnxruntime", "openvino", "jax")


def about(
    now: datetime, rounds: int, threads: int, isa: str | None, packages: tuple[str, ...] = PACKAGES
) -> dict[str, str]:
    """CPU, threads, versions, date: what a result means nothing without."""
    return {
        "cpu": _cpu(),
        "features": ", ".join(native.cpu_features()),
        "threads": f"{threads}, on {len(cores(threads))} CPUs",
        **(_forced(isa) if isa else {"isa": "best available"}),
        "backend": isa or native.active(),
        "rounds": str(rounds),
        "date": f"{now:%Y-%m-%d}",
        "python": platform.python_version(),
        **{name: found for name in packages if (found := _version(name))},
    }


def file_stem(about: dict[str, str], isa: str | None) -> str:
    """The name of a results file: CPU and date, and what was forced."""
    words = [about["cpu"], about["date"], isa or ""]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).casefold()).strip("-")


def _forced(isa: str) -> dict[str, str]:
    """By what the contenders are held back, and which."""
    settings = " ".join(f"{name}={value}" for name, value in ISAS[isa].items())
    return {"isa": f"{isa}, forced by {settings}", "held to it": HELD, "cannot be held": ", ".join(FREE)}


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.+)$", path.read_text(), re.MULTILINE) if path.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
