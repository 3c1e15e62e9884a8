"""The code panel: what it says can be pasted and run, and computes the layer that is shown."""

from __future__ import annotations

import ast
import importlib
from typing import Any

import numpy as np
import pytest
from explorer.browser.test_numbers import SEARCH, layers
from explorer.browser.viewer import Viewer
from hypothesis import given, settings

from tconv import errors
from tconv.dialects import from_keras, to_keras
from tconv.explorer import Trace


def code(viewer: Viewer, framework: str) -> str:
    viewer.click(f"code-{framework}")
    return viewer.page.locator("#code pre").inner_text()


@pytest.mark.parametrize("framework", ["PyTorch", "JAX", "ONNX"])
def test_it_runs_and_computes_the_same(viewer: Viewer, framework: str) -> None:
    importlib.import_module({"PyTorch": "torch", "JAX": "jax", "ONNX": "onnxruntime"}[framework])

    @settings(SEARCH, max_examples=15)
    @given(layers(100))
    def check(layer: tuple[Trace, Any]) -> None:
        seen, weight = layer
        if weight.size > 200 or seen.x.size > 200:
            return  # too many to be written out
        viewer.show(seen, weight)
        axes = seen.geometry.axes
        if framework == "ONNX" and any(-a.crop_hi >= a.stride and -a.crop_hi < a.dilation for a in axes):
            return  # the specification allows such an output_padding, onnxruntime does not
        found: dict[str, Any] = {}
        exec(code(viewer, framework), found)
        np.testing.assert_allclose(np.asarray(found["y"])[0], seen.y, atol=1e-4)

    check()


@settings(SEARCH, max_examples=25)
@given(layers(100))
def test_keras_says_the_same_geometry(viewer: Viewer, layer: tuple[Trace, Any]) -> None:
    seen, weight = layer
    viewer.show(seen, weight)
    text = code(viewer, "Keras")
    if seen.groups > 1:
        assert "no groups" in text
        return
    try:
        to_keras(seen.geometry)
    except errors.DialectError as error:
        assert ("refuses strides" in text) == ("refuse strides" in str(error))
        assert "refuses strides" in text or "no padding of Keras's crops like this" in text or "keras.ops.pad" in text
        return
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    call = next(each for each in calls if isinstance(each.func, ast.Attribute) and "Transpose" in each.func.attr)
    given_ = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg != "use_bias"}
    filters, kernel = (ast.literal_eval(each) for each in call.args)
    assert filters == len(seen.y)
    assert from_keras(kernel, **given_) == seen.geometry


def test_copy(viewer: Viewer) -> None:
    viewer.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text = code(viewer, "JAX")
    viewer.click("copy-code")
    viewer.page.locator('[name="copy-code"]', has_text="copied").wait_for()
    assert viewer.page.evaluate("() => navigator.clipboard.readText()") == text


def test_large_arrays_are_drawn_at_random(viewer: Viewer) -> None:
    viewer.type("n0", 20)
    assert "x = torch.rand(1, 1, 20, 20)" in code(viewer, "PyTorch")
    assert "np.random.rand(1, 1, 20, 20).astype(np.float32)" in code(viewer, "ONNX")
