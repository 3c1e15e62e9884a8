"""What tracing takes for granted: the attributes of modules and what is in them, which a graph knows as constants."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from copy import copy
from itertools import chain
from operator import is_
from typing import Any

from torch import nn

CONTAINERS = (dict, OrderedDict, list, set)
NUMBERS = (bool, int, float, complex, str)
TENSORS = ("_parameters", "_buffers")  # which a graph reads from where they are


class Snapshot:
    """Modules as they were, in evaluation mode: attributes, children and hooks, but not their tensors."""

    def __init__(self, modules: Iterable[nn.Module]):
        self._seen: list[tuple[str, Any, Any]] = []  # the name of a container, the container, and a copy
        for module in modules:
            attributes = vars(module)
            self._seen.append(("", attributes, attributes | {"training": False}))
            for name, value in attributes.items():
                if type(value) in CONTAINERS and name not in TENSORS:
                    self._seen.append((name, value, copy(value)))
        self._empty = [now for _, now, before in self._seen if not before]
        self._full = [now for _, now, before in self._seen if before]
        self._sizes = [len(before) for *_, before in self._seen if before]
        self._values = [value for *_, before in self._seen for value in _values(before)]

    def change(self) -> str | None:
        """The name of an attribute that is no longer what it was; None if all are."""
        # A model looks at every call, and hardly ever finds anything: without a loop in Python, a microsecond a module.
        same_sizes = not any(self._empty) and list(map(len, self._full)) == self._sizes
        if same_sizes and all(map(is_, chain.from_iterable(map(_values, self._full)), self._values)):
            return None
        return next(filter(None, (_difference(*seen) for seen in self._seen)), None)

    def restore(self) -> None:
        """Make all what it was."""
        for _, now, before in self._seen:
            if isinstance(now, list):
                now[:] = before
            else:
                now.clear()
                now.update(before)


def _values(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def _difference(name: str, now: Any, before: Any) -> str | None:
    if not isinstance(now, dict):
        same = len(now) == len(before) and all(map(is_, now, before))
        return None if same else name
    for key in now.keys() | before.keys():
        if key not in now or key not in before or not _same(now[key], before[key]):
            return name or str(key)
    return None


def _same(now: Any, before: Any) -> bool:
    return now is before or (type(now) is type(before) and type(now) in NUMBERS and now == before)
