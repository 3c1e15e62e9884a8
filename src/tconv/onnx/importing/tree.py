"""Where the importer's layers and weights hang: in modules called as those of the exported model, where names tell."""

from __future__ import annotations

import re
from keyword import iskeyword

from torch import Tensor, nn

FORBIDDEN = re.compile(r"[^A-Za-z0-9_]+")


def path_of(name: str) -> str:
    """A value's or a node's name as a path of attributes.

    >>> path_of("/up/conv/Conv"), path_of("onnx::Conv_7")
    ('up.conv.Conv', 'onnx_Conv_7')
    """
    parts = [FORBIDDEN.sub("_", part).strip("_") for part in re.split(r"[/.]", name)]
    return ".".join(part for part in parts if part) or "value"


def layer_path(weight: str, node: str, kind: str) -> str:
    """The path of a layer: that of its weight, if this is called so, else that of the module that the node is in.

    >>> layer_path("up.0.weight", "/up/up.0/Conv", "Conv"), layer_path("onnx::PRelu_7", "/up/act/PRelu_1", "PRelu")
    ('up.0', 'up.act')
    """
    if weight.endswith(".weight"):
        return path_of(weight.removesuffix(".weight"))
    return path_of(re.sub(rf"(?<=.)/{kind}(_\d+)?$", "", node))


def attach(root: nn.Module, path: str, thing: nn.Module | nn.Parameter | Tensor) -> str:
    """Hang a layer, a parameter or a buffer at a path below `root`; the Python expression that finds it from `self`.

    Where a part of the path is taken by something else, an underscore is added.
    """
    *parents, last = path.split(".")
    holder, code = root, "self"
    for part in parents:
        while not isinstance(getattr(holder, part, holder), nn.Module):
            part += "_"
        if not hasattr(holder, part):
            holder.add_module(part, nn.Module())
        holder, code = holder.get_submodule(part), _attribute(code, part)
    while hasattr(holder, last):
        last += "_"
    if isinstance(thing, nn.Module):
        holder.add_module(last, thing)
    elif isinstance(thing, nn.Parameter):
        holder.register_parameter(last, thing)
    else:
        holder.register_buffer(last, thing)
    return _attribute(code, last)


def _attribute(code: str, name: str) -> str:
    return f"{code}.{name}" if name.isidentifier() and not iskeyword(name) else f"getattr({code}, {name!r})"
