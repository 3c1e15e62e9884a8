"""The operator as a primitive of JAX: how it is lowered, batched and differentiated.

It is linear in each of its arrays, which is all that JAX needs to differentiate it forwards, backwards and twice.
"""

from __future__ import annotations

from functools import partial
from os import environ
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from tconv import native
from tconv.jax.gradients import input_gradient, weight_gradient
from tconv.jax.setting import Setting
from tconv.native import _core

NAME = "tconv_conv_transpose"

conv_transpose_p = Primitive(NAME)


@partial(jax.jit, static_argnames="setting")
def _compiled(lhs: Any, rhs: Any, setting: Setting) -> Any:
    return conv_transpose_p.bind(lhs, rhs, setting=setting)


def _called(lhs: Any, rhs: Any, *, setting: Setting) -> Any:
    return _compiled(lhs, rhs, setting=setting)


def _shaped(lhs: Any, rhs: Any, *, setting: Setting) -> Any:
    return jax.core.ShapedArray(setting.result_shape(lhs.shape, rhs.shape), lhs.dtype)


def _lowered_for_cpu(context: Any, lhs: Any, rhs: Any, *, setting: Setting) -> Any:
    """A call of the core's function, with the numbers that cpp/xla.hpp names."""
    shapes = [array.shape for array in context.avals_in]
    numbers = [setting.groups, int(setting.mirrored), *setting.lhs, *setting.rhs, *setting.out]
    for axis in setting.geometry(shapes[1]).axes:
        numbers += [axis.stride, axis.dilation, axis.crop_lo]
    # The best backend is chosen where and when the program runs; only one that was asked for is written into it.
    backend = native.active() if environ.get("TCONV_BACKEND") else ""
    lower = jax.ffi.ffi_lowering(NAME)
    return lower(context, lhs, rhs, backend=backend, layer=np.array(numbers, np.int64))


def _by_lax(lhs: Any, rhs: Any, *, setting: Setting) -> Any:
    return setting.lax(lhs, rhs)


def _batched(arrays: Any, axes: Any, *, setting: Setting) -> Any:
    """`jax.vmap`: more images, more outputs of each image, or, over both arrays, groups of channels."""
    (lhs, rhs), (left, right) = arrays, axes
    groups, batch = setting.groups, setting.lhs[0]
    if right is None:
        count = lhs.shape[left]
        result = conv_transpose_p.bind(_merged(lhs, left, batch), rhs, setting=setting)
        return _split(result, setting.out[0], count), setting.out[0]
    count, outputs, channels = rhs.shape[right], setting.rhs[0], setting.out[1]
    if left is None:
        grouped = _split(jnp.moveaxis(rhs, right, 0), outputs + 1, groups)  # (count, ..., groups, outputs of one, ...)
        many = _joined(_merged(grouped, 0, outputs + 1), outputs)
        result = _split(conv_transpose_p.bind(lhs, many, setting=setting), channels, groups)
        parts = _split(result, channels + 1, count)
        return _joined(jnp.moveaxis(parts, channels + 1, 0), channels + 1), 0
    merged = _merged(lhs, left, setting.lhs[1]), _merged(rhs, right, outputs)
    result = conv_transpose_p.bind(*merged, setting=setting._replace(groups=count * groups))
    return _split(result, channels, count), channels


def _merged(array: Any, new: int, at: int) -> Any:
    """Axis `new` within axis `at` of the array without it, as its slower part."""
    return _joined(jnp.moveaxis(array, new, at), at)


def _joined(array: Any, at: int) -> Any:
    """Axes `at` and `at + 1` as one."""
    shape = array.shape
    return array.reshape(*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])


def _split(array: Any, at: int, count: int) -> Any:
    """Axis `at` as two, the slower one of `count`."""
    shape = array.shape
    return array.reshape(*shape[:at], count, shape[at] // count, *shape[at + 1 :])


conv_transpose_p.def_impl(_called)
conv_transpose_p.def_abstract_eval(_shaped)
jax.ffi.register_ffi_target(NAME, _core.xla_conv_transpose(), platform="cpu")
mlir.register_lowering(conv_transpose_p, _lowered_for_cpu, platform="cpu")
mlir.register_lowering(conv_transpose_p, mlir.lower_fun(_by_lax, multiple_results=False))
ad.defbilinear(conv_transpose_p, input_gradient, weight_gradient)
batching.primitive_batchers[conv_transpose_p] = _batched
