"""`tconv ...`: what is printed, and every refusal word by word. In process, but for a few real runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from cli.calling import called

from tconv import __version__, cli, config, extras
from tconv.cli.torch_call import torch_call
from tconv.explorer import explain_learned, explain_network
from tconv.geometry import Geometry

Tconv: TypeAlias = Callable[..., tuple[int, str, str]]
TCONV = [sys.executable, "-c", "from tconv.cli import main; main()"]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TCONV_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tconv(capsys: pytest.CaptureFixture[str]) -> Tconv:
    """Run `tconv ARGUMENTS`: (status, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        return called(arguments, capsys)

    return run


def said(tconv: Tconv, line: str, *more: str) -> str:
    """What `tconv LINE MORE...` prints; it must not fail."""
    status, out, err = tconv(*line.split(), *more)
    assert (status, err) == (0, ""), err
    assert out == "".join(line.rstrip() + "\n" for line in out.splitlines())
    return out


def flat(text: str) -> str:
    return " ".join(text.split())


# explain


def shown_y(out: str) -> list[list[str]]:
    """The rows of y beside x and w."""
    titles, *lines = out.split("\n\n")[1].splitlines()
    assert titles.split()[-1] == "y"
    return [line[titles.index("y") :].split() for line in lines if line[titles.index("y") :].strip()]


@pytest.mark.parametrize(
    ("arguments", "y"),
    [
        ([], "0  2  5  3|0  3  7  3|2  4  5  3|1  3  1  3"),
        (["--x", "[[0,1],[2,3]]", "--w", "[[0,1],[2,3]]"], "0   0  1|0   4  6|4  12  9"),
        (["--x", "[[0,1],[2,3]]", "--w", "[[0,1],[2,3]]", "--padding", "1"], "4"),
        (
            ["--x", "[[0,1],[2,3]]", "--w", "[[0,1],[2,3]]", "--stride", "2"],
            "0  0  0  1|0  0  2  3|0  2  0  3|4  6  6  9",
        ),
    ],
)
def test_explain_the_worked_examples(tconv: Tconv, arguments: list[str], y: str) -> None:
    assert shown_y(said(tconv, "explain --form gather", *arguments)) == [row.split() for row in y.split("|")]


def test_explain_says_that_all_forms_agree(tconv: Tconv) -> None:
    out = said(tconv, "explain")
    assert "All 9 ways to compute y were run just now, and agree exactly." in out
    assert "36 of 64 entries hold a tap" in out
    assert "y[1,2] = 2*0 + 3*1 + 1*1 + 3*1 = 7" in out
    assert "<C z, x> = " in out and ": equal." in out


def test_explain_prints_the_golden_file(tconv: Tconv) -> None:
    golden = Path(__file__).parents[1] / "explorer" / "golden" / "worked_example.txt"
    assert said(tconv, "explain") == golden.read_text(encoding="utf-8")


def test_explain_for_slides(tconv: Tconv, tmp_path: Path) -> None:
    """One transparent picture per step; they replace those of an earlier call, but nothing else."""
    folder = tmp_path / "slides"
    for slide in ("light", "dark"):
        out = said(tconv, f"explain --in 3 --kernel 2 --form gather --slide {slide} --steps", str(folder))
        assert out == f"{folder}: 4 pictures, gather-1.svg to gather-4.svg\n"
        assert {path.name for path in folder.iterdir()} == {f"gather-{n}.svg" for n in range(1, 5)}
        assert all('class="paper"' not in path.read_text() for path in folder.iterdir())
    picture, pixels = tmp_path / "one.svg", tmp_path / "one.png"
    said(tconv, "explain --in 3 --kernel 2 --form gather --slide dark --svg", str(picture), "--png", str(pixels))
    assert picture.read_text() in {path.read_text() for path in folder.iterdir()}
    assert pixels.read_bytes()[25] == 6  # colours with transparency
    file = tmp_path / "file"
    file.write_text("mine")
    status, _, err = tconv("explain", "--form", "gather", "--steps", str(file))
    assert (status, err) == (2, f"tconv: {file} is a file; give a folder to write to\n") and file.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--x", "[1,2,3]", "--w", "[1,2,3]", "--stride", "2", "--padding", "1", "--output-padding", "1"],
            "2 5 4 9 6 9",
        ),
        (
            ["--x", "[1,2,3]", "--w", "[1,-2]", "--stride", "3", "--padding", "0:-1", "--bias", "5"],
            "6 3 5° 7 1 5° 8 -1 5°",
        ),
        (["--x", "[1,2]", "--w", "[1,1]", "--padding", "-1:0"], "0° 1 3 2"),
        (["--x", "[1,2]", "--w", "[1,1]", "--bias", "-1"], "0 2 1"),
        (["--x", "[1,2]", "--w", "[.5,.25]", "--padding", "valid"], "0.5 1.25 0.5"),
        (["--x", "[1,2]", "--w", "[1,1,1]", "--padding", "same"], "3 3"),
        (["--in", "3", "--kernel", "2"], "1 4 7 6"),
        (["--in", "3"], "1 4 8 8 3"),
        (["--kernel", "2", "--x", "[5,7]"], "5 17 14"),
        (["--w", "[1,1]"], "2 5 3"),
        (["--x", "[[1,2],[3,4]]", "--w", "[[[1,1]],[[1,0]]]"], "4 7 2"),
    ],
)
def test_explain_reads_what_is_written(tconv: Tconv, arguments: list[str], expected: str) -> None:
    assert shown_y(said(tconv, "explain --form gather", *arguments)) == [expected.split()]


