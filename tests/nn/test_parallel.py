"""Models spread over two processes, by DistributedDataParallel and by FSDP2, compute what they do without tconv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from nn import wrapped

REFUSAL = (
    "{} runs in step with other processes ({}), and measuring would call it a different number of times in each; "
    "accelerate the model before it is wrapped or sharded, or call accelerate without an example"
)
NAMES = [("DistributedDataParallel", "DistributedDataParallel"), ("FSDPSequential", "FSDPModule")]


def test_two_processes(tmp_path: Path) -> None:
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", wrapped.__file__, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", *torchrun], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with torch.no_grad():
        alone = wrapped.model().eval()(wrapped.batch())
    for rank in (0, 1):
        found, refusals = torch.load(tmp_path / f"{rank}.pt")
        assert len(found) == 14
        assert refusals == [REFUSAL.format(*names) for names in NAMES]
        for (way, wrap, order), results in found.items():
            trained = found["as it is", wrap, "wrapped last"][2]
            for result, wanted in zip(results, [alone, alone, trained, trained], strict=True):
                torch.testing.assert_close(
                    result, wanted, rtol=1e-4, atol=1e-5, msg=lambda m, case=(way, wrap, order): f"{case}: {m}"
                )
