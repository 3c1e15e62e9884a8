"""What the README says can be copied and run."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = [
    [shlex.split(line, comments=True) for line in block.splitlines()]
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
]
LINES = [line for block in BLOCKS for line in block]
COMMANDS = [[line for line in block if line[0] == "tconv"] for block in BLOCKS]


def test_every_line_is_a_command_we_know() -> None:
    assert {line[0] for line in LINES} == {"make", "tconv"}
    assert sum(map(len, COMMANDS)) >= 14


def hashes(folder: Path, outputs: list[str]) -> dict[str, str]:
    """Of every file that is not in one of the outputs."""
    places = [folder / output for output in outputs]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(path.is_relative_to(place) for place in places)
    }


@pytest.mark.parametrize("commands", [c for c in COMMANDS if c], ids=lambda commands: " ".join(commands[0][:3]))
def test_commands(commands: list[list[str]], tmp_path: Path) -> None:
    """Those of a block run one after the other in the same folder."""
    from skimage import data
    from skimage.io import imsave

    imsave(tmp_path / "photo.jpg", data.astronaut()[:64, :96])
    tconv = Path(sys.executable).parent / "tconv"
    for command in commands:
        outputs = [command[n + 1] for n, word in enumerate(command) if word == "-o"]
        before = hashes(tmp_path, outputs)
        done = subprocess.run([tconv, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout and not done.stderr, f"{command}: {done.stderr}"
        after = hashes(tmp_path, outputs)
        assert {name: after.get(name) for name in before} == before, f"{command} changed what it reads"
        for output in outputs:
            assert (tmp_path / output).stat().st_size > 1000


def test_python() -> None:
    """The blocks run one after the other; a comment behind a print is what it prints."""
    code = "".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    promised = re.findall(r"^print\(.*\)\s+# (.*?)(?:: a .*)?$", code, re.MULTILINE)
    assert len(promised) == 3
    lines = [line for line in printed.getvalue().splitlines() if not line.startswith("tconv: ")]
    assert lines == [text.strip() for text in promised]


@pytest.mark.parametrize("target", [line[1] for line in LINES if line[0] == "make"])
def test_make_target_exists(target: str) -> None:
    assert shutil.which("make")
    plan = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert plan.returncode == 0, plan.stderr


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