def test_explain_reads_npy(tconv: Tconv, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[2, 3], [1, 3]], np.float32))
    assert "y[3,3] = 3*1 = 3" in said(tconv, "explain", "--x", str(tmp_path / "x.npy"))


@pytest.mark.parametrize("form", ["scatter", "zero-insert", "zero_insert", "agreement"])
def test_explain_one_form(tconv: Tconv, form: str) -> None:
    assert said(tconv, "explain --form", form).count(" ──") == 1


def test_explain_writes_pictures_and_pages(tconv: Tconv, tmp_path: Path) -> None:
    files = {"html": b"<!doctype", "svg": b"<svg", "gif": b"GIF8", "png": b"\x89PNG"}
    options = [word for kind in files for word in (f"--{kind}", str(tmp_path / f"layer.{kind}"))]
    out = said(tconv, "explain --stride 2 --form scatter", *options)
    assert out.splitlines() == [str(tmp_path / f"layer.{kind}") for kind in files]
    for kind, begins in files.items():
        assert (tmp_path / f"layer.{kind}").read_bytes().startswith(begins)
    assert "@keyframes" not in (tmp_path / "layer.svg").read_text()
    said(tconv, "explain --stride 2 --form scatter --moving --svg", str(tmp_path / "layer.svg"))
    assert "@keyframes" in (tmp_path / "layer.svg").read_text()


@pytest.mark.parametrize(
    ("line", "golden"),
    [
        ("--form network --in 101", "network_repaired"),
        ("--form network --in 572 --depth 4 --unpadded", "network_cropped"),
        ("--form network --in 25x30 --depth 2 --kernel 3 --padding 1", "network_two_axes"),
        ("--form network --in 500 --network fcn8s", "network_fcn"),
        ("--form learned --kernel 3", "learned_3_2"),
        ("--form learned --kernel 12 --stride 3", "learned_12_3"),
    ],
)
def test_explain_what_is_no_layer(tconv: Tconv, line: str, golden: str) -> None:
    want = Path(__file__).parents[1] / "explorer" / "golden" / f"{golden}.txt"
    assert said(tconv, f"explain {line}") == want.read_text(encoding="utf-8")


