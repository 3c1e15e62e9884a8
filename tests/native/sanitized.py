"""Run by `make sanitize` before its tests: proof that they meet an instrumented core, and that its errors are fatal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tconv import native

# An array that claims more memory than it has. The portable backend is plain C++, so that all it reads is watched; the
# masked loads and stores of others are not.
LIE = """
import numpy as np
from tconv import Geometry, native

x = np.lib.stride_tricks.as_strided(np.ones(8, np.float32), (1, 1, 4096))
native.run(Geometry(2, 2), x, np.ones((1, 1, 2), np.float32))
"""


def main() -> None:
    core = Path(native._core.__file__)
    assert core.is_relative_to(sys.prefix), f"{core} is not the core of {sys.prefix}"
    for called in (b"__asan_report_", b"__ubsan_handle_"):
        assert called in core.read_bytes(), f"{core} is not instrumented"
    environment = {**os.environ, "TCONV_BACKEND": "portable"}
    done = subprocess.run([sys.executable, "-c", LIE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "AddressSanitizer: heap-buffer-overflow" in done.stderr, done.stderr
    print(f"{core} is instrumented")


if __name__ == "__main__":
    main()
