"""The code panel: what it says can be pasted and run, and computes the layer that is shown."""

from __future__ import annotations

import ast
import importlib
from typing import Any

import numpy as np
import pytest
from explorer.browser.test_numbers import drawn, layers
from explorer.browser.viewer import Viewer

from tconv import errors
from tconv.dialects import from_keras, to_keras
from tconv.explorer import Trace

CODE = "document.querySelector('#code pre').textContent"


def code(viewer: Viewer, framework: str) -> str:
    viewer.click(f"code-{framework}")
    return viewer.page.locator("#code pre").inner_text()


@pytest.mark.parametrize("framework", ["PyTorch", "JAX", "ONNX"])
def test_it_runs_and_computes_the_same(viewer: Viewer, framework: str) -> None:
    importlib.import_module({"PyTorch": "torch", "JAX": "jax", "ONNX": "onnxruntime"}[framework])

    several = [each for each in drawn(layers(100), 15) if each[1].size <= 200 and each[0].x.size <= 200]  # written out
    assert len(several) > 10
    viewer.click(f"code-{framework}")
    for (seen, _), (_, text) in zip(several, viewer.visits(several, CODE), strict=True):
        axes = seen.geometry.axes
        if framework == "ONNX" and any(-a.crop_hi >= a.stride and -a.crop_hi < a.dilation for a in axes):
            continue  # the specification allows such an output_padding, onnxruntime does not
        found: dict[str, Any] = {}
        exec(text, found)
        np.testing.assert_allclose(np.asarray(found["y"])[0], seen.y, atol=1e-4)


def test_keras_says_the_same_geometry(viewer: Viewer) -> None:
    several = drawn(layers(100), 25)
    viewer.click("code-Keras")
    for (seen, _), (_, text) in zip(several, viewer.visits(several, CODE), strict=True):
        check_keras(seen, text)


def check_keras(seen: Trace, text: str) -> None:
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
