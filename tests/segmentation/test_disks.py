"""A disk that is full or read-only: one line names the file, and what was written before is as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORDS = {
    "full": ("No space left on device", "File too large"),
    "locked": ("Read-only file system", "Permission denied"),
}
REFUSED = {
    "make-data": "more/images/cells_0000.png",
    "check-data": "sheet.png",
    "train": "other/settings.toml",
    "resume": "run/settings.toml",
    "export": "model.pt2",
}


@pytest.mark.parametrize("way", ["disk", "limits"])
@pytest.mark.parametrize("how", ["full", "locked"])
def test_nothing_that_was_written_is_lost(tmp_path: Path, how: str, way: str) -> None:
    script = Path(__file__).with_name("bad_disk.py")
    done = subprocess.run(
        [sys.executable, str(script), how, way, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for path in [tmp_path, *tmp_path.rglob("*")]:  # so that pytest may remove it
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    results, same = found["results"], found["same"]
    assert same, "files were changed or left over"

    def line(file: str) -> str:
        words = WORDS[how][any(WORDS[how][1] in said for _, said in results.values())]
        return f"{file} cannot be written: {words}; what was there before is untouched\n"

    for name, file in REFUSED.items():
        status, said = results[name]
        assert status == 2 and said.endswith(f"tconv: {line(file)}"), said
    status, said = results["predict"]
    assert status == 1 and said.endswith("wrote 0 masks to masks, 4 problems\n")
    for n in range(4):
        assert f"problem: data/images/cells_000{n}.png: {line(f'masks/cells_000{n}_overlay.png')}" in said
    if how == "full":
        status, said = results["train into little room"]
        assert status == 2 and said.endswith(f"tconv: {line('other/best.safetensors')}"), said
        status, said = results["eval"]
        assert status == 0 and "4 images" in said, said
