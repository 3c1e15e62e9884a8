"""Every backend of this machine, forced by name, proven to be the one that ran."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from native.exercise import exercise

from tconv import errors, native

EXERCISE = """
import sys
import ml_dtypes
import numpy as np
from cases import CASES
from tconv import native
from tconv.forms import FORMS

assert native.active() == sys.argv[1], native.active()
for case in CASES:
    expected = FORMS["taps"](case.geometry, *case.arrays(), case.groups)
    for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16):
        x, w, b = case.arrays(dtype)
        # Guard bands: the result lies inside a larger array whose other cells must not change.
        size = case.geometry.output_size(case.in_size)
        buffer = np.full((case.batch, case.out_channels + 2, *(n + 2 for n in size)), 99, dtype)
        inner = buffer[(slice(None), slice(1, -1), *[slice(1, -1)] * len(size))]
        native.pack(case.geometry, w, b, case.groups).run(native.bits(x), native.bits(inner))
        assert (inner == expected.astype(dtype)).all(), case.name
        assert (buffer == 99).sum() >= buffer.size - inner.size, case.name
        inner[...] = 99
        assert (buffer == 99).all(), case.name
print("ran", len(CASES))
"""


@pytest.mark.parametrize("name", native.backends())
def test_forced_backend(name: str) -> None:
    exercise(EXERCISE, name)


def test_the_list_is_ordered_and_ends_with_what_runs_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    names = native.backends()
    assert names[-2:] == ("portable", "reference")
    monkeypatch.delenv("TCONV_BACKEND", raising=False)
    assert native.active() == names[0]
    if {"avx512f", "avx512bf16"} <= set(native.cpu_features()):
        if names[0] == "amxbf16":  # only where AMX is; there, too, it may be refused
            assert "amx-bf16" in native.cpu_features()
            names = names[1:]
        assert names[:2] == ("avx512bf16", "avx512")
    elif "avx512f" in native.cpu_features():
        assert names[0] == "avx512"
    elif {"avx2", "fma"} <= set(native.cpu_features()):
        assert names[0] == "avx2"


def test_unknown_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_BACKEND", "abacus")
    with pytest.raises(
        errors.TconvError, match=r"^TCONV_BACKEND=abacus is not available here; choose one of .*reference"
    ):
        native.active()


def at_start(setup: str = "pass", **environment: str) -> list[str]:
    """What tconv takes for its number of threads: at first, once the environment has changed, set, and set back."""
    code = (
        f"{setup}; import os; from tconv import native; print(native.num_threads())"
        "\nos.environ['OMP_NUM_THREADS'] = '7'"
        "\nfor count in (3, 0): native.set_num_threads(count); print(native.num_threads())"
    )
    clean = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout.split()


def test_threads() -> None:
    assert at_start(OMP_NUM_THREADS="5") == ["5", "3", "5"]
    cpus = str(len(os.sched_getaffinity(0)))
    for text in ("0", "-2", "many", ""):
        assert at_start(OMP_NUM_THREADS=text) == [cpus, "3", cpus]
    assert at_start("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})") == ["1", "3", "1"]
    with pytest.raises(errors.TconvError, match=r"^threads -1 must be at least 0 \(0: the default\)$"):
        native.set_num_threads(-1)
    with pytest.raises(errors.ArgumentTypeError):
        native.set_num_threads(1.5)


def test_the_core_refuses_what_would_break_memory() -> None:
    w = np.ones((2, 1, 3), np.float32)
    axes = [(3, 1, 1, 0)]
    layer = native._core.LayerF32(w, None, axes, 1, "", 0.0, "")
    for x, y in [((1, 3, 4), (1, 1, 6)), ((2, 2, 4), (1, 1, 6)), ((1, 2, 4), (1, 2, 6)), ((1, 2, 4, 1), (1, 1, 6))]:
        with pytest.raises(ValueError, match="arrays do not fit the layer"):
            layer.run(np.zeros(x, np.float32), np.zeros(y, np.float32))
    x = np.ones((1, 2, 4), np.float32)
    for shape in ((2, 1, 6), (1, 2, 6), (1, 1), (1, 1, 6, 1)):
        with pytest.raises(ValueError, match="arrays do not fit the layer"):
            layer.result(x.__dlpack__(), shape, False)
    for size in (2**59, 2**61, 2**63, 2**64 - 1):
        with pytest.raises((ValueError, MemoryError)):
            layer.result(x.__dlpack__(), (1, 1, size), False)
    with pytest.raises(TypeError):
        layer.result(x.astype(np.float64).__dlpack__(), (1, 1, 6), False)
    used = x.__dlpack__()
    layer.result(used, (1, 1, 6), False)
    with pytest.raises(TypeError):
        layer.result(used, (1, 1, 6), False)
    for bad in ([(2, 1, 1, 0)], [(3, 0, 1, 0)], [], axes * 2):
        with pytest.raises(ValueError, match=r"axis does not fit|weight rank"):
            native._core.LayerF32(w, None, bad, 1, "", 0.0, "")
    with pytest.raises(ValueError, match="unknown activation elu"):
        native._core.LayerF32(w, None, axes, 1, "elu", 0.0, "")
    with pytest.raises(ValueError, match="unknown or unsupported backend"):
        native._core.LayerF32(w, None, axes, 1, "", 0.0, "abacus")
