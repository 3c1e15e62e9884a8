"""The compiled core, with the contract of a form.

    run(geometry, x, weight, bias=None, groups=1) -> y        float32, float64, bfloat16 and float16

`group_norm` is what often follows a layer, with its activation. `backends()` lists the kernels of this machine, best
first; `active()` names the one that runs. TCONV_BACKEND=name in the environment forces one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias, cast

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array
from tconv.forms.contract import form
from tconv.geometry import Geometry
from tconv.geometry.arguments import integer
from tconv.native import _core

__all__ = [
    "active",
    "backends",
    "cpu_features",
    "free_memory",
    "group_norm",
    "instructions",
    "num_threads",
    "run",
    "second_cache",
    "set_num_threads",
]

Compiled: TypeAlias = _core.LayerF32 | _core.LayerF64 | _core.LayerBF16 | _core.LayerF16

# Where a call finds the weights of a layer that keeps none: (weight, bias), C-contiguous, of the core's dtype.
Source: TypeAlias = Callable[[], tuple[Array, Array | None]]

# With what a call computes: how many threads at most (0: `num_threads`), and whether they are those of `join_team`.
Workers: TypeAlias = tuple[int, bool]
OWN: Workers = (0, False)

# By the names of dtypes: NumPy has no bfloat16 of its own. Half precision is added up in float32 and rounded once.
LAYERS: dict[str, type[Compiled]] = {
    "float32": _core.LayerF32,
    "float64": _core.LayerF64,
    "bfloat16": _core.LayerBF16,
    "float16": _core.LayerF16,
}


def bits(array: Array) -> Array:
    """An array of a dtype in `LAYERS` as the core takes it: of half precision, the bits of its numbers."""
    return array.view(np.uint16) if array.itemsize == 2 else array


@lru_cache(maxsize=16)
def _layer_of(scalar: Any) -> Any:
    """The class for a dtype, by its scalar type: to ask a dtype for its name takes longer than a small layer."""
    return LAYERS[np.dtype(scalar).name]


def pack(
    geometry: Geometry,
    weight: Array,
    bias: Array | None = None,
    groups: int = 1,
    activation: str = "",
    slope: float = 0.01,
    keeps: bool = True,
    winograd: bool = False,
) -> Compiled:
    """Contiguous weights packed for the active backend.

    `pack(...).run(bits(x), bits(y))` takes strided x and y of their dtype. With `keeps`, the weight is copied; else
    each run is given a `Source` of the same numbers, the weight as `bits`. `winograd`: see `tconv.prepare`.
    """
    axes = [(axis.kernel, axis.stride, axis.dilation, axis.crop_lo) for axis in geometry.axes]
    if bias is not None and bias.itemsize == 2:
        bias = bias.astype(np.float32)
    scalar: Any = weight.dtype.type
    make = _layer_of(scalar)
    return cast("Compiled", make(bits(weight), bias, axes, groups, activation, slope, active(), keeps, winograd))


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    """The active backend, as a form."""
    batch, groups, channels_in, channels_out = (*x.shape[:3], w.shape[2])
    y = np.empty((batch, groups * channels_out, *geometry.output_size(x.shape[3:])), x.dtype)
    weight = w.reshape(groups * channels_in, *w.shape[2:])
    pack(geometry, np.ascontiguousarray(weight), groups=groups).run(
        bits(x.reshape(batch, groups * channels_in, *x.shape[3:])), bits(y)
    )
    return y


def group_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    groups: int = 1,
    eps: float = 1e-5,
    activation: str = "",
    slope: float = 0.01,
) -> Array:
    """activation((x - mean) / sqrt(variance + eps) * weight + bias), as torch.nn.functional.group_norm.

    Mean and variance (of all numbers, not of all but one) are those of a group's channels in one image; with as many
    groups as channels it is an instance norm. NaN and Inf make their whole group NaN.

    Args:
        x: (batch, channels, *size), float32 or float64. One that is dense neither in this order nor with the channels
            last is copied first.
        weight: (channels,) or None: 1.
        bias: (channels,) or None: 0.
        groups: a divisor of the channels.
        eps: added to the variance, not negative.
        activation: "" or one of relu, leaky_relu, tanh, sigmoid, gelu, silu, as in torch.nn.functional.
        slope: of leaky_relu.

    Returns:
        The shape and dtype of x, channels-last in memory if x is.

    Raises:
        DtypeError, RankError, ChannelError, BiasError: as their names say.
        TconvError: a negative eps.
        ValueError: an unknown activation.

    Source: Wu and He, "Group normalization", arXiv:1803.08494; Ulyanov et al., "Instance normalization",
    arXiv:1607.08022.

    >>> group_norm(np.array([[[1.0, 3.0], [5.0, 9.0]]]), groups=2, eps=0.0, activation="relu")
    array([[[0., 1.],
            [0., 1.]]])
    """
    x = as_array("x", x)
    if x.dtype.type not in (np.float32, np.float64):
        raise errors.DtypeError(f"x has dtype {x.dtype}; group_norm computes float32 and float64: pass x.astype(float)")
    if x.ndim < 2:
        raise errors.RankError(f"x has shape {x.shape}, without an axis of channels; make it (batch, channels, ...)")
    channels = x.shape[1]
    groups = integer("groups", groups)
    if groups < 1 or channels % groups:
        raise errors.ChannelError(
            f"{channels} channels do not fall into {groups} groups; choose a divisor of {channels}"
        )
    if not eps >= 0:
        raise errors.TconvError(f"eps {eps} must be at least 0: it keeps the square root away from 0")
    w, b = _per_channel("weight", weight, x), _per_channel("bias", bias, x)
    compute = _core.group_norm_f32 if x.dtype.type is np.float32 else _core.group_norm_f64
    return cast("Array", compute(_dense(x), w, b, groups, eps, activation, slope, active(), True))


def _per_channel(name: str, values: Array | None, x: Array) -> Array | None:
    if values is None:
        return None
    values = as_array(name, values)
    if values.shape != x.shape[1:2]:
        raise errors.BiasError(f"{name} has shape {values.shape}; it needs one value per channel: {x.shape[1:2]}")
    if values.dtype.newbyteorder("=") != x.dtype.newbyteorder("="):
        dtype = x.dtype.newbyteorder("=")
        raise errors.DtypeError(
            f"{name} has dtype {values.dtype} but x has {dtype}; pass {name}.astype({str(dtype)!r})"
        )
    return np.require(values, x.dtype.type, ("C", "A"))


def _dense(x: Array) -> Array:
    """The array as the core reads it: dense, channels first or last, aligned, in native byte order; or such a copy."""
    dense = x.flags.c_contiguous or np.moveaxis(x, 1, -1).flags.c_contiguous
    return np.require(x if dense else np.ascontiguousarray(x), x.dtype.type, ("A",))


def backends() -> tuple[str, ...]:
    """Names of the backends that this CPU supports, best first."""
    return tuple(name for name, _, supported in _core.backends() if supported)


def active() -> str:
    """The backend that runs: the best one, or the one that TCONV_BACKEND names."""
    return _chosen(os.environ.get("TCONV_BACKEND"))


def instructions() -> str:
    """What the backend that runs computes with, in words."""
    return next(description for name, description, _ in _core.backends() if name == active())


@lru_cache(maxsize=16)
def _chosen(name: str | None) -> str:
    supported = backends()
    if name and name not in supported:
        raise errors.TconvError(f"TCONV_BACKEND={name} is not available here; choose one of {', '.join(supported)}")
    return name or supported[0]


def cpu_features() -> tuple[str, ...]:
    """The instruction sets of this CPU that matter to the kernels."""
    return tuple(_core.cpu_features())


def second_cache() -> int:
    """Bytes of a CPU's second-level cache, by which the kernels divide their work; 0 if the system does not tell."""
    return _core.second_cache_bytes()


def num_threads() -> int:
    """Threads that one call may use: as set, else OMP_NUM_THREADS, else the CPUs that this process may run on.

    The environment and the CPUs are those of the moment when tconv was imported.
    """
    return _core.num_threads()


def set_num_threads(count: int) -> None:
    """Use at most `count` threads per call; 0 goes back to the default. Results do not depend on it."""
    if integer("threads", count) < 0:
        raise errors.TconvError(f"threads {count} must be at least 0 (0: the default)")
    _core.set_num_threads(min(count, 2**31 - 1))


def free_memory() -> int:
    """Give the memory that is kept for further large results (at most 512 MB) back to the system; how many bytes.

    The packed weights that are kept for calls from JAX go, too.
    """
    return _core.free_memory()


def join_team(parallel: int, thread_number: int) -> None:
    """Make the threads of an OpenMP library known, for calls whose `Workers` ask for them; others keep to tconv's own.

    `parallel` and `thread_number` are the addresses of its GOMP_parallel and omp_get_thread_num.
    """
    _core.join_team(parallel, thread_number)
