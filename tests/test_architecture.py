"""The house keeps its shape: who may import whom, how long a file may be, what `import tconv` loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tconv"

# A row never imports a higher one (ARCHITECTURE.md); the top-level package only hands names on.
ROWS = [
    {"__main__"},
    {"cli"},
    {"benchmark"},
    {"insight"},
    {"segmentation", "decomposition", "images", "keras", "onnx"},
    {"nn", "jax"},
    {"functional", "linear", "explorer", "config"},
    {"layer"},
    {"signature"},
    {"native", "kernels", "solver", "unet_plan", "dialects"},
    {"forms"},
    {"arrays"},
    {"geometry"},
    {"outputs", "wholes"},
    {"names", "extras"},
    {"errors"},
]
RANK = {name: len(ROWS) - row for row, names in enumerate(ROWS) for name in names}

# Packages that may be imported when `import tconv` runs; all others only where they are named.
ALWAYS = {"numpy"}
HEAVY = {
    "cli": {"cyclopts", "rich", "numpy", "PIL"},
    "decomposition": {"PIL"},
    "explorer": {"rich", "PIL"},
    "linear": {"scipy"},
    "images": {"pyvips", "PIL", "scipy", "skimage"},
    "nn": {"torch", "ml_dtypes"},
    "jax": {"jax", "flax"},
    "keras": {"keras"},
    "onnx": {"torch", "onnx", "google"},
    "segmentation": {"torch", "PIL", "cyclopts"},
    "insight": {"torch", "PIL"},
}
# The language of these modules is Triton's; all others import it where they use it.
KERNELS = SOURCE / "nn" / "engines" / "triton" / "kernels"
MODULES = sorted(SOURCE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[ast.Import | ast.ImportFrom]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Full names of the modules a statement may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "imports are absolute"
    return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_row_never_imports_a_higher_one(path: Path) -> None:
    own = part(path)
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no row: give it one here and in ARCHITECTURE.md"
    for node in imports(path):
        for name in names(node):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if top == "tconv" and other in RANK and other != own:
                assert RANK[other] < RANK[own], f"{path.name}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_other_packages_stay_in_their_part(path: Path) -> None:
    allowed = ALWAYS | HEAVY.get(part(path), set()) | set(sys.stdlib_module_names) | {"tconv"}
    if path.parent == KERNELS:
        allowed |= {"triton"}
    for node in ast.parse(
        path.read_text()
    ).body:  # at the top of the file; inside a function a package is imported when it is needed
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in names(node):
                assert name.partition(".")[0] in allowed, f"{path.name}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_size_of_files_and_functions(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400, "a file holds one idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"


def test_no_drawer_for_odds_and_ends() -> None:
    assert not [path for path in MODULES if path.stem in {"utils", "util", "helpers", "common", "base", "misc"}]


def test_import_is_light() -> None:
    code = "import sys, tconv; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    assert not loaded & {
        "torch",
        "scipy",
        "matplotlib",
        "rich",
        "cyclopts",
        "PIL",
        "pyvips",
        "skimage",
        "jax",
        "keras",
        "onnx",
        "triton",
    }


@pytest.mark.parametrize("path", sorted((ROOT / "cpp").rglob("*.*")), ids=lambda path: path.name)
def test_size_of_files_of_the_core(path: Path) -> None:
    assert path.read_text().count("\n") <= 400, "a file holds one idea"


def test_a_way_of_computing_is_one_file_and_one_line() -> None:
    """Nobody but the list knows the ways, and nothing that was tuned hides in them."""
    listed = (ROOT / "cpp" / "ways" / "list.cpp").read_text()
    for path in (ROOT / "cpp").rglob("*.*pp"):
        for line in path.read_text().splitlines():
            assert "#include" not in line or "ways/" not in line or line == '#include "ways/way.hpp"', path
            if line.startswith("constexpr Way<S>"):
                assert line.split()[2].partition("{")[0] + "<S>" in listed, path


def test_only_the_bindings_know_nanobind_and_only_threads_starts_threads() -> None:
    for path in (ROOT / "cpp").rglob("*.*"):
        text = path.read_text()
        assert "nanobind" not in text or path.name.startswith("bind"), path
        assert ("std::thread" in text) == (path.name == "threads.cpp"), path
        assert "intrin.h" not in text or path.parent.name == "isa", path
