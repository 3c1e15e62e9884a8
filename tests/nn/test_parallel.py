"""Models spread over two processes, by DistributedDataParallel and by FSDP2, compute what one process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from nn import wrapped


def test_two_processes(tmp_path: Path) -> None:
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", wrapped.__file__, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", *torchrun], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = wrapped.outcome(wrapped.model(), wrapped.batch(), slice(None))
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert len(found) == len(wrapped.WAYS) * len(wrapped.WRAPS) * 2
        for case, results in found.items():
            for result, wanted in zip(results, expected, strict=True):
                torch.testing.assert_close(
                    result, wanted, rtol=1e-4, atol=1e-5, msg=lambda m, case=case: f"{case}: {m}"
                )
