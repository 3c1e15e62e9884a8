"""The ways to run a model. Each takes an entry, its model and its example, and returns a run."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import calling
import torch
from precision import is_half
from torch import nn
from zoo import Entry, Example

import tconv.nn

SECONDS = 15.0  # of measuring, for what is made of an ONNX file

Run: TypeAlias = Callable[[], Any]
Way: TypeAlias = Callable[[Entry, nn.Module, Example], Run]


def eager(entry: Entry, model: nn.Module, example: Example) -> Run:
    return calling.runner(entry, calling.called(entry, model), example)


def channels_last(entry: Entry, model: nn.Module, example: Example) -> Run:
    return eager(entry, model, calling.channels_last(model, example))


def compiled(entry: Entry, model: nn.Module, example: Example) -> Run:
    """Inductor, with the weights as constants. Nothing is taken from an earlier run, so that its seconds are true."""
    torch._inductor.config.freezing = True
    torch._inductor.config.fallback_random = True
    torch._inductor.config.force_disable_caches = True
    return calling.runner(entry, torch.compile(calling.called(entry, model)), example)


def onnx_bytes(flat: calling.Flat) -> bytes:
    """By the exporter that traces; where that fails, by the one that captures."""
    buffer = io.BytesIO()
    names = [f"x{n}" for n in range(len(flat.inputs))]
    try:
        torch.onnx.export(flat, flat.inputs, buffer, dynamo=False, opset_version=17, input_names=names)
    except Exception:
        buffer = io.BytesIO()
        torch.onnx.export(flat, flat.inputs, buffer, dynamo=True, input_names=names)
    return buffer.getvalue()


def onnx_runtime(entry: Entry, model: nn.Module, example: Example) -> Run:
    flat = calling.Flat(entry, model, example).eval()
    return in_session(onnx_bytes(flat), flat)


def in_session(content: bytes, flat: calling.Flat) -> Run:
    """A model in ONNX Runtime, with NumPy arrays that are made into tensors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options)
    feed = arrays(flat, [node.name for node in session.get_inputs()])
    return lambda: [torch.from_numpy(y) for y in session.run(None, feed)]


def arrays(flat: calling.Flat, wanted: Sequence[str]) -> dict[str, Any]:
    """The example's tensors as arrays by the names of the exported inputs, of which those are left that are read."""
    return {f"x{n}": x.numpy() for n, x in enumerate(flat.inputs) if f"x{n}" in wanted}


def onnx_optimized(entry: Entry, model: nn.Module, example: Example) -> Run:
    """The file that tconv.onnx makes for ONNX Runtime."""
    import tconv.onnx

    flat = calling.Flat(entry, model, example).eval()
    content = onnx_bytes(flat)
    names = [port.name for port in tconv.onnx.load(content, accelerate=False).inputs]
    feed, threads = arrays(flat, names), torch.get_num_threads()
    faster, report = tconv.onnx.optimization(content, feed, threads=threads, seconds=SECONDS)
    print(report)
    return in_session(faster.SerializeToString(), flat)


def onnx_loaded(entry: Entry, model: nn.Module, example: Example) -> Run:
    """The file as a module on the engine, called with NumPy arrays."""
    import tconv.onnx

    flat = calling.Flat(entry, model, example).eval()
    content = onnx_bytes(flat)
    names = [port.name for port in tconv.onnx.load(content, accelerate=False).inputs]
    feed = arrays(flat, names)
    loaded = tconv.onnx.load(content, example=feed, seconds=SECONDS)
    print(tconv.nn.report(loaded))

    def run() -> Any:
        found = loaded(**feed)
        return [torch.from_numpy(y) for y in (found if isinstance(found, tuple) else (found,))]

    return run


def openvino(entry: Entry, model: nn.Module, example: Example) -> Run:
    """From ONNX; where that fails, from PyTorch. Half precision is its own affair: it is given float32."""
    import openvino as ov

    half = is_half(model)
    example = calling.single(model, example)
    flat = calling.Flat(entry, model, example).eval()
    core = ov.Core()
    config = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "bf16" if half else "f32"}
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(onnx_bytes(flat))
            program = core.compile_model(path, "CPU", config)
        feed: Any = {f"x{n}": x.numpy() for n, x in enumerate(flat.inputs)}
        feed = {port.any_name: feed[port.any_name] for port in program.inputs}
    except Exception:
        shapes = [list(x.shape) for x in flat.inputs]
        program = core.compile_model(ov.convert_model(flat, example_input=flat.inputs, input=shapes), "CPU", config)
        feed = [x.numpy() for x in flat.inputs]
    return lambda: [torch.from_numpy(y) for y in program(feed).to_tuple()]


def swapped(entry: Entry, model: nn.Module, example: Example) -> Run:
    """tconv's layers in the places of PyTorch's, and nothing else."""
    tconv.nn.accelerate(model, mode="training")
    return eager(entry, model, example)


def folded(entry: Entry, model: nn.Module, example: Example) -> Run:
    """Everything folded that folds, faster or not."""
    tconv.nn.accelerate(model)
    return eager(entry, model, example)


def accelerated(entry: Entry, model: nn.Module, example: Example, winograd: bool = True) -> Run:
    method: dict[str, Any] = {"method": entry.method} if entry.method else {}
    tconv.nn.accelerate(model, example, winograd=winograd, **method)
    return eager(entry, model, example)


CONTENDERS: dict[str, Way] = {
    "torch": eager,
    "torch_cl": channels_last,
    "compile": compiled,
    "onnxruntime": onnx_runtime,
    "onnx_optimized": onnx_optimized,
    "onnx_loaded": onnx_loaded,
    "openvino": openvino,
    "swapped": swapped,
    "folded": folded,
    "tconv_direct": partial(accelerated, winograd=False),
    "tconv": accelerated,
}
