"""`tconv solve`: every layer that turns one size into another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tconv import errors
from tconv.cli.options import integers
from tconv.cli.screen import show, show_json
from tconv.cli.torch_call import torch_call
from tconv.explorer.grids import Facts
from tconv.solver import Bound, Chain, Layer, Solutions
from tconv.solver import solve as search

Pairs = tuple[tuple[int, int], ...]


def solve(
    in_size: str,
    out_size: str,
    /,
    *,
    kernel: str = "1..7",
    stride: str = "1..4",
    padding: str = "0..3",
    output_padding: str = "0..3",
    dilation: str = "1",
    layers: int = 1,
    together: Annotated[bool, Parameter(negative="")] = False,
    limit: int = 10,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Find every layer that turns one size into another, or say why there is none.

    First come the layers that cover every output evenly (no checkerboard), then
    those that waste nothing, then those with the fewest multiplications (MACs).

        tconv solve 6 12
        tconv solve 6x8 12x16 --kernel 3..5 --stride 2
        tconv solve 7,8 14,16 --together
        tconv solve 4 32 --layers 3 --kernel 4

    Args:
        in_size: Size of the input: 6, or one per axis as in 6x8.
        out_size: Size of the output, likewise.
        kernel: An integer, or bounds lo..hi with both ends included; so are the next four.
        stride: Bounds of the stride.
        padding: Bounds of the padding.
        output_padding: Bounds of the output_padding.
        dilation: Bounds of the dilation.
        layers: How many layers follow one another.
        together: The same layer for all axes, or for several pairs of sizes.
        limit: How many solutions to list for each axis.
        json: Print the solutions as JSON, per axis or for all of them.
    """
    found = search(
        integers("the input size", in_size),
        integers("the output size", out_size),
        kernel=_bound("--kernel", kernel),
        stride=_bound("--stride", stride),
        padding=_bound("--padding", padding),
        output_padding=_bound("--output-padding", output_padding),
        dilation=_bound("--dilation", dilation),
        layers=layers,
        together=together,
        limit=min(limit, 10**6),
    )
    if json:
        show_json(_content(found))
        return 1 if found.why else 0
    for axis, pairs, chains in _groups(found):
        if chains:
            show(_title(found, axis, pairs, chains), _table(pairs, chains), Text())
    if found.why:
        show(Facts([("", line) for line in found.why.splitlines()]))
        return 1
    calls = [torch_call(layer) for layer in found.geometries()[0]]
    show(Facts([("" if n else "PyTorch", call) for n, call in enumerate(calls)]))
    return 0


def _content(found: Solutions) -> dict[str, Any]:
    """The solutions, for JSON."""
    groups = [
        {
            "axes": axis.removeprefix("axis ").removesuffix(": ") or "all",
            "sizes": [{"in": n, "out": out} for n, out in dict.fromkeys(pairs)],
            "solutions": [
                {"layers": [layer._asdict() for layer in chain], "even": not chain.uneven,
                 "macs": sum(chain.macs(n) for n, _ in pairs)}
                for chain in chains
            ],
        }
        for axis, pairs, chains in _groups(found)
    ]  # fmt: skip
    calls = [] if found.why else [torch_call(layer) for layer in found.geometries()[0]]
    return {"found": groups, "pytorch": calls, "why": found.why or None}


def _bound(option: str, text: str) -> Bound:
    """`3`, or `1..5` with both ends."""
    ends = re.fullmatch(r"(-?\d{1,18})(?:\.\.(-?\d{1,18}))?", text.strip())
    if not ends:
        raise errors.ArgumentTypeError(f"{option} {text!r} is not an integer, nor bounds such as 1..5")
    lo, hi = (int(end or ends[1]) for end in ends.groups())
    return lo, hi


def _groups(found: Solutions) -> Iterator[tuple[str, Pairs, tuple[Chain, ...]]]:
    """What has one table: the axes in words, their pairs of sizes, their solutions."""
    if found.together or len(set(found.pairs)) == 1:
        yield "", found.pairs[: None if found.together else 1], found[0]
        return
    for pair in dict.fromkeys(found.pairs):
        axes = [number for number, other in enumerate(found.pairs) if other == pair]
        yield f"axis {', '.join(map(str, axes))}: ", (pair,), found[axes[0]]


def _title(found: Solutions, axis: str, pairs: Pairs, chains: tuple[Chain, ...]) -> Text:
    asked = " and ".join(f"{n} -> {out}" for n, out in dict.fromkeys(pairs))
    by = f" by {found.layers} layers" if found.layers > 1 else ""
    count = f"the best {len(chains)}" if len(chains) == found.limit else f"all {len(chains)} solutions"
    count = "the only solution" if count == "all 1 solutions" else count
    return Text(f"{axis}{asked}{by}: {count}", "bold")


def _table(pairs: Pairs, chains: tuple[Chain, ...]) -> Table:
    """One line per solution; dilation and remarks only where there is something to say."""
    dilated = any(layer.dilation > 1 for chain in chains for layer in chain)
    names = [name for name in Layer._fields if name != "dilation" or dilated]
    remarks = ["; ".join(dict.fromkeys(layer.waste for layer in chain if layer.waste)) for chain in chains]
    many = len(chains[0]) > 1
    table = Table(box=None, pad_edge=False, header_style="cyan")
    for name in [*(["sizes"] if many else []), *names, "coverage", "MACs"]:
        table.add_column(name.replace("_", "\n"), justify="left" if name == "sizes" else "right")
    if any(remarks):
        table.add_column("", style="dim")
    for chain, remark in zip(chains, remarks, strict=True):
        cells: list[RenderableType] = [_sizes(chain, pairs)] if many else []
        cells += [" ".join(str(getattr(layer, name)) for layer in chain) for name in names]
        cells.append(Text("uneven", "yellow") if chain.uneven else Text("even", "green"))
        table.add_row(*cells, str(sum(chain.macs(n) for n, _ in pairs)), remark)
    return table


def _sizes(chain: Chain, pairs: Pairs) -> str:
    return "\n".join(" -> ".join(map(str, chain.sizes(n))) for n, _ in dict.fromkeys(pairs))