def test_explain_draws_what_is_no_layer(tconv: Tconv, tmp_path: Path) -> None:
    """Every kind of file, steps and slides; and the page at the network."""
    options = [part for kind in ("html", "svg", "gif", "png") for part in (f"--{kind}", str(tmp_path / f"it.{kind}"))]
    steps = ["--slide", "dark", "--steps", str(tmp_path / "steps")]
    out = said(tconv, "explain --form network --in 57 --depth 2 --kernel 4 --padding 1 --cell 9", *options, *steps)
    assert out.splitlines()[-1] == f"{tmp_path}/steps: 5 pictures, network-1.svg to network-5.svg"
    seen = explain_network(57, depth=2, kernel=4, padding=1, cell=9)
    assert (tmp_path / "it.html").read_text(encoding="utf-8") == seen.html()
    assert (tmp_path / "it.svg").read_text(encoding="utf-8") == seen.svg(slide="dark")
    assert (tmp_path / "steps" / "network-5.svg").read_text(encoding="utf-8") == seen.steps("dark")[4]
    said(tconv, "explain --form learned --moving --svg", str(tmp_path / "learned.svg"))
    assert (tmp_path / "learned.svg").read_text(encoding="utf-8") == explain_learned().svg(1.0)


def test_explain_three_axes_and_groups_as_pictures(tconv: Tconv, tmp_path: Path) -> None:
    said(tconv, "explain --in 2x2x2 --kernel 2 --form window --svg", str(tmp_path / "a.svg"))
    groups = ["--x", "[[1,2],[3,4]]", "--w", "[[[1,1]],[[1,0]]]", "--groups", "2"]
    assert "y[1,0] = 3*1 = 3" in said(tconv, "explain --form gather", *groups)


# explore


def test_explore_writes_a_page_and_opens_it(tconv: Tconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    path = Path(said(tconv, "explore").strip())
    assert path.is_relative_to(tmp_path) and path.read_text().startswith("<!doctype html>")
    assert '"s":[2,2]' in path.read_text() and '"lo":[0,0]' in path.read_text() and opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    out = tmp_path / "layer.html"
    assert said(tconv, "explore --in 4 --kernel 3 --form phases -o", str(out)).strip() == str(out)
    assert opened == [out.as_uri()]
    assert '"n":[4]' in out.read_text() and '"view":"phases"' in out.read_text()
    said(tconv, "explore --form network --network fcn-16s --in 64 -o", str(out))
    assert out.read_text(encoding="utf-8") == explain_network(64, "FCN-16s").html()


# size


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size", "out"),
    [
        (3, 1, 0, 2, 4),
        (3, 2, 0, 2, 5),
        (3, 2, 1, 3, 5),
        (3, 2, 1, 6, 11),
        (5, 3, 2, 6, 16),
        (2, 2, 0, 28, 56),
        (2, 1, 0, 2, 3),
    ],
)
def test_worked_sizes(tconv: Tconv, kernel: int, stride: int, padding: int, size: int, out: int) -> None:
    numbers = f"--in {size} --kernel {kernel} --stride {stride} --padding {padding}"
    assert said(tconv, f"size {numbers}").startswith(f"{size} -> {out}\n")


