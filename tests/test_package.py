"""What `tconv.` finds without a further import, and what it says where a package is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import tconv

MODULES = ["decomposition", "explorer", "images", "insight", "linear", "nn", "onnx", "segmentation", "solver"]


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", [*MODULES, "operator", "undo", "explain", "explain_learned", "explain_network"])
def test_found_at_first_use_and_listed(name: str) -> None:
    assert name in dir(tconv)
    kind = "module" if name in MODULES else "function"
    assert python(f"import tconv; print(type(tconv.{name}).__name__)") == kind
    if name in MODULES:
        assert getattr(tconv, name) is import_module(f"tconv.{name}")


def test_a_layer_without_a_further_import() -> None:
    assert python("import tconv; print(tconv.nn.ConvTranspose2d(1, 2, 3).weight.shape)") == "torch.Size([1, 2, 3, 3])"


def test_dir_loads_nothing_and_names_what_there_is() -> None:
    listed = python("import sys, tconv; print(*dir(tconv)); assert not {'torch', 'scipy'} & set(sys.modules)").split()
    assert listed == sorted(listed) and {*tconv.__all__, *MODULES, "__version__"} <= set(listed)


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("nn", "torch", "tconv.nn needs torch: pip install 'tconv[torch]'"),
        ("linear", "scipy", "tconv.linear needs scipy: pip install 'tconv[explain]'"),
        ("operator", "scipy", "tconv.operator needs scipy: pip install 'tconv[explain]'"),
        ("images", "pyvips", "pictures need pyvips: pip install 'tconv[images]'"),
        ("insight", "torch", "tconv.insight needs torch: pip install 'tconv[segmentation]'"),
        ("onnx", "onnx", "tconv.onnx needs onnx: pip install 'tconv[onnx]'"),
        ("segmentation", "torch", "tconv.segmentation needs torch: pip install 'tconv[segmentation]'"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(name: str, missing: str, message: str) -> None:
    code = f"""if True:
        import sys
        import tconv
        sys.modules[{missing!r}] = None
        try:
            tconv.{name}
        except ImportError as error:
            print(error)
        """
    assert python(code) == message


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"^module 'tconv' has no attribute 'deconv'$"):
        _ = tconv.deconv
    assert not hasattr(tconv, "torch")
