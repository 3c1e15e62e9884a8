"""One team of threads for PyTorch and the compiled core.

PyTorch's OpenMP threads look out for further work for milliseconds after each operator. Threads of another pool would
have to wait for the processors meanwhile: layers of PyTorch and of tconv in turns took a third longer.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Any

import torch

from tconv.native import join_team

_OPENMP = re.compile(r"/lib(gomp|iomp5|omp)[-.\w]*\.so[.\d]*$")


def join_pytorch() -> None:
    """Make the threads of PyTorch's OpenMP library known to the core; its own remain if that cannot be told."""
    library = openmp_of(Path(torch.__file__).parent, loaded())
    opened = library and ctypes.CDLL(library, mode=os.RTLD_LAZY | os.RTLD_NOLOAD)
    entries: list[Any] = [getattr(opened, name, None) for name in ("GOMP_parallel", "omp_get_thread_num")]
    if None not in entries:
        join_team(*(ctypes.cast(entry, ctypes.c_void_p).value or 0 for entry in entries))


def loaded() -> list[str]:
    """The OpenMP libraries in this process."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text(errors="surrogateescape").splitlines() if maps.exists() else []
    paths = dict.fromkeys(line.split(maxsplit=5)[-1] for line in lines)
    return [path for path in paths if _OPENMP.search(path)]


def openmp_of(torch_folder: Path, libraries: list[str]) -> str | None:
    """PyTorch's own among these: the one in its folder, or the only one."""
    own = [path for path in libraries if Path(path).parent.parent == torch_folder or f"{torch_folder}.libs" in path]
    return own[0] if own else libraries[0] if len(libraries) == 1 else None
