"""`explain_network`: a network with its sizes and receptive fields, to be had as text, picture, film or page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tconv import errors
from tconv.explorer.network import plan
from tconv.explorer.network.film import film
from tconv.explorer.network.section import section
from tconv.explorer.page import page
from tconv.explorer.scene import Film
from tconv.explorer.shown import Shown
from tconv.geometry import Sizes
from tconv.geometry.arguments import Ints, integer, is_sequence, per_axis
from tconv.geometry.axis import LARGEST

if TYPE_CHECKING:
    from rich.console import Group

DEEPEST = 12  # levels of a picture
DRAWN = {"size": 4096, "depth": 8}  # by the page
UPS = {(2, 2, 0): "2, 2, 0", (3, 2, 1): "3, 2, 1", (4, 2, 1): "4, 2, 1"}  # kernel, stride, padding; as the page says it


@dataclass(frozen=True, eq=False)
class NetworkExplanation(Shown):
    """A network and one of its outputs, explained. Made by `explain_network`.

    Attributes:
        network: its levels, with all sizes.
        cell: the output whose receptive field is shown, per axis.
    """

    network: plan.Network
    cell: Sizes
    form = "network"

    @property
    def fields(self) -> plan.Fields:
        """What the output at `cell` sees of every map, and of the image: (first, last) per axis."""
        return self.network.fields(self.cell)

    @cached_property
    def film(self) -> Film:
        """Down and up again, a frame for every layer that changes the size; at last what the output sees."""
        return film(self.network, self.cell)

    def html(self) -> str:
        """The explorer, at this network.

        Raises:
            TooLargeError: a network that the page does not draw.
        """
        return page({"at": "network", "net": self._asked()})

    def _asked(self) -> dict[str, Any]:
        """The fields of the page's card."""
        net, depth = self.network, len(self.network.levels)
        if len(set(net.size)) > 1 or len(set(self.cell)) > 1 or net.size[0] > DRAWN["size"]:
            raise errors.TooLargeError(
                f"the page draws networks for square images of up to {DRAWN['size']} cells, and one cell for all axes; "
                f"take svg(), png() or gif() for this one"
            )
        asked = {"kind": net.kind, "size": net.size[0], "cell": self.cell[0]}
        if net.layer is None:
            return asked
        layers = {(axis.kernel, axis.stride, axis.crop_lo) for axis in net.layer.axes}
        name = UPS.get(min(layers))
        if len(layers) > 1 or name is None or depth > DRAWN["depth"] or net.block == plan.UNPADDED:
            raise errors.TooLargeError(
                f"the page draws U-Nets of depth 1 to {DRAWN['depth']} with padded blocks, and kernel, stride and "
                f"padding {'; '.join(UPS.values())}; take svg(), png() or gif() for this one"
            )
        return {**asked, "depth": depth, "up": name}

    def __rich__(self) -> Group:
        from tconv.explorer.text import alone

        return alone(self.network.title, section(self.network, self.cell))

    def __repr__(self) -> str:
        return f"<NetworkExplanation of {self.network.title}>"


def explain_network(
    size: Ints = 100,
    kind: str = "U-Net",
    *,
    depth: int | None = None,
    kernel: Ints | None = None,
    stride: Ints | None = None,
    padding: Ints | None = None,
    unpadded: bool | None = None,
    cell: Ints | None = None,
) -> NetworkExplanation:
    """Explain a network for images of a size: each level's maps, where they do not fit, and what an output sees.

    Args:
        size: cells of the image; an int, or one per axis, of which there may be three.
        kind: "U-Net", or "FCN-8s", "FCN-16s" or "FCN-32s" (Long, Shelhamer, Darrell, arXiv:1411.4038).
        depth: how often a U-Net pools, 1 to 12; default 3.
        kernel, stride, padding: of a U-Net's transposed convolutions; default 2, 2, 0. Pooling has the same stride.
        unpadded: whether the convolutions of a U-Net's blocks, two of kernel 3, lose 4 cells; default False.
        cell: the output whose receptive field is shown; default the one in the middle.

    Raises:
        TconvError: an unknown kind; a U-Net's arguments for an FCN.
        RankError: more than three axes.
        TooLargeError: a depth that no picture shows.
        InputSizeError: no cell at all, or too few for this depth; a `cell` that is not there.
        ArgumentTypeError, LengthError, KernelError, StrideError, PaddingError: as their names say.

    >>> seen = explain_network(101)
    >>> seen
    <NetworkExplanation of U-Net of depth 3, kernel 2, stride 2, padding 0: input 101, output 101>
    >>> [level.says for level in seen.network.levels], seen.fields.image
    (['output_padding 1', 'fits', 'output_padding 1'], ((2, 100),))
    """
    found = _kind(kind)
    given = {"depth": depth, "kernel": kernel, "stride": stride, "padding": padding, "unpadded": unpadded}
    arguments = [size, cell, kernel, stride, padding]
    ndim = max([len(value) for value in arguments if is_sequence(value)], default=1)
    if ndim > 3:
        raise errors.RankError(f"{ndim} spatial axes do not fit into a picture; explain a network with 1 to 3")
    sizes = per_axis("size", size, ndim)
    if found == "U-Net":
        net = _unet(sizes, 3 if depth is None else depth, (kernel, stride, padding), bool(unpadded))
    else:
        named = [name for name, value in given.items() if value is not None]
        if named:
            raise errors.TconvError(f"{found} has layers of its own; leave {' and '.join(named)} out, a U-Net has them")
        _check_size(sizes)
        net = plan.fcn(found, sizes)
    return NetworkExplanation(net, _cell(net, cell))


def _kind(kind: str) -> str:
    """The kind as it is written; capitals and hyphens do not matter."""
    plain = {name.replace("-", "").lower(): name for name in plan.KINDS}
    found = plain.get(str(kind).replace("-", "").replace("_", "").lower())
    if found is None:
        raise errors.TconvError(f"network {kind!r} is unknown; choose one of {', '.join(plan.KINDS)}")
    return found


def _unet(sizes: Sizes, depth: int, layer: tuple[Ints | None, ...], unpadded: bool) -> plan.Network:
    if integer("depth", depth) > DEEPEST:
        raise errors.TooLargeError(
            f"depth {depth} is more than the {DEEPEST} that a picture shows; tconv.plan_unet plans any depth"
        )
    names, ndim = ("kernel", "stride", "padding"), len(sizes)
    kernel, stride, padding = (
        per_axis(name, default if value is None else value, ndim)
        for name, value, default in zip(names, layer, (2, 2, 0), strict=True)
    )
    return plan.unet(sizes, depth, kernel, stride, padding, unpadded)


def _check_size(sizes: Sizes) -> None:
    for number, n in enumerate(sizes):
        where = f" on axis {number}" if len(sizes) > 1 else ""
        if n < 1:
            raise errors.InputSizeError(f"size {n}{where} must be at least 1")
        if n >= LARGEST:
            raise errors.SizeOverflowError(f"size {n}{where} does not fit into 64 bits; give one below 2**62")


def _cell(net: plan.Network, cell: Ints | None) -> Sizes:
    """The cell that is meant; the one in the middle if none is."""
    if cell is None:
        return tuple(n // 2 for n in net.out)
    cells = per_axis("cell", cell, len(net.out))
    for number, (at, n) in enumerate(zip(cells, net.out, strict=True)):
        if not 0 <= at < n:
            where = f" on axis {number}" if len(net.out) > 1 else ""
            raise errors.InputSizeError(f"cell {at}{where} is not there; the output has the cells 0 to {n - 1}")
    return cells
