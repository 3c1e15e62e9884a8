"""What `tconv.` finds without a further import, and what it says where a package is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from types import FunctionType, ModuleType

import pytest

import tconv
from tconv.extras import Extra, cure

os.environ.setdefault("KERAS_BACKEND", "torch")  # TensorFlow, its default, is none of tconv's

MODULES = [
    "decomposition", "explorer", "images", "insight", "jax", "keras", "linear", "nn", "onnx", "segmentation", "solver",
]  # fmt: skip
PUBLIC = [
    "tconv",
    *(f"tconv.{name}" for name in ("dialects", "errors", "forms", "geometry", "kernels", "native", *MODULES)),
    "tconv.jax.nn",
    "tconv.jax.nnx",
]


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


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_is_listed_and_documented(name: str) -> None:
    """The rest may change in any release: see the changelog's first lines."""
    module = import_module(name)
    assert module.__doc__
    assert len(module.__all__) == len(set(module.__all__))
    for member in module.__all__:
        found = getattr(module, member)
        if isinstance(found, type | FunctionType | ModuleType):
            assert found.__doc__, f"{name}.{member} has no docstring"


def test_every_error_is_public() -> None:
    classes = [name for name, found in vars(tconv.errors).items() if isinstance(found, type)]
    assert sorted(tconv.errors.__all__) == sorted(classes)


def test_a_layer_without_a_further_import() -> None:
    assert python("import tconv; print(tconv.nn.ConvTranspose2d(1, 2, 3).weight.shape)") == "torch.Size([1, 2, 3, 3])"


def test_dir_loads_nothing_and_names_what_there_is() -> None:
    listed = python("import sys, tconv; print(*dir(tconv)); assert not {'torch', 'scipy'} & set(sys.modules)").split()
    assert listed == sorted(listed) and {*tconv.__all__, *MODULES, "__version__"} <= set(listed)


@pytest.mark.parametrize(
    ("name", "missing", "message", "extra"),
    [
        ("nn", "torch", "tconv.nn needs torch", "torch"),
        ("linear", "scipy", "tconv.linear needs scipy", "explain"),
        ("operator", "scipy", "tconv.operator needs scipy", "explain"),
        ("images", "pyvips", "pictures need pyvips", "images"),
        ("insight", "torch", "tconv.insight needs torch", "segmentation"),
        ("onnx", "onnx", "tconv.onnx needs onnx", "onnx"),
        ("segmentation", "torch", "tconv.segmentation needs torch", "segmentation"),
        ("jax", "jax", "tconv.jax needs jax", "jax"),
        ("jax.nn", "flax", "tconv.jax.nn needs flax", "flax"),
        ("jax.nnx", "flax", "tconv.jax.nnx needs flax", "flax"),
        ("keras", "keras", "tconv.keras needs keras", "keras"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(name: str, missing: str, message: str, extra: Extra) -> None:
    code = f"""if True:
        import sys
        import tconv
        sys.modules[{missing!r}] = None
        try:
            tconv.{name}
        except ImportError as error:
            print(error)
        """
    assert python(code) == f"{message}: {cure(extra)}"


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"^module 'tconv' has no attribute 'deconv'$"):
        _ = tconv.deconv
    assert not hasattr(tconv, "torch")


def test_keras_without_the_backend_that_it_would_take() -> None:
    code = """if True:
        import os, sys
        os.environ["KERAS_BACKEND"] = "tensorflow"
        sys.modules["tensorflow"] = None
        import tconv
        try:
            tconv.keras
        except ImportError as error:
            print(error)
        """
    assert python(code) == (
        "Keras would run on TensorFlow, which is missing, and which tconv does not reach; set KERAS_BACKEND=torch or "
        "KERAS_BACKEND=jax before Keras is imported"
    )
