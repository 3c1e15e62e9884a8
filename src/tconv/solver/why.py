"""Why no layer does it: the closest sizes, the law in the way, and the least change of one bound that repairs it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from tconv.solver.bounds import LAWS, NAMES, Bounds
from tconv.solver.chain import Chain, Layer
from tconv.solver.search import Search

TRIES = 8  # values of one hyperparameter that are tried from the first plausible one on
CHAIN_TRIES = 2  # the same for chains, whose sizes leave fewer gaps and take longer to search


def why_not(search: Search) -> str:
    """Sentences for people. The search must have found nothing."""
    for pair in search.pairs if len(search.pairs) > 1 else ():
        alone = Search([pair], search.bounds, search.layers)
        if not alone.first():
            return why_not(alone)
    by = "" if search.layers == 1 else f" by {search.layers} layers"
    if len(search.pairs) > 1:
        laws = [_slope(search)]
        said = f"can each be done{by} within these bounds, but not by the same hyperparameters"
    else:
        laws = _laws(*search.pairs[0], search.bounds) if search.layers == 1 else _reach(search)
        said = f"cannot be done{by} within these bounds"
    repairs = "; ".join(_repairs(search))
    laws.append(
        f"what would do it: {repairs}" if repairs else "no small change of one bound repairs it; change several"
    )
    first, *rest = laws
    return ". ".join([f"{in_words(search.pairs)} {said}: {first}", *(law[0].upper() + law[1:] for law in rest)])


def in_words(pairs: Sequence[tuple[int, int]]) -> str:
    """6 -> 12, 7 -> 14 and 8 -> 16"""
    *others, last = [f"{n} -> {out}" for n, out in pairs]
    return f"{', '.join(others)} and {last}" if others else last


# one layer, one pair


def _laws(in_size: int, out_size: int, bounds: Bounds) -> list[str]:
    """What stands in the way, one sentence each, the closest sizes first."""
    near = dict(_near(in_size, out_size, bounds))
    moved = [layer for layer in near if near.get(_less_padding(layer)) == near[layer] + 2 == out_size + 1]
    below = min(moved or near, key=lambda layer: (near[layer] > out_size, out_size - near[layer], layer), default=None)
    above = min(near, key=lambda layer: (near[layer] < out_size, near[layer] - out_size, layer), default=None)
    if moved and below:
        above = _less_padding(below)
    laws = []
    if below is None or above is None:
        laws.append(_nothing(bounds))
    elif near[above] < out_size:
        laws.append(f"the largest output is {near[below]} ({below})")
    elif near[below] > out_size:
        laws.append(f"the smallest output is {near[above]} ({above})")
    else:
        steps = "; padding moves the size in steps of 2" if moved else ""
        laws.append(f"the closest outputs are {near[below]} ({below}) and {near[above]} ({above}){steps}")
    illegal = _illegal(in_size, out_size, bounds)
    if illegal:
        extra, limit = illegal.output_padding, max(illegal.stride, illegal.dilation)
        rest = str(illegal).replace(f", output_padding {extra}", "")
        laws.append(f"{rest} needs output_padding {extra}, which must be below max(stride, dilation) = {limit}")
    return laws


def _nothing(bounds: Bounds) -> str:
    limit, least = max(bounds.stride[-1], bounds.dilation[-1]), bounds.output_padding[0]
    if least >= limit:
        return f"output_padding {least} must be below max(stride, dilation), which is at most {limit}"
    return f"every output is below 1, as padding is at least {bounds.padding[0]}"


def _near(in_size: int, out_size: int, bounds: Bounds) -> Iterator[tuple[Layer, int]]:
    """Layers with their output sizes, among them all that come closest to `out_size` from below and from above."""
    for shape in bounds.shapes:
        full, limit = shape.full_size(in_size), max(shape.stride, shape.dilation)
        for extra in bounds.output_padding[: bisect_left(bounds.output_padding, limit)]:
            for padding in _around(bounds.padding, (full + extra - out_size) // 2):
                size = full - (2 * padding - extra)
                if size >= 1:
                    yield Layer(shape.kernel, shape.stride, padding, extra, shape.dilation), size


def _illegal(in_size: int, out_size: int, bounds: Bounds) -> Layer | None:
    """The layer that would do it if output_padding, within its bounds, did not have to obey its law."""
    found = []
    for shape in bounds.shapes:
        surplus, limit = shape.full_size(in_size) - out_size, max(shape.stride, shape.dilation)
        for padding in _around(bounds.padding, (surplus + limit) // 2):
            extra = 2 * padding - surplus
            if extra >= limit and extra in bounds.output_padding:
                found.append(Layer(shape.kernel, shape.stride, padding, extra, shape.dilation))
    return min(found, key=lambda layer: (layer.output_padding, layer), default=None)


def _around(values: Sequence[int], value: int) -> Sequence[int]:
    """The largest of `values` up to `value` and the smallest above it, as far as they exist."""
    after = bisect_right(values, value)
    return values[max(after - 1, 0) : after + 1]


def _less_padding(layer: Layer) -> Layer:
    return layer._replace(padding=layer.padding - 1)


# chains, and several pairs


def _reach(search: Search) -> list[str]:
    """The extreme size of a chain, where it is known and on the wrong side."""
    ((n, out),), (low, high) = search.pairs, search.span
    for extreme, name, wrong in ((high, "largest", out > high), (low, "smallest", out < low)):
        chain = Search([(n, extreme)], search.bounds, search.layers).first() if wrong and extreme > 0 else None
        if chain:
            return [f"the {name} output is {extreme} ({_shown(chain, n)})"]
    return ["no combination of layers lands on it"]


def _slope(search: Search) -> str:
    """Each further input cell adds `stride` output cells, so two pairs decide the stride."""
    (n, out), *others = search.pairs
    name = "stride" if search.layers == 1 else "the product of the strides"
    slopes: dict[Fraction, str] = {}
    for m, other in others:
        if m != n:
            slopes.setdefault(Fraction(other - out, m - n), f"{n} -> {out} and {m} -> {other}")
        elif other != out:
            return f"a layer makes one size of {n} cells, not both {out} and {other}"
    wanted = "; ".join(f"{name} would have to be {slope} for {which}" for slope, which in slopes.items())
    slope = min(slopes)
    strides = search.bounds.stride
    if len(slopes) > 1 or slope < 1 or slope.denominator > 1 or (search.layers == 1 and slope not in strides):
        return f"{wanted}, as each further input cell adds that many output cells"
    if search.layers > 1:
        return f"{wanted}, and no combination of layers with that does it"
    return f"{wanted}, and with that {_laws(n, out, replace(search.bounds, stride=(int(slope),)))[0]}"


# repairs


def _repairs(search: Search) -> Iterator[str]:
    """Changes of one bound, or of the number of layers, each alone enough; with the best chain that each allows."""
    n = search.pairs[0][0]
    for name in NAMES:
        for wording, values in _changes(search, name):
            for value in values:
                chain = search.including(name, value).first()
                if chain:
                    yield f"{name} {wording} {value} ({_shown(chain, n)})"
                    break
    for layers in (search.layers - 1, search.layers + 1):
        chain = Search(search.pairs, search.bounds, layers).first() if layers > 0 else None
        if chain:
            yield f"{layers} layer{'s' * (layers > 1)} ({_shown(chain, n)})"


def _changes(search: Search, name: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Values to add to one hyperparameter, the least change first."""
    values = getattr(search.bounds, name)
    if name == "output_padding":
        highest = max(search.bounds.stride[-1], search.bounds.dilation[-1]) - 1
    else:
        largest = max(search.span[1], *(max(pair) for pair in search.pairs))
        highest = largest + 2 * search.layers * search.bounds.padding[-1]
    up, down = range(values[-1] + 1, highest + 1), range(values[0] - 1, LAWS[name][0] - 1, -1)
    gaps = [value for value in range(values[0], values[-1]) if value not in values]
    yield "also", gaps[: _tries(search)]
    yield "up to", sorted(_promising(up, search, name))
    yield "down to", sorted(_promising(down, search, name), reverse=True)


def _promising(change: range, search: Search, name: str) -> set[int]:
    """The first values that bring the output within reach, for each stride: strides lie far apart, the rest between."""
    found: set[int] = set()
    for stride in [search.bounds.stride] if name == "stride" else [(stride,) for stride in search.bounds.stride]:
        one = Search(search.pairs, replace(search.bounds, stride=stride), search.layers)
        first = _first_plausible(change, one, name)
        found.update(change[first : first + _tries(search)])
    return found


def _first_plausible(change: range, search: Search, name: str) -> int:
    """Where in `change` the output comes within reach; it stays so from there on."""
    return bisect_left(change, True, key=lambda value: search.including(name, value).plausible)


def _tries(search: Search) -> int:
    return TRIES if search.layers == 1 else CHAIN_TRIES


def _shown(chain: Chain, in_size: int) -> str:
    return str(chain[0]) if len(chain) == 1 else " -> ".join(map(str, chain.sizes(in_size)))
