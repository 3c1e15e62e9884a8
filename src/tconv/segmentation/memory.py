"""How much memory a computation may take: what is said, or a quarter of what the machine has for this process."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tconv import errors

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
LEAST = 2**26  # bytes: no network runs in less
UNKNOWN = 2**32
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def available() -> int:
    """Bytes of the machine, or of the container that this process is in; 4 GiB where the system does not say."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        found = UNKNOWN
    for name in LIMITS:
        try:
            found = min(found, int(Path(name).read_text()))
        except (OSError, ValueError):  # no container, or "max"
            continue
    return found


def budget(text: str = "") -> int:
    """Bytes that a computation may take.

    Args:
        text: as in "2GiB" or "500M"; empty for a quarter of the memory.

    Raises:
        TconvError: no size, or too little for any network.

    >>> budget("1.5GiB")
    1610612736
    """
    if not text:
        return max(LEAST, available() // 4)
    written = SIZE.fullmatch(text.strip())
    if not written:
        raise errors.TconvError(f"--memory {text!r} is no size; write one as in 500MiB or 2GiB")
    size = int(float(written[1]) * UNITS[written[2].lower()])
    if size < LEAST:
        raise errors.TconvError(f"--memory {text} is too little for a network; give at least {LEAST // 2**20}MiB")
    return size
