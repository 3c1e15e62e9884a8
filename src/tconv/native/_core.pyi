"""tconv's compiled core; use it through tconv.native."""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


class LayerF32:
    """Weights packed for one backend; `run` computes any input size."""

    def __init__(self, weight: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], bias: object | None, axes: Sequence[tuple[int, int, int, int]], groups: int, activation: str, slope: float, backend: str, keeps: bool = True, winograd: bool = False) -> None: ...

    def run(self, x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], y: Annotated[NDArray[numpy.float32], dict(device='cpu')], source: object | None = None, threads: int = 0, team: bool = False) -> None:
        """
        Write the output of `x` (batch, channels, *in) into `y` (batch, channels, *out), both strided as they come. Where a layer that keeps no weights needs them, `source()` is (weight, bias). At most `threads` threads, 0: as set; with `team`, those of `join_team`.
        """

    def result(self, x: object, shape: Sequence[int], last: bool, source: object | None = None, threads: int = 0, team: bool = False) -> object:
        """
        The output of `x` (batch, channels, *in) as a new array of that shape, channels-last in memory if `x` is or with `last`, else C-contiguous; both DLPack capsules. The rest as `run`.
        """

    @property
    def numbers(self) -> tuple[object, object]:
        """
        (weight, bias) as the layer keeps them, read-only; None for a weight that it does not keep. Of half precision, the weight is the bits of its numbers, and the bias is of float32.
        """

    def account(self, x_shape: Sequence[int], x_strides: Sequence[int], y_shape: Sequence[int], y_strides: Sequence[int]) -> tuple[str, int]:
        """
        (way of computing, bytes that each thread needs beside output and weights) for such arrays; strides count elements.
        """

class LayerF64:
    """Weights packed for one backend; `run` computes any input size."""

    def __init__(self, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], bias: object | None, axes: Sequence[tuple[int, int, int, int]], groups: int, activation: str, slope: float, backend: str, keeps: bool = True, winograd: bool = False) -> None: ...

    def run(self, x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], y: Annotated[NDArray[numpy.float64], dict(device='cpu')], source: object | None = None, threads: int = 0, team: bool = False) -> None:
        """
        Write the output of `x` (batch, channels, *in) into `y` (batch, channels, *out), both strided as they come. Where a layer that keeps no weights needs them, `source()` is (weight, bias). At most `threads` threads, 0: as set; with `team`, those of `join_team`.
        """

    def result(self, x: object, shape: Sequence[int], last: bool, source: object | None = None, threads: int = 0, team: bool = False) -> object:
        """
        The output of `x` (batch, channels, *in) as a new array of that shape, channels-last in memory if `x` is or with `last`, else C-contiguous; both DLPack capsules. The rest as `run`.
        """

    @property
    def numbers(self) -> tuple[object, object]:
        """
        (weight, bias) as the layer keeps them, read-only; None for a weight that it does not keep. Of half precision, the weight is the bits of its numbers, and the bias is of float32.
        """

    def account(self, x_shape: Sequence[int], x_strides: Sequence[int], y_shape: Sequence[int], y_strides: Sequence[int]) -> tuple[str, int]:
        """
        (way of computing, bytes that each thread needs beside output and weights) for such arrays; strides count elements.
        """