def test_size_in_full(tconv: Tconv) -> None:
    assert said(tconv, "size --in 6 --kernel 3 --stride 2 --padding 1 --output-size 12") == (
        """\
6 -> 12
1-D: kernel 3, stride 2, dilation 1, crop (1, 0)

output size       stride*(in-1) + dilation*(kernel-1) + 1 - crop_lo - crop_hi
                  2*(6-1) + 1*(3-1) + 1 - 1 - 0 = 12
four steps        6 -> 11 with zeros -> 14 padded 1 + 2 -> 12 convolved
forward           the matching convolution maps 11 and 12 to 6
reachable         11 to 12, chosen by output_padding 0 to 1
receptive field   an output cell sees 2 input cells at most
multiplications   17 per sample, none of them with an inserted zero
bytes             84 of input, weight and output in float32
PyTorch           torch.nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1,
                  output_padding=1)
"""
    )


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("--in 3 --kernel 3 --stride 2 --padding 1", ["four steps 3 -> 5 with zeros -> 7 padded 1 + 1 -> 5 convolved"]),
        ("--in 2 --kernel 3", ["four steps 2 -> 2 with zeros -> 6 padded 2 + 2 -> 4 convolved", "reachable 4 only"]),
        ("--in 6 --kernel 5 --stride 3 --padding 2", ["forward the matching convolution maps 16 to 18 to 6"]),
        ("--in 5 --kernel 5 --stride 3 --padding 2", ["forward the matching convolution maps 13 to 15 to 5"]),
        (
            "--in 28x28 --kernel 2 --stride 2 --in-channels 32 --out-channels 16",
            [
                "28x28 -> 56x56",
                "an output cell sees 1 input cell at most",
                "multiplications 1,605,632 per sample",
                "bytes 309,248 of",
                "PyTorch torch.nn.ConvTranspose2d(32, 16, 2, stride=2)",
            ],
        ),
        (
            "--in 6x8 --kernel 3x5 --stride 2 --padding 1,2 --output-padding 1,0",
            ["6x8 -> 12x15", "axis 1: 2*(8-1) + 1*(5-1) + 1 - 2 - 2 = 15", "padding=(1, 2), output_padding=(1, 0))"],
        ),
        (
            "--in 6 --kernel 3 --stride 2 --padding same",
            ["6 -> 12", "PyTorch no single call: axis 0: crop (0, 1) needs"],
        ),
        ("--in 1 --kernel 1 --stride 3 --padding 1 --output-padding 2", ["1 -> 1", "reachable 1 only"]),
        ("--in 2 --kernel 2 --dilation 1000000 --stride 1000000", ["2 -> 2000001", "multiplications"]),
        ("--in 1 --kernel 200000", ["1 -> 200000", "receptive field", "bytes 1,600,004 of"]),
    ],
)
def test_size_says(tconv: Tconv, arguments: str, lines: list[str]) -> None:
    out = flat(said(tconv, f"size {arguments}"))
    for line in lines:
        if line == "multiplications":  # too many strides to walk through
            assert line not in out
        else:
            assert line in out


def test_size_plans_a_unet(tconv: Tconv) -> None:
    out = said(tconv, "size --in 572 --unet 4 --shrink 4")
    assert out.startswith("U-Net of depth 4: 572 -> 388")
    assert " 572   568     284 " in out


def test_torch_call() -> None:
    geometry = Geometry((3, 4), (2, 1), (1, 2), ((1, 0), (0, 0)))
    assert torch_call(geometry, 4, 8, 2) == (
        "torch.nn.ConvTranspose2d(4, 8, (3, 4), stride=(2, 1), padding=(1, 0), output_padding=(1, 0), dilation=(1, 2), "
        "groups=2)"
    )


# solve, coverage, show-config


def test_solve(tconv: Tconv) -> None:
    out = said(tconv, "solve 6 12 --kernel 3 --limit 5")
    assert out.splitlines()[0] == "6 -> 12: all 2 solutions"
    assert "3       2        1        1    uneven    18" in out
    assert out.splitlines()[-1].startswith("PyTorch   torch.nn.ConvTranspose1d(1, 1, 3,")


def test_solve_per_axis_and_together(tconv: Tconv) -> None:
    out = said(tconv, "solve 6x8 12x16 --stride 2 --limit 2")
    assert "axis 0: 6 -> 12: the best 2" in out and "axis 1: 8 -> 16: the best 2" in out
    out = said(tconv, "solve 7,8 14,16 --together --limit 1")
    assert out.startswith("7 -> 14 and 8 -> 16: the best 1\n")
    assert said(tconv, "solve 6x6 12x12 --limit 1").startswith("6 -> 12: the best 1\n")


