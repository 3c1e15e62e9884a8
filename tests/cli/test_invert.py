"""`tconv invert`, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tconv.cli import main


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns without colour, wherever the tests run."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str, str]:
    """Exit status, stdout and stderr of `tconv invert ARGUMENTS`."""
    with pytest.raises(SystemExit) as left:
        main(["invert", *arguments])
    return left.value.code, *capsys.readouterr()


def test_worked_example(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    residual = lines[21].split("= ")[-1]
    expected = f"""\
Can y = A x be undone?
2-D: kernel 3x3, stride 1, dilation 1, crop (0, 0)

x       y = A x       A^T y     pinv(A) y
2  3    0  2  5  3    17  22    2  3
1  3    0  3  7  3    16  21    1  3
        2  4  5  3
        1  3  1  3

Yes: pinv(A) gives every x back, though A^-1 does not exist. A^T, the forward
convolution, does not.

A            16 x 4: 4 numbers in, 16 out
rank         4 of 4
null space   x = 0 only
condition    1.69: relative errors of y grow by that factor at most

A^T y = x?             no   ||A^T y - x|| = 7 ||x||
A^T A = I?             no   the singular values are not all 1, but 1.73 to 2.93
A^-1 exists?           no   A is 16 x 4, not square
left inverse exists?   yes  rank 4 of 4 columns: pinv(A) y = x for every x
pinv(A) y = x?         yes  ||pinv(A) y - x|| = {residual}
Y B = X for this x?    yes  Y Y^g X = X: B = Y^g X + (I - Y^g Y) W, any W
Y B = X for all x?     yes  Y Y^g X = X: B = Y^g X + (I - Y^g Y) W, any W

All B with Y B = X are B = Y^g X + (I - Y^g Y) W, where Y Y^g Y = Y; there is
one if and only if Y Y^g X = X. Rows of Y are outputs, rows of X their inputs:
Y = y and X = x for this x, Y = A^T and X = I (the unit inputs) for all x.
B^T then takes y back to x."""
    assert lines == expected.splitlines()


def test_orthonormal(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--x", "[5,7]", "--w", "[0.6,0.8]", "--stride", "2")
    assert status == 0
    assert "5  7      3    4  4.2  5.6    5  7     5  7\n" in out
    assert "Yes, by A^T: the forward convolution gives every x back." in out


def test_null_space(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--x", "[[1,2],[3,5]]", "--w", "[[1,1,1],[1,1,1],[1,1,1]]", "--padding", "1")
    assert status == 0
    assert "No: A x = 0 on a 3-dimensional space of inputs, and what x has of it is lost." in out
    assert "null space   3-dimensional: these inputs give y = 0" in out
    assert "condition    infinite: the smallest singular value is 0" in out


def test_files_with_channels_and_a_batch(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((2, 4, 5, 9)))
    np.save(tmp_path / "w.npy", rng.standard_normal((4, 3, 2, 2)))
    files = ("--x", str(tmp_path / "x.npy"), "--w", str(tmp_path / "w.npy"))
    status, out, _ = run(capsys, *files, "--stride", "2,1", "--groups", "2")
    lines = out.splitlines()
    assert status == 0
    assert max(map(len, lines)) <= 80
    assert lines[3].split("  ")[0] == "x, 1 of 8"
    assert lines[4].count("…") == 2  # columns left out of x and of y
    assert "A            600 x 180: 180 numbers in, 600 out" in out


def test_long_arrays_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--x", str([[1] * 9] * 9), "--w", "[[1]]")
    assert status == 0
    lines = out.splitlines()
    assert lines[4:11] == ["    ".join(["1  1  1  1  1  1  1  …"] * 3)] * 7
    assert lines[11] == "    ".join(["…  …  …  …  …  …  …  …"] * 3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["--x", "[1,2]"],
            "--x with shape (2,) and --w with shape (3, 3) do not fit; give (*size) and (*kernel), or (channels, "
            "*size) and (in_channels, out_channels/groups, *kernel)",
        ),
        (["--x", "[[1,1e999],[2,3]]"], "x holds NaN or Inf, which no matrix can give back; give finite numbers"),
        (["--groups", "2"], "groups 2 does not divide the 1 input channels; choose a divisor of 1"),
        (["--stride", "0"], "axis 0: stride 0 must be at least 1"),
        (["--stride", "1,1,1"], "kernel_size has 2 entries, (3, 3), for 3 spatial axes; give 1 or 3"),
    ],
)
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    assert run(capsys, *arguments) == (2, "", f"tconv: {text}\n")