class LayerBF16:
    """Weights packed for one backend; `run` computes any input size."""

    def __init__(self, weight: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], bias: object | None, axes: Sequence[tuple[int, int, int, int]], groups: int, activation: str, slope: float, backend: str, keeps: bool = True, winograd: bool = False) -> None: ...

    def run(self, x: Annotated[NDArray[numpy.uint16], dict(device='cpu', writable=False)], y: Annotated[NDArray[numpy.uint16], dict(device='cpu')], source: object | None = None, threads: int = 0, team: bool = False) -> None:
        """
        Write the output of `x` (batch, channels, *in) into `y` (batch, channels, *out), both strided as they come. Where a layer that keeps no weights needs them, `source()` is (weight, bias). At most `threads` threads, 0: as set; with `team`, those of `join_team`.
        """

    def result(self, x: object, shape: Sequence[int], last: bool, source: object | None = None, threads: int = 0, team: bool = False) -> object:
        """
        The output of `x` (batch, channels, *in) as a new array of that shape, channels-last in memory if `x` is or with `last`, else C-contiguous; both DLPack capsules. The rest as `run`.
        """

    @property
    def numbers(self) -> tuple[object, object]:
        """
        (weight, bias) as the layer keeps them, read-only; None for a weight that it does not keep. Of half precision, the weight is the bits of its numbers, and the bias is of float32.
        """

    def account(self, x_shape: Sequence[int], x_strides: Sequence[int], y_shape: Sequence[int], y_strides: Sequence[int]) -> tuple[str, int]:
        """
        (way of computing, bytes that each thread needs beside output and weights) for such arrays; strides count elements.
        """

class LayerF16:
    """Weights packed for one backend; `run` computes any input size."""

    def __init__(self, weight: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], bias: object | None, axes: Sequence[tuple[int, int, int, int]], groups: int, activation: str, slope: float, backend: str, keeps: bool = True, winograd: bool = False) -> None: ...

    def run(self, x: Annotated[NDArray[numpy.uint16], dict(device='cpu', writable=False)], y: Annotated[NDArray[numpy.uint16], dict(device='cpu')], source: object | None = None, threads: int = 0, team: bool = False) -> None:
        """
        Write the output of `x` (batch, channels, *in) into `y` (batch, channels, *out), both strided as they come. Where a layer that keeps no weights needs them, `source()` is (weight, bias). At most `threads` threads, 0: as set; with `team`, those of `join_team`.
        """

    def result(self, x: object, shape: Sequence[int], last: bool, source: object | None = None, threads: int = 0, team: bool = False) -> object:
        """
        The output of `x` (batch, channels, *in) as a new array of that shape, channels-last in memory if `x` is or with `last`, else C-contiguous; both DLPack capsules. The rest as `run`.
        """

    @property
    def numbers(self) -> tuple[object, object]:
        """
        (weight, bias) as the layer keeps them, read-only; None for a weight that it does not keep. Of half precision, the weight is the bits of its numbers, and the bias is of float32.
        """

    def account(self, x_shape: Sequence[int], x_strides: Sequence[int], y_shape: Sequence[int], y_strides: Sequence[int]) -> tuple[str, int]:
        """
        (way of computing, bytes that each thread needs beside output and weights) for such arrays; strides count elements.
        """

def group_norm_f32(x: object, weight: object | None, bias: object | None, groups: int, eps: float, activation: str, slope: float, backend: str, numpy: bool = False, threads: int = 0, team: bool = False) -> object:
    """
    The group norm of `x` (batch, channels, *size), then the activation, as a new array that lies in memory as `x` does: a DLPack capsule, or a NumPy array. The others may be either; of half precision, they are of float32.
    """

def group_norm_f64(x: object, weight: object | None, bias: object | None, groups: int, eps: float, activation: str, slope: float, backend: str, numpy: bool = False, threads: int = 0, team: bool = False) -> object:
    """
    The group norm of `x` (batch, channels, *size), then the activation, as a new array that lies in memory as `x` does: a DLPack capsule, or a NumPy array. The others may be either; of half precision, they are of float32.
    """

def group_norm_bf16(x: object, weight: object | None, bias: object | None, groups: int, eps: float, activation: str, slope: float, backend: str, numpy: bool = False, threads: int = 0, team: bool = False) -> object:
    """
    The group norm of `x` (batch, channels, *size), then the activation, as a new array that lies in memory as `x` does: a DLPack capsule, or a NumPy array. The others may be either; of half precision, they are of float32.
    """

def group_norm_f16(x: object, weight: object | None, bias: object | None, groups: int, eps: float, activation: str, slope: float, backend: str, numpy: bool = False, threads: int = 0, team: bool = False) -> object:
    """
    The group norm of `x` (batch, channels, *size), then the activation, as a new array that lies in memory as `x` does: a DLPack capsule, or a NumPy array. The others may be either; of half precision, they are of float32.
    """

