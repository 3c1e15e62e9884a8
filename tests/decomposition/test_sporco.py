"""The optimum of SPORCO's ConvBPDN, found by another method in another domain, on the same circular problem."""

from __future__ import annotations

import numpy as np
import pytest
from decomposition.problems import kernels

from tconv.decomposition import ConvSparseCoder

SPORCO = 199.1483806682647
"""1/2 ||sum d_k * x_k - s||^2 + 0.3 ||x||_1 after 339 steps of sporco 0.2.2, ADMM in double precision, NoBndryCross,
RelStopTol 1e-7, AuxVarObj and over-relaxation 1.8; `tconv bench --suite csc` compares with it live."""


@pytest.mark.parametrize("solver", ["descent", "fista"])
def test_the_same_objective(solver: str) -> None:
    d = kernels(4, 1, 5, 5)
    s = np.random.default_rng(11).standard_normal((32, 32))
    coder = ConvSparseCoder(d, 0.3, border="inside", solver=solver, tol=1e-6, max_iter=5000)
    z = coder.transform(s[None, None])[0]
    ring = np.zeros((4, 32, 32))
    ring[:, :28, :28] = z
    rebuilt = np.fft.irfft2((np.fft.rfft2(d[:, 0], (32, 32)) * np.fft.rfft2(ring)).sum(axis=0), (32, 32))
    circular = np.square(s - rebuilt).sum() / 2 + 0.3 * np.abs(z).sum()
    assert circular == pytest.approx(SPORCO, rel=1e-6) and coder.objective_ == pytest.approx(circular, rel=1e-12)
