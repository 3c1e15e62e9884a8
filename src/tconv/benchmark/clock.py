"""How a call is timed."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

LEAST = 0.02
"""Seconds that the counted calls of a turn take at least; one call is made in any case."""

ENOUGH = 5
"""Calls that are counted if that takes no more than ten times as long: what delays one of them is outvoted."""

LONG = 0.5
"""Seconds of a call that is so long that its first one is counted, too."""


def seconds_of_calls(run: Callable[[], object], least: float = LEAST) -> list[float]:
    """Seconds of each call, for at least `least` seconds in all.

    The first call of a turn is not counted: threads are asleep, caches are full of others' data, and memory that was
    idle may have to be fetched.
    """
    first = _seconds(run)
    if first > LONG:
        return [first]
    seconds = [_seconds(run)]
    end = perf_counter() + least - seconds[0]
    while perf_counter() < end or (len(seconds) < ENOUGH and perf_counter() < end + 9 * least):
        seconds.append(_seconds(run))
    return seconds


def _seconds(run: Callable[[], object]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start