class CodesF32:
    """
    Sparse codes of some images, and what they leave of them; for one thread at a time.
    """

    def __init__(self, images: int, channels: int, kernels: int, kernel: Sequence[int], stride: Sequence[int], places: Sequence[int], backend: str) -> None: ...

    @property
    def height(self) -> int:
        """Rows of places of a stripe: `screen` takes whole stripes."""

    @property
    def lags(self) -> list[int]:
        """Distances per axis at which two atoms meet."""

    @property
    def residual(self) -> NDArray[numpy.float32]:
        """
        (images, channels, *canvas), writable: weights times what the codes leave.
        """

    @property
    def weights(self) -> NDArray[numpy.float32]:
        """(images, channels, *canvas), writable: how much each cell counts."""

    def set(self, kernels: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], plain: Sequence[int]) -> None:
        """
        Take kernels (kernels, channels, *kernel); values and residual stay. `plain`: low and high of each axis of a box in which all weights are 1.
        """

    def screen(self, image: int, first: int, responses: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], threshold: float, positive: bool) -> float:
        """
        Keep the atoms of these rows that are not zero, add those whose response is above the threshold; the largest response. `responses` is (kernels, rows, *places) from row `first` on.
        """

    def descend(self, alpha: float, positive: bool, again: int) -> float:
        """
        Bring each atom to its best value, and those that are not zero `again` times more; how much less the objective is.
        """

    def subtract(self) -> None:
        """Subtract weights times what the codes say from the residual."""

    def correlate(self, sums: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], first: int = 0) -> None:
        """
        Write the sums of value times residual, per tap, of the kernels first.. into `sums` (kernels, channels, *kernel).
        """

    def move(self, kernel: int, change: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)]) -> None:
        """Add to one kernel, and bring the residual up to date."""

    def overlaps(self, sums: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> None:
        """Add sums of z[k, p] * z[j, p + lag] to sums[k, j, *lag]."""

    def read(self, dense: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)]) -> None:
        """Take the values of (images, kernels, *places); the residual stays."""

    def write(self, dense: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> None:
        """
        Write the values into (images, kernels, *places); what is zero is left as it is.
        """

    def clear(self) -> None: ...

    def norm(self) -> float: ...

    def count(self, all: bool) -> int:
        """Atoms in the lists, or those that are not zero."""

    def energy(self, kernel: int) -> float:
        """The sum of squares of a kernel's values."""

def proximal_f32(older: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], z: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], gradient: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], pace: float, threshold: float, momentum: float, positive: bool, backend: str) -> tuple[float, float]:
    """
    older = soft(y + pace*gradient, threshold) with y = z + momentum*(z - older), in one pass; (sum of |older|, sum of (older - z)^2).
    """

