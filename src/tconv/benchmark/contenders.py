"""The contenders: one function each, which prepares a layer once and then binds inputs to it without copies.

A bound input is a pair: `run()` computes the layer once, and `view` of its result is (batch, out_channels, *size).
All compute in float32 with the given number of threads. A contender takes and gives its arrays channels-first
or channels-last, as it would run in a model of its own, and is only compared with contenders of the same layout.
Packages are imported by name here, so that the type checker does not depend on which of them are installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np

from tconv import native
from tconv.arrays import Array
from tconv.benchmark.suite import Case
from tconv.layer import prepare
from tconv.signature import new

Bound: TypeAlias = tuple[Callable[[], Any], Callable[[Any], Array]]
Bind: TypeAlias = Callable[[Array], Bound]


@dataclass(frozen=True)
class Task:
    """What a contender prepares: a layer, for its input size only (`fixed`) or for any; with so many threads."""

    case: Case
    weight: Array
    bias: Array
    threads: int
    fixed: bool = True


def tconv_cf(task: Task) -> Bind:
    """`tconv.prepare`, called with `out`."""
    return _tconv(task, lambda array: array)


def tconv_cl(task: Task) -> Bind:
    """`tconv.prepare`, called with `out`; both arrays channels-last in memory."""
    return _tconv(task, _channels_last)


def _tconv(task: Task, place: Callable[[Array], Array]) -> Bind:
    native.set_num_threads(task.threads)
    layer = prepare(task.weight, task.bias, task.case.geometry, task.case.groups)

    def bind(x: Array) -> Bound:
        x, out = place(x), place(_result(task, x))
        return lambda: layer(x, out), lambda y: y

    return bind


def torch(task: Task) -> Bind:
    """`torch.nn.functional.conv_transpose*`, contiguous."""
    return _torch(task, task.case.ndim, "contiguous_format")


def torch_cl(task: Task) -> Bind:
    """`torch.nn.functional.conv_transpose*`, channels_last; 1-D as 2-D of height 1, which is how PyTorch can do it."""
    return _torch(task, max(task.case.ndim, 2), "channels_last" if task.case.ndim < 3 else "channels_last_3d")


def _torch(task: Task, ndim: int, layout: str) -> Bind:
    """No tensor requires a gradient, so none is recorded; entering inference_mode in each call would only cost time."""
    torch, case, extra = import_module("torch"), task.case, ndim - task.case.ndim
    torch.set_num_threads(task.threads)
    conv = getattr(torch.nn.functional, f"conv_transpose{ndim}d")

    def tensor(array: Array) -> Any:
        array = array.reshape(*array.shape[:2], *(1,) * extra, *array.shape[2:])
        return torch.from_numpy(array).contiguous(memory_format=getattr(torch, layout))

    def each(value: int, on_extra: int) -> tuple[int, ...]:
        return (on_extra,) * extra + (value,) * case.ndim

    weight, bias = tensor(task.weight), torch.from_numpy(task.bias)
    stride, padding, dilation = each(case.stride, 1), each(case.padding, 0), each(case.dilation, 1)
    output_padding = each(case.output_padding, 0)

    def bind(x: Array) -> Bound:
        a = tensor(x)

        def run() -> Any:
            return conv(a, weight, bias, stride, padding, output_padding, case.groups, dilation)

        return run, lambda y: y.reshape(case.result_shape(x.shape[2:])).numpy()

    return bind


def onnxruntime(task: Task) -> Bind:
    """A model of one ConvTranspose node; input and output bound by IOBinding."""
    ort = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = task.threads, 1, 3
    session = ort.InferenceSession(_onnx_model(task), options, providers=["CPUExecutionProvider"])

    def bind(x: Array) -> Bound:
        binding, out = session.io_binding(), _result(task, x)
        ends = ort.OrtValue.ortvalue_from_numpy(x), ort.OrtValue.ortvalue_from_numpy(out)
        binding.bind_ortvalue_input("x", ends[0])
        binding.bind_ortvalue_output("y", ends[1])

        def run() -> Any:
            session.run_with_iobinding(binding)
            return ends  # named here, they live as long as the binding, which does not hold their memory

        return run, lambda ends: np.asarray(ends[1].numpy())

    return bind


def _onnx_model(task: Task) -> bytes:
    case, helper, from_array = task.case, import_module("onnx.helper"), import_module("onnx.numpy_helper").from_array
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w", "b"],
        ["y"],
        strides=[case.stride] * case.ndim,
        pads=[case.padding] * case.ndim * 2,
        output_padding=[case.output_padding] * case.ndim,
        dilations=[case.dilation] * case.ndim,
        group=case.groups,
    )
    size: list[int | None] = list(case.in_size) if task.fixed else [None] * case.ndim
    x = helper.make_tensor_value_info("x", 1, [case.batch, case.in_channels, *size])
    y = helper.make_tensor_value_info("y", 1, [case.batch, case.out_channels, *[None] * case.ndim])
    constants = [from_array(task.weight, "w"), from_array(task.bias, "b")]
    graph = helper.make_graph([node], "layer", [x], [y], constants)
    model: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return model


def openvino(task: Task) -> Bind:
    """A compiled model of ConvolutionBackpropData and bias, f32, latency hint; both tensors share our memory."""
    ov = import_module("openvino")
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    compiled = ov.Core().compile_model(_ov_model(task), "CPU", hints | {"INFERENCE_NUM_THREADS": task.threads})
    only = None if task.fixed else compiled.create_infer_request()

    def bind(x: Array) -> Bound:
        request = only or compiled.create_infer_request()  # one per caller; changing sizes go through one
        out = _result(task, x)
        ends = ov.Tensor(x, shared_memory=True), ov.Tensor(out, shared_memory=True)
        request.set_input_tensor(0, ends[0])
        request.set_output_tensor(0, ends[1])

        def run() -> Any:
            request.infer(share_outputs=True)
            return ends  # named here, they live as long as the request, which does not hold their memory

        return run, lambda ends: np.asarray(ends[1].data)

    return bind


def _ov_model(task: Task) -> Any:
    ov, ops, case = import_module("openvino"), import_module("openvino.opset15"), task.case
    size = case.in_size if task.fixed else (-1,) * case.ndim
    x = ops.parameter(ov.PartialShape([case.batch, case.in_channels, *size]), np.float32)
    return ov.Model([openvino_layer(ops, case, x, task.weight, task.bias)], [x], "layer")


def openvino_layer(ops: Any, case: Case, x: Any, weight: Array, bias: Array) -> Any:
    """The layer with its bias as nodes of OpenVINO, whose operators `ops` are, behind the node `x`."""
    deconvolve = ops.convolution_backprop_data
    if case.groups > 1:
        weight = weight.reshape(case.groups, -1, *weight.shape[1:])
        deconvolve = ops.group_convolution_backprop_data
    padding = [case.padding] * case.ndim
    y = deconvolve(
        x,
        ops.constant(weight),
        strides=[case.stride] * case.ndim,
        pads_begin=padding,
        pads_end=padding,
        dilations=[case.dilation] * case.ndim,
        output_padding=[case.output_padding] * case.ndim,
    )
    return ops.add(y, ops.constant(bias.reshape(1, -1, *(1,) * case.ndim)))


def jax(task: Task) -> Bind:
    """A jitted `lax.conv_general_dilated` with dilated input and turned kernel, channels-last as in Flax."""
    jax, case = import_module("jax"), task.case
    weight, bias = jax.numpy.asarray(_turned(task)), jax.numpy.asarray(task.bias)
    letters = "DHW"[3 - case.ndim :]
    convolve = partial(
        jax.lax.conv_general_dilated,
        window_strides=(1,) * case.ndim,
        padding=[(a.extent - 1 - a.crop_lo, a.extent - 1 - a.crop_hi) for a in case.geometry.axes],
        lhs_dilation=(case.stride,) * case.ndim,
        rhs_dilation=(case.dilation,) * case.ndim,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=case.groups,
        precision="highest",
    )
    layer = jax.jit(lambda x, weight, bias: convolve(x, weight) + bias)

    def bind(x: Array) -> Bound:
        a = jax.numpy.asarray(np.moveaxis(x, 1, -1))
        return lambda: layer(a, weight, bias).block_until_ready(), lambda y: np.moveaxis(np.asarray(y), -1, 1)

    return bind


def _turned(task: Task) -> Array:
    """The weight of the matching forward convolution, (*kernel, in_channels/groups, out_channels)."""
    kernel = task.weight.shape[2:]
    grouped = task.weight.reshape(task.case.groups, -1, *task.weight.shape[1:])  # groups, in, out, *kernel
    turned = np.flip(grouped, tuple(range(3, grouped.ndim)))
    return np.moveaxis(turned, (1, 0, 2), (-3, -2, -1)).reshape(*kernel, -1, task.case.out_channels)


def _result(task: Task, x: Array) -> Array:
    """Memory for the result, which begins a cache line if it is large, as the memory that contenders allocate does."""
    return new(task.case.result_shape(x.shape[2:]), np.dtype(np.float32))


def _channels_last(array: Array) -> Array:
    """The same values, channels-last in memory."""
    last = new((array.shape[0], *array.shape[2:], array.shape[1]), array.dtype)
    last[:] = np.moveaxis(array, 1, -1)
    return np.moveaxis(last, -1, 1)


CONTENDERS = (tconv_cf, tconv_cl, torch, torch_cl, onnxruntime, openvino, jax)
PREPARE = {contender.__name__: contender for contender in CONTENDERS}
OWN = ("tconv_cf", "tconv_cl")
PEERS = tuple(name for name in PREPARE if name not in OWN)
CHANNELS_LAST = ("tconv_cl", "torch_cl", "jax")
NEEDS = {
    "torch_cl": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    **{name: (name,) for name in ("torch", "openvino", "jax")},
}


def layout(name: str) -> str:
    """cf or cl: only contenders of one layout are compared."""
    return "cl" if name in CHANNELS_LAST else "cf"


def lacking(name: str) -> tuple[str, ...]:
    """The packages that a contender needs and that are not installed."""
    return tuple(package for package in NEEDS.get(name, ()) if find_spec(package) is None)
