"""A layer of a model by what users write: the module, its name, or a pattern; and what a miss is answered with."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeAlias

from torch import nn

from tconv import errors
from tconv.insight.running import check_model

Layer: TypeAlias = nn.Module | str

WILD = "*?["


def find(model: nn.Module, layer: Layer) -> tuple[str, nn.Module]:
    """The one layer that is meant, with its name.

    Args:
        layer: a module of the model; its name, as `named_modules` gives it, "" for the whole; or a pattern of names
            with *, ? and [...], which one layer only must match.

    Raises:
        LayerError: there is none, or more than one.
    """
    found = find_all(model, layer)
    if len(found) > 1:
        raise errors.LayerError(f"layer {layer!r} stands for {len(found)} layers, {_listed(list(found))}; name one")
    return next(iter(found.items()))


def find_all(model: nn.Module, layer: Layer) -> dict[str, nn.Module]:
    """All layers that are meant, by name; arguments and errors as `find`, and more than one is welcome."""
    check_model(model)
    named = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, nn.Module):
        name = next((name for name, module in named.items() if module is layer), None)
        if name is None:
            raise errors.LayerError(
                f"the layer {type(layer).__name__} is not a part of this {type(model).__name__}; take it from the "
                f"model itself, or name it"
            )
        return {name: layer}
    if not isinstance(layer, str):
        raise errors.ArgumentTypeError(f"layer must be a module or its name, not {layer!r} ({type(layer).__name__})")
    if layer in named:
        return {layer: named[layer]}
    found = {name: module for name, module in named.items() if any(w in layer for w in WILD) and _fits(name, layer)}
    if not found:
        raise errors.LayerError(f"there is no layer {layer!r} in this {type(model).__name__}; {_instead(named, layer)}")
    return found


def _fits(name: str, pattern: str) -> bool:
    return bool(name) and fnmatchcase(name, pattern)


def _instead(named: dict[str, nn.Module], layer: str) -> str:
    """What there is, the nearest names first."""
    names = [name for name in named if name]
    if not names:
        return "it has no parts; '' is the whole"
    close = get_close_matches(layer, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {_listed(names)}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