class CodesF64:
    """
    Sparse codes of some images, and what they leave of them; for one thread at a time.
    """

    def __init__(self, images: int, channels: int, kernels: int, kernel: Sequence[int], stride: Sequence[int], places: Sequence[int], backend: str) -> None: ...

    @property
    def height(self) -> int:
        """Rows of places of a stripe: `screen` takes whole stripes."""

    @property
    def lags(self) -> list[int]:
        """Distances per axis at which two atoms meet."""

    @property
    def residual(self) -> NDArray[numpy.float64]:
        """
        (images, channels, *canvas), writable: weights times what the codes leave.
        """

    @property
    def weights(self) -> NDArray[numpy.float64]:
        """(images, channels, *canvas), writable: how much each cell counts."""

    def set(self, kernels: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], plain: Sequence[int]) -> None:
        """
        Take kernels (kernels, channels, *kernel); values and residual stay. `plain`: low and high of each axis of a box in which all weights are 1.
        """

    def screen(self, image: int, first: int, responses: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], threshold: float, positive: bool) -> float:
        """
        Keep the atoms of these rows that are not zero, add those whose response is above the threshold; the largest response. `responses` is (kernels, rows, *places) from row `first` on.
        """

    def descend(self, alpha: float, positive: bool, again: int) -> float:
        """
        Bring each atom to its best value, and those that are not zero `again` times more; how much less the objective is.
        """

    def subtract(self) -> None:
        """Subtract weights times what the codes say from the residual."""

    def correlate(self, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], first: int = 0) -> None:
        """
        Write the sums of value times residual, per tap, of the kernels first.. into `sums` (kernels, channels, *kernel).
        """

    def move(self, kernel: int, change: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)]) -> None:
        """Add to one kernel, and bring the residual up to date."""

    def overlaps(self, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
        """Add sums of z[k, p] * z[j, p + lag] to sums[k, j, *lag]."""

    def read(self, dense: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)]) -> None:
        """Take the values of (images, kernels, *places); the residual stays."""

    def write(self, dense: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
        """
        Write the values into (images, kernels, *places); what is zero is left as it is.
        """

    def clear(self) -> None: ...

    def norm(self) -> float: ...

    def count(self, all: bool) -> int:
        """Atoms in the lists, or those that are not zero."""

    def energy(self, kernel: int) -> float:
        """The sum of squares of a kernel's values."""

def proximal_f64(older: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], z: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], gradient: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], pace: float, threshold: float, momentum: float, positive: bool, backend: str) -> tuple[float, float]:
    """
    older = soft(y + pace*gradient, threshold) with y = z + momentum*(z - older), in one pass; (sum of |older|, sum of (older - z)^2).
    """

def gradients_f32(x: object, weight: object, grad: object, axes: Sequence[tuple[int, int, int, int]], groups: int, of_input: bool, of_weight: bool, backend: str, threads: int = 0, team: bool = False) -> tuple[object | None, object | None]:
    """
    The gradients of the input `x` (batch, in, *in_size) and of `weight` (in, out/groups, *kernel), contiguous or channels-last, from that of the result, `grad` (batch, out, *out_size). They lie in memory as `x` and `weight` do. None for one that is not wanted, and for both where sizes are too large, or numbers that are not finite would meet zeros beyond the border. All are DLPack capsules. An axis is (kernel, stride, dilation, crop_lo).
    """

def gradients_f64(x: object, weight: object, grad: object, axes: Sequence[tuple[int, int, int, int]], groups: int, of_input: bool, of_weight: bool, backend: str, threads: int = 0, team: bool = False) -> tuple[object | None, object | None]:
    """
    The gradients of the input `x` (batch, in, *in_size) and of `weight` (in, out/groups, *kernel), contiguous or channels-last, from that of the result, `grad` (batch, out, *out_size). They lie in memory as `x` and `weight` do. None for one that is not wanted, and for both where sizes are too large, or numbers that are not finite would meet zeros beyond the border. All are DLPack capsules. An axis is (kernel, stride, dilation, crop_lo).
    """

class Stamps:
    """
    What some tensors of PyTorch, on the CPU and without lazy negation, were.
    """

    def __init__(self, tensors: Sequence[object | None], to_dlpack: object) -> None:
        """`to_dlpack` makes a DLPack capsule of a tensor."""

    def fit(self, tensors: tuple[object, ...], all: bool = False) -> bool:
        """
        Whether they still are that: the same versions, places, types, shapes, strides, and some 60 spread values; with `all`, all values, by checksums.
        """

def backends() -> list[tuple[str, str, bool]]:
    """(name, description, supported) of every backend, best first."""

def cpu_features() -> list[str]:
    """The instruction sets of this CPU that matter here."""

def lent(bytes: int) -> object:
    """
    Memory that is used again when the last array in it is gone, as a DLPack capsule.
    """

def free_memory() -> int: ...

def xla_conv_transpose() -> object:
    """The address of the operator, for jax.ffi.register_ffi_target."""

def second_cache_bytes() -> int:
    """Of the second-level cache; 0: the system does not tell."""

def assume_second_cache(bytes: int) -> None:
    """
    Divide the work of new layers as if it were so large; 0: as the system tells.
    """

def num_threads() -> int: ...

def set_num_threads(count: int) -> None: ...

def join_team(parallel: int, thread_number: int) -> None: ...
