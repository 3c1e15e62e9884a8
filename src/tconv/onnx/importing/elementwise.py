"""Operators that treat all places alike: arithmetic, comparisons, activations, casts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.onnx.importing.operators import DTYPES, Attributes, Operator, Table


def div(a: Any, b: Any) -> Any:
    """Division; of whole numbers towards zero."""
    kinds = [x.is_floating_point() if isinstance(x, Tensor) else isinstance(x, float) for x in (a, b)]
    return operator.truediv(a, b) if any(kinds) else torch.div(a, b, rounding_mode="trunc")


def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder with the sign of `b`, or with `fmod` of `a`."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def power(a: Tensor, b: Any) -> Tensor:
    """`a` to the power of `b`, in the dtype of `a`."""
    if isinstance(b, int | float):
        return torch.pow(a, b).to(a.dtype) if a.is_floating_point() else torch.pow(a.double(), b).to(a.dtype)
    if a.is_floating_point() == b.is_floating_point():
        return torch.pow(a, b).to(a.dtype)
    return torch.pow(a.double(), b.double()).to(a.dtype)


def smallest(*tensors: Tensor) -> Tensor:
    """The minimum, place by place."""
    return reduce(torch.minimum, tensors)


def largest(*tensors: Tensor) -> Tensor:
    """The maximum, place by place."""
    return reduce(torch.maximum, tensors)


def total(*tensors: Tensor) -> Tensor:
    """The sum, place by place."""
    return reduce(operator.add, tensors)


def average(*tensors: Tensor) -> Tensor:
    """The mean, place by place."""
    return reduce(operator.add, tensors) / len(tensors)


def cast(x: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """In another dtype; fractions are cut off."""
    return x.to(DTYPES[to])


def cast_like(x: Tensor, like: Tensor, *, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """In the dtype of another tensor."""
    return x.to(like.dtype)


def _unknown_dtype(attributes: Attributes) -> str | None:
    return None if attributes.get("to") in DTYPES else f"to {attributes.get('to')}"


def clip(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    """At least `low`, at most `high`, which wins where they are the wrong way round."""
    if low is None and high is None:
        return x
    if not isinstance(low, Tensor) and not isinstance(high, Tensor):
        return torch.clamp(x, low, high)
    if low is not None:
        x = torch.maximum(x, torch.as_tensor(low, dtype=x.dtype))
    return x if high is None else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype))


def relu(x: Tensor) -> Tensor:
    """What is positive."""
    return torch.relu(x)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """`x`, or `alpha` times it where it is negative."""
    return F.leaky_relu(x, alpha)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """As leaky_relu, with slopes that are broadcast."""
    channels = x.shape[1] if x.dim() > 1 else 1
    by_channel = slope.dim() == x.dim() - 1 and slope.shape[0] == slope.numel() == channels
    if slope.numel() == 1 or by_channel:
        return F.prelu(x, slope.reshape(-1))
    return torch.where(x < 0, slope * x, x)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`x`, or alpha*(exp(x) - 1) where it is negative."""
    return F.elu(x, alpha)


def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`x`, or alpha*(exp(x/alpha) - 1) where it is negative."""
    return F.celu(x, alpha)


def selu(x: Tensor, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Tensor:
    """gamma times elu."""
    return gamma * F.elu(x, alpha)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """x times the normal distribution up to x."""
    return F.gelu(x, approximate=approximate)


def silu(x: Tensor) -> Tensor:
    """x times its sigmoid."""
    return F.silu(x)


def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x times the sigmoid of alpha*x."""
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """alpha*x + beta, held between 0 and 1."""
    return torch.clamp(alpha * x + beta, 0, 1)


def hard_swish(x: Tensor) -> Tensor:
    """x times hard_sigmoid with alpha 1/6."""
    return F.hardswish(x)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return torch.logaddexp(x, torch.zeros_like(x))


def softsign(x: Tensor) -> Tensor:
    """x/(1 + |x|)."""
    return x / (1 + x.abs())


