"""What docs/jax.md says can be copied and run, each block by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "jax.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_there_is_a_block_for_each_way_in() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("block", BLOCKS, ids=["jax", "patched", "flax", "keras"])
def test_a_block_runs_and_prints_what_it_says(block: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    promised = re.findall(r"^print\(.*\)\s+# (.*)$", block, re.MULTILINE)
    assert done.stdout.splitlines() == promised
