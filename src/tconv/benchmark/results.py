"""What was measured, as plain data, and what follows from it; in seconds, per second, and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import geometric_mean

from tconv.benchmark.contenders import OWN, layout

LOSS = 0.95
"""A layer is lost below this ratio to the best peer; above, it counts as equal at least."""

CALM = 0.1
"""A layer's times count as disturbed if the machine's rate, or a contender's own time, varies by more than this."""


@dataclass
class Row:
    """One layer: medians over the rounds, by contender, and the rates of the machine beside them.

    `spread` says by which share the median of the rounds is worse than the best of them: of each contender's seconds,
    and, as "floor", of the machine's rates.
    """

    layer: str
    flop: int
    bytes: int
    gemm: float
    copy: float
    seconds: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)

    @property
    def floor(self) -> float:
        """Seconds that no implementation with these many FLOP and bytes can beat."""
        return max(self.flop / self.gemm, self.bytes / self.copy)

    @property
    def bound(self) -> str:
        return "arithmetic" if self.flop / self.gemm >= self.bytes / self.copy else "memory"

    def best_peer(self, own: str, without: Sequence[str] = ()) -> float | None:
        """Seconds of the fastest peer of the same memory layout as `own`, some left out."""
        names = [name for name in self.seconds if name not in (*OWN, *without) and layout(name) == layout(own)]
        return min((self.seconds[name] for name in names), default=None)

    def over_peer(self, own: str, without: Sequence[str] = ()) -> float | None:
        """How many times faster than the best peer of its layout; above 1 is faster."""
        return self.over(own, self.best_peer(own, without))

    def over(self, own: str, peer: float | None) -> float | None:
        """How many times faster than `peer` seconds."""
        return peer / self.seconds[own] if peer and own in self.seconds else None

    def over_any(self) -> float | None:
        """How many times faster our better layout is than the best peer of any layout."""
        own = min((seconds for name, seconds in self.seconds.items() if name in OWN), default=None)
        peer = min((seconds for name, seconds in self.seconds.items() if name not in OWN), default=None)
        return peer / own if own and peer else None

    def to_floor(self, own: str) -> float | None:
        """How many times slower than the floor; 1 is as fast as the machine."""
        return self.seconds[own] / self.floor if own in self.seconds else None


@dataclass
class Sizes:
    """Seconds of a call with the last call's input size, and how many times slower others are: see `Worker.sizes`."""

    layer: str
    contender: str
    fixed: float
    changing: float
    new: float


@dataclass
class Callers:
    """Calls per second with 1, 4 and 16 calling Python threads: see `Worker.callers`."""

    layer: str
    contender: str
    rates: list[float]


@dataclass
class Memory:
    """Growth of the resident memory, and what the result and the packed weight need of it: see `Worker.memory`."""

    layer: str
    contender: str
    growth: int
    result: int
    weight: int


@dataclass
class Results:
    """A run of the benchmark; `free` are peers that could not be held to the instruction set that was forced."""

    about: dict[str, str]
    missing: dict[str, str] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    sizes: list[Sizes] = field(default_factory=list)
    callers: list[Callers] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    def contenders(self) -> list[str]:
        """Those that ran, in their order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.seconds))

    def lost(self) -> list[tuple[str, str, float]]:
        """(layer, own contender, ratio to the best peer) where the ratio is below `LOSS`, the worst first."""
        ratios = [(row.layer, own, row.over_peer(own)) for row in self.rows for own in OWN]
        return sorted([(layer, own, r) for layer, own, r in ratios if r and r < LOSS], key=lambda lost: lost[2])

    def lost_to_any(self) -> list[tuple[str, float]]:
        """(layer, ratio of our better layout to the best peer of any) where it is below `LOSS`, the worst first."""
        ratios = [(row.layer, row.over_any()) for row in self.rows]
        return sorted([(layer, ratio) for layer, ratio in ratios if ratio and ratio < LOSS], key=lambda lost: lost[1])

    def disturbed(self) -> list[tuple[str, str, float]]:
        """(layer, contender or "floor", spread) where the spread is above `CALM`, the worst first.

        One for each layer, of what decides how we stand there: the floor, our contenders and the fastest peer.
        """
        worst = []
        for row in self.rows:
            peers = {name: seconds for name, seconds in row.seconds.items() if name not in OWN}
            deciding = {"floor", *OWN, *([min(peers, key=peers.__getitem__)] if peers else [])}
            spreads = [(row.layer, name, share) for name, share in row.spread.items() if name in deciding]
            worst += sorted(spreads, key=lambda each: -each[2])[:1]
        return sorted([each for each in worst if each[2] > CALM], key=lambda each: -each[2])

    def too_fast(self) -> list[tuple[str, str, float]]:
        """(layer, own contender, ratio to the floor) below `LOSS` floors: the floor was measured too slow there."""
        ratios = [(row.layer, own, row.to_floor(own)) for row in self.rows for own in OWN]
        return [(layer, own, ratio) for layer, own, ratio in ratios if ratio and ratio < LOSS]

    def mean(self, ratio: Callable[[Row], float | None]) -> tuple[float, int] | None:
        """The geometric mean of a ratio, and of how many layers; None if no layer has it."""
        return _mean(ratio(row) for row in self.rows)


def _mean(ratios: Iterable[float | None]) -> tuple[float, int] | None:
    known = [ratio for ratio in ratios if ratio]
    return (geometric_mean(known), len(known)) if known else None