def mish(x: Tensor) -> Tensor:
    """x times tanh of softplus."""
    return F.mish(x)


def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """What is above alpha, else 0."""
    return torch.where(x > alpha, x, torch.zeros_like(x))


def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """Moved by `bias` towards zero beyond `lambd`, zero within."""
    zero = torch.zeros_like(x)
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, zero)).to(x.dtype)


def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Where the infinite numbers of the wanted signs are."""
    found = torch.zeros_like(x, dtype=torch.bool)
    if detect_negative:
        found = found | torch.isneginf(x)
    return found | torch.isposinf(x) if detect_positive else found


def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`a` where the condition is true, else `b`."""
    return torch.where(condition, a, b)


def identity(x: Tensor) -> Tensor:
    """The input."""
    return x


def dropout(x: Tensor, share: Any = None, training: Any = None, *, seed: int = 0, ratio: float = 0.5) -> Tensor:
    """The input, as nothing is dropped outside of training."""
    return x


_UNARY: dict[str, Callable[..., Tensor]] = {
    "Abs": torch.abs, "Acos": torch.acos, "Acosh": torch.acosh, "Asin": torch.asin, "Asinh": torch.asinh,
    "Atan": torch.atan, "Atanh": torch.atanh, "BitwiseNot": torch.bitwise_not, "Ceil": torch.ceil, "Cos": torch.cos,
    "Cosh": torch.cosh, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "IsNaN": torch.isnan,
    "Log": torch.log, "Neg": torch.neg, "Not": torch.logical_not, "Reciprocal": torch.reciprocal,
    "Round": torch.round, "Sigmoid": torch.sigmoid, "Sign": torch.sign, "Sin": torch.sin, "Sinh": torch.sinh,
    "Sqrt": torch.sqrt, "Tan": torch.tan, "Tanh": torch.tanh,
}  # fmt: skip

TABLE: Table = {
    **{name: Operator(function) for name, function in _UNARY.items()},
    "Add": Operator(operator.add, scalars=True),
    "And": Operator(torch.logical_and),
    "BitwiseAnd": Operator(torch.bitwise_and),
    "BitwiseOr": Operator(torch.bitwise_or),
    "BitwiseXor": Operator(torch.bitwise_xor),
    "Cast": Operator(cast, refuses=_unknown_dtype),
    "CastLike": Operator(cast_like),
    "Celu": Operator(celu),
    "Clip": Operator(clip, scalars=True),
    "Div": Operator(div, scalars=True),
    "Dropout": Operator(dropout),
    "Elu": Operator(elu),
    "Equal": Operator(torch.eq),
    "Gelu": Operator(gelu),
    "Greater": Operator(torch.gt),
    "GreaterOrEqual": Operator(torch.ge),
    "HardSigmoid": Operator(hard_sigmoid),
    "HardSwish": Operator(hard_swish),
    "Identity": Operator(identity),
    "IsInf": Operator(is_inf),
    "LeakyRelu": Operator(leaky_relu),
    "Less": Operator(torch.lt),
    "LessOrEqual": Operator(torch.le),
    "Max": Operator(largest),
    "Mean": Operator(average),
    "Min": Operator(smallest),
    "Mish": Operator(mish),
    "Mod": Operator(mod),
    "Mul": Operator(operator.mul, scalars=True),
    "Or": Operator(torch.logical_or),
    "PRelu": Operator(prelu),
    "Pow": Operator(power, scalars=True),
    "Relu": Operator(relu),
    "Selu": Operator(selu),
    "Shrink": Operator(shrink),
    "Silu": Operator(silu),
    "Softplus": Operator(softplus),
    "Softsign": Operator(softsign),
    "Sub": Operator(operator.sub, scalars=True),
    "Sum": Operator(total),
    "Swish": Operator(swish),
    "ThresholdedRelu": Operator(thresholded_relu),
    "Where": Operator(where),
    "Xor": Operator(torch.logical_xor),
}