def test_solve_chains(tconv: Tconv) -> None:
    out = said(tconv, "solve 4 16 --layers 2 --kernel 4 --stride 2 --padding 1 --output-padding 0 --limit 1")
    assert out.startswith("4 -> 16 by 2 layers: the best 1\n")
    assert "4 -> 8 -> 16" in out
    assert out.count("torch.nn.ConvTranspose1d(1, 1, 4, stride=2, padding=1)") == 2


def test_solve_says_why_not(tconv: Tconv) -> None:
    status, out, err = tconv("solve", "6", "5", "--padding", "0")
    assert (status, err) == (1, "")
    assert flat(out).startswith(
        "6 -> 5 cannot be done within these bounds: the smallest output is 6 (kernel 1, stride 1"
    )
    assert "What would do it: padding up to 1" in flat(out)
    status, out, _ = tconv("solve", "6x6", "12x500", "--limit", "1")
    assert status == 1
    assert "axis 0: 6 -> 12: the best 1" in out and "axis 1: 6 -> 500 cannot be done" in flat(out)


def test_coverage_in_full(tconv: Tconv) -> None:
    assert said(tconv, "coverage --in 4x4 --kernel 3 --stride 2 --padding 1") == (
        """\
4x4 -> 7x7
2-D: kernel 3x3, stride 2, dilation 1, crop (1, 1)

input-tap pairs that meet at each output cell:

 1  2  1  2  1  2  1
 2  4  2  4  2  4  2
 1  2  1  2  1  2  1
 2  4  2  4  2  4  2
 1  2  1  2  1  2  1
 2  4  2  4  2  4  2
 1  2  1  2  1  2  1

taps per phase   2, 1
period           2x2 cells
holes            none
verdict          Uneven: away from the borders outputs get 1 to 4, in a regular
                 pattern: a checkerboard.
what to change   the same 7 cells, evenly: kernel 4, stride 2, padding 2,
                 output_padding 1; or kernel 2, stride 2, padding 1,
                 output_padding 1
"""
    )


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("--in 5 --kernel 3 --stride 2", ["1 1 2 1 2 1 2 1 2 1 1", "taps per phase 2, 1", "period 2 cells"]),
        (
            "--in 6 --kernel 4 --stride 2 --padding 1",
            ["period none", "Even: away from the borders every output gets 2."],
        ),
        (
            "--in 4 --kernel 4 --stride 2 --dilation 2",
            [
                "holes 6 of 13 cells hold the bias only",
                "Holes: stride 2 and dilation 2 are both multiples of 2, so taps skip cells",
                "the same 13 cells, evenly: kernel 8, stride 2, padding 1, output_padding 1",
            ],
        ),
        ("--in 3 --kernel 2 --stride 3", ["Holes: kernel 2 is smaller than stride 3, so stamps leave gaps"]),
        (
            "--in 4x3 --kernel 4,2 --stride 2,3",
            ["period 1x3 cells", "axis 0: nothing, this axis is even axis 1: the same"],
        ),
        ("--in 4x4x4 --kernel 3 --stride 2", ["axis 2 1 1 2 1", "A cell's count is the product over the axes."]),
        ("--in 100x4 --kernel 3 --stride 2", ["... and 169 more rows"]),
        ("--in 100 --kernel 3 --stride 2", [" 1 2 …"]),
    ],
)
def test_coverage_says(tconv: Tconv, arguments: str, lines: list[str]) -> None:
    out = flat(said(tconv, f"coverage {arguments}"))
    for line in lines:
        assert line in out


def test_show_config(tconv: Tconv) -> None:
    assert [line.split("   ")[0] for line in said(tconv, "show-config").splitlines()] == list(config.config())


# help


def test_no_arguments_show_the_commands(tconv: Tconv) -> None:
    out = tconv()[1]
    assert out == tconv("--help")[1] == tconv("-h")[1]
    for name, summary in cli.COMMANDS.items():
        assert f" {name} " in out and summary.split()[0] in out


