"""Results that nobody measured, with round numbers."""

from __future__ import annotations

from tconv.benchmark.results import Callers, Memory, Results, Row, Sizes


def results() -> Results:
    up = Row("up", 2_000_000, 8_000, gemm=1e11, copy=1e10)  # floor: 20 microseconds of arithmetic
    up.seconds = {"tconv_cf": 40e-6, "tconv_cl": 25e-6, "torch": 80e-6, "torch_cl": 20e-6, "openvino": 60e-6}
    up.errors = dict.fromkeys(up.seconds, 1.25e-7)
    up.spread = dict.fromkeys(up.seconds, 0.09) | {"floor": 0.11}
    down = Row("down", 1_000, 80_000, gemm=1e11, copy=1e10)  # floor: 8 microseconds of memory
    down.seconds = {"tconv_cf": 16e-6, "tconv_cl": 8e-6, "torch": 32e-6, "torch_cl": 1234.5e-6}
    down.errors = dict.fromkeys(down.seconds, 1e-7)
    down.spread = {"tconv_cf": 0.0, "tconv_cl": 0.5}
    down.failed = {"openvino": "the process stopped with status -11"}
    return Results(
        {"cpu": "Fake (TM) 1", "threads": "2, on 2 CPUs", "backend": "avx2", "date": "2026-01-02"},
        {"jax": "jax not installed"},
        [],
        [up, down],
        [
            Sizes("up", "torch", fixed=100e-6, changing=1.1, new=10),
            Sizes("up", "tconv_cf", fixed=20e-6, changing=1, new=1.05),
            Sizes("down", "tconv_cf", fixed=10e-6, changing=0.99, new=1.1),
        ],
        [Callers("up", "torch", [1000.0, 3999.6, 16000.0])],
        [Memory("up", "torch", growth=3 * 2**20, result=2**20, weight=2**19)],
    )
