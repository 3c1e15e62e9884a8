"""What `tconv explain` and `tconv explore` are about: a layer, a network around it, or kernels that are learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from tconv import errors
from tconv.cli.layer_options import LayerOptions
from tconv.cli.options import DEFAULTS, GeometryOptions, integers
from tconv.explorer import Shown, explain_learned, explain_network
from tconv.geometry import Sizes


@Parameter(name="*")
@dataclass(frozen=True)
class NetworkOptions:
    """With --form network; its image has the size --in, its layers have --kernel, --stride and --padding."""

    network: str | None = None
    """U-Net, FCN-8s, FCN-16s or FCN-32s; U-Net if nothing is said."""

    depth: int | None = None
    """How often a U-Net pools; 3 if nothing is said."""

    unpadded: Annotated[bool, Parameter(negative="")] = False
    """The convolutions of a U-Net's blocks have no padding, as in the first one."""

    cell: str | None = None
    """The output whose receptive field is shown, as in 7 or 7,9; the one in the middle if nothing is said."""


ALONE = NetworkOptions()


def subject(form: str, layer: LayerOptions, geometry: GeometryOptions, network: NetworkOptions) -> Shown:
    """What the options speak of.

    Raises:
        TconvError: options that this form does not have; and what the forms raise.
    """
    name = form.replace("-", "_")
    if name == "network":
        return _network(layer, geometry, network)
    given = {"--network": network.network, "--depth": network.depth, "--unpadded": network.unpadded or None}
    _refuse({**given, "--cell": network.cell}, "network", "leave it out, or give --form network")
    return _learned(layer, geometry) if name == "learned" else layer.explanation(geometry, form)


def _network(layer: LayerOptions, geometry: GeometryOptions, network: NetworkOptions) -> Shown:
    said = "a network has only the sizes --in, --kernel, --stride and --padding"
    _refuse(_arrays(layer) | _fine(geometry), "", said)
    padding = None if geometry.padding == DEFAULTS.padding else geometry.padding
    size = _integers("--in", layer.in_size)
    return explain_network(
        100 if size is None else size,
        network.network or "U-Net",
        depth=network.depth,
        kernel=_integers("--kernel", layer.kernel),
        stride=_integers("--stride", geometry.stride),
        padding=_integers("--padding", padding),
        unpadded=network.unpadded or None,
        cell=_integers("--cell", network.cell),
    )


def _learned(layer: LayerOptions, geometry: GeometryOptions) -> Shown:
    padding = {"--padding": None if geometry.padding == DEFAULTS.padding else geometry.padding, "--in": layer.in_size}
    said = "the photograph and the crop are its own, there are only --kernel and --stride"
    _refuse(_arrays(layer) | padding | _fine(geometry), "", said)
    return explain_learned(_number("--kernel", layer.kernel, 8), _number("--stride", geometry.stride, 2))


def _number(option: str, text: str | None, default: int) -> int:
    """One number, for both axes of a photograph."""
    found = set((default,) if text is None else integers(option, text))
    if len(found) > 1:
        raise errors.LengthError(f"{option} {text} must be one number; a photograph has it on both axes")
    return found.pop()


def _arrays(layer: LayerOptions) -> dict[str, object]:
    groups = None if layer.groups == 1 else layer.groups
    return {"--x": layer.x, "--w": layer.w, "--bias": layer.bias, "--groups": groups}


def _fine(geometry: GeometryOptions) -> dict[str, object]:
    found = {"--output-padding": "output_padding", "--dilation": "dilation"}
    values = {option: getattr(geometry, name) for option, name in found.items()}
    return {option: None if value == getattr(DEFAULTS, found[option]) else value for option, value in values.items()}


def _refuse(given: Mapping[str, object], form: str, cure: str) -> None:
    """Options that a form does not have must not be there."""
    for option, value in given.items():
        if value is not None:
            raise errors.TconvError(f"{option} is for {f'--form {form}' if form else 'a layer'}; {cure}")


def _integers(option: str, text: str | None) -> Sizes | int | None:
    """A single number, which is for all axes, as that."""
    if text is None:
        return None
    found = integers(option, text)
    return found[0] if len(found) == 1 else found