def test_version(tconv: Tconv) -> None:
    assert tconv("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("command", ["explain", "size", "solve", "coverage", "show-config"])
def test_help_of_a_command(tconv: Tconv, command: str) -> None:
    status, out, err = tconv(command, "--help")
    assert (status, err) == (0, "")
    assert flat(out).startswith(f"Usage: tconv {command}")
    assert f"    tconv {command}" in out, "an example"
    options = re.findall(r"^│ \*? *(--[a-z-]+|[A-Z-]+ --[a-z-]+) .*?(\S.*)│$", out, re.MULTILINE)
    assert all(text.strip() for _, text in options)


# refusals: one line, status 2


REFUSALS = re.findall(r"^\$ tconv (.*)\n(.*)$", (Path(__file__).parent / "refusals.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("arguments", "line"), REFUSALS, ids=[arguments for arguments, _ in REFUSALS])
def test_refusal(tconv: Tconv, arguments: str, line: str) -> None:
    assert tconv(*arguments.split()) == (2, "", line + "\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a .npy file of numbers: "),
        (b"not an array", "is not a .npy file of numbers: "),
        (b"\x80\x04K\x01.", "is not a .npy file of numbers: "),
        (b"\x93NUMPY\x01\x00v\x00{'descr': 'O'", "is not a .npy file of numbers: "),
    ],
)
def test_a_file_that_is_no_array(tconv: Tconv, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    status, out, err = tconv("explain", "--x", str(path))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_file_of_objects_or_of_many_arrays(tconv: Tconv, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    assert "is not a .npy file of numbers" in tconv("explain", "--x", str(path))[2]
    np.savez(tmp_path / "several", np.ones(2))
    (tmp_path / "several.npz").rename(path)
    assert "holds several arrays (.npz)" in tconv("explain", "--x", str(path))[2]
    (tmp_path / "folder.npy").mkdir()
    assert tconv("explain", "--x", str(tmp_path / "folder.npy"))[2].endswith("folder.npy: Is a directory\n")


def test_deep_brackets_are_refused(tconv: Tconv) -> None:
    status, _, err = tconv("explain", "--x", "[" * 100_000)
    assert status == 2
    assert err.startswith(f"tconv: --x '{'[' * 37}...' is not an array; write numbers in brackets")


def test_what_nobody_expected_is_one_line(tconv: Tconv, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, str]:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("tconv.cli.show_config.config", broken)
    assert tconv("show-config") == (1, "", "tconv: unexpected RuntimeError: two lines (TCONV_DEBUG=1 shows where)\n")
    monkeypatch.setenv("TCONV_DEBUG", "1")
    with pytest.raises(RuntimeError):
        cli.main(["show-config"])


def test_interrupt_and_missing_package(tconv: Tconv, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("tconv.cli.show_config.config", interrupted)
    assert tconv("show-config") == (130, "", "tconv: interrupted\n")

    def without_torch() -> dict[str, str]:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("tconv.cli.show_config.config", without_torch)
    assert tconv("show-config") == (2, "", f"tconv: this command needs torch: {extras.cure('torch')}\n")


# real runs


def test_a_real_run_loads_little() -> None:
    code = "import sys; from tconv.cli import run; run(sys.argv[1:]); print(*sys.modules, sep='\\n', file=sys.stderr)"
    arguments = ["size", "--in", "6", "--kernel", "3"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("6 -> 8\n")
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"scipy", "torch", "PIL", "pyvips", "skimage", "markdown_it"}
    assert not {"tconv.cli.solve", "tconv.cli.demo", "tconv.explorer.text"} & set(done.stderr.split())


def test_a_real_failure() -> None:
    done = subprocess.run([*TCONV, "size", "--in", "x"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tconv: ") and done.stderr.count("\n") == 1


def test_the_reader_may_leave() -> None:
    with subprocess.Popen([*TCONV, "explain"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_a_terminal_without_unicode() -> None:
    done = subprocess.run(
        [*TCONV, "explain"], capture_output=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""}, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"C^T times the flattened input" in done.stdout
