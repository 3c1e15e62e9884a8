"""What the importer knows of an operator: the function that computes it, and how its inputs are handed over."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

Attributes: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Operator:
    """One operator, from one version of the standard on.

    Args:
        function: computes it. Inputs are positional, None where one is left out; attributes are keywords, all of which
            it names, with the standard's defaults. It changes no tensor that it is given.
        python: the inputs that it takes as Python numbers and lists, by position: sizes, axes, pads.
        several: it gives a tuple, and takes the number of `outputs`; others give one tensor.
        scalars: it takes Python numbers in the place of tensors without axes.
        refuses: what of these attributes it does not compute, in words; None: it computes all.
        since: the first opset in which the operator means this.
    """

    function: Callable[..., Any]
    python: tuple[int, ...] = ()
    several: bool = False
    scalars: bool = False
    refuses: Callable[[Attributes], str | None] = lambda attributes: None
    since: int = 1

    def unknown(self, attributes: Attributes) -> str | None:
        """What of these attributes is not computed, in words; None: nothing."""
        strange = sorted(attributes.keys() - self._names())
        return f"attribute {strange[0]}" if strange else self.refuses(attributes)

    def _names(self) -> set[str]:
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except ValueError:  # of a function of C, which none of the table's attributes belongs to
            return set()
        return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


Versions: TypeAlias = tuple[Operator, ...]  # the newest last
Table: TypeAlias = dict[str, Operator | Versions]


def version_of(entry: Operator | Versions, opset: int) -> Operator | None:
    """The operator as it is in an opset; None where it was another one then."""
    versions = entry if isinstance(entry, tuple) else (entry,)
    return next((each for each in reversed(versions) if each.since <= opset), None)


DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""ONNX's numbers of the element types that PyTorch computes in; it only stores unsigned numbers of 16 bits and more."""


def as_tensor(value: Any) -> Tensor:
    """A Python number, or a list of them, as the tensor that the standard has in its place."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, bool):
        return torch.tensor(value, dtype=torch.bool)
    return torch.tensor(value, dtype=torch.float32 if isinstance(first, float) else torch.int64)


def as_python(value: Any) -> Any:
    """A tensor's numbers, which are then no part of a captured graph."""
    return value.tolist()


def refused_values(**allowed: Any) -> Callable[[Attributes], str | None]:
    """A law for attributes, each with the only value, or the tuple of values, that are computed."""

    def refuses(attributes: Attributes) -> str | None:
        for name, values in allowed.items():
            given = attributes.get(name)
            if given is not None and given not in (values if isinstance(values, tuple) else (values,)):
                return f"{name} {given!r}"
        return None

    return refuses
