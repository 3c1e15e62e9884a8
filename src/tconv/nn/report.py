"""What `accelerate` did to a model, and why, as an object that prints as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from weakref import WeakKeyDictionary

from torch import nn

from tconv.nn.comparison import Comparison
from tconv.nn.fold import check_module


@dataclass
class Row:
    """What happened to a part of the model, and why or with what gain.

    Attributes:
        action: "replaced", "folded", "kept", "skipped", "undone", "whole" or "restored".
        name: the part's, in the model; empty for the model itself.
        kind: the layer's class, or "fold".
        text: the times and the error, or the reason.
    """

    action: str
    name: str
    kind: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.action:8}  {self.name or '(model)'}  {self.kind}  {self.text}".rstrip()


@dataclass
class Report:
    """What `accelerate` did.

    Attributes:
        model: the class of the model.
        rows: what happened to each part.
        whole: the model before and after, and the largest error of its result; None where nothing was measured.
        steady: whether two runs of the model as it was agreed, with the same random numbers; else results cannot be
            compared as a whole, and each fold was compared for itself.
        graphs: how many graphs TorchDynamo captured.
        graph_breaks: why it could not capture all in one, each with its number of places.
        seconds: what measuring and choosing took.
    """

    model: str
    rows: list[Row] = field(default_factory=list)
    whole: Comparison | None = None
    steady: bool = True
    graphs: int = 0
    graph_breaks: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def speed(self) -> float:
        """How many times as fast as before: 1 where nothing was changed or measured."""
        return self.whole.before / self.whole.after if self.whole is not None and self.changed else 1.0

    @property
    def error(self) -> float:
        """The largest difference between the results before and after, relative to the largest value."""
        return self.whole.error if self.whole is not None and self.changed else 0.0

    @property
    def changed(self) -> bool:
        """Whether anything is other than before."""
        return any(row.action in ("replaced", "folded", "whole") for row in self.rows)

    @property
    def reasons(self) -> dict[str, str]:
        """Why parts stayed as they were, by name."""
        return {row.name or "(model)": row.text for row in self.rows if row.action in ("skipped", "kept", "restored")}

    def line(self) -> str:
        """All of it in one line."""
        counts = {action: sum(row.action == action for row in self.rows) for action in ("replaced", "folded")}
        parts = [f"{n} layer{'s' * (n > 1)} replaced" for n in (counts["replaced"],) if n]
        parts += [f"{n} part{'s' * (n > 1)} folded" for n in (counts["folded"],) if n]
        if not self.changed:
            result = self._nothing_done()
            return f"tconv: {self.model} stays as it was, {result}; tconv.nn.report(model) says more"
        if self.whole is None:
            last = [row.text for row in self.rows if row.action == "whole"]
            return f"tconv: {self.model}: {', '.join(parts + last)}"
        steady = "" if self.steady else "; two runs of the model differ, so its parts were compared"
        return f"tconv: {self.model}: {self.whole}, {', '.join(parts) or 'channels-last weights'}{steady}"

    def _nothing_done(self) -> str:
        if self.whole is not None:
            return f"not faster: {self.whole}"
        kept = [row.text for row in self.rows if row.action == "kept" and not row.name]
        return kept[0] if kept else "nothing that tconv makes faster was found"

    def __str__(self) -> str:
        lines = [str(row) for row in self.rows]
        if self.graphs:
            breaks = sum(self.graph_breaks.values())
            lines.append(
                f"captured  {self.graphs} graph{'s' * (self.graphs > 1)}, {breaks} breaks, {self.seconds:.1f} s in all"
            )
            lines += [f"break     {_first_line(why)} ({count})" for why, count in self.graph_breaks.items()]
        if not self.steady:
            lines.append("unsteady  two runs of the model as it was differ; each fold was compared for itself")
        return "\n".join([self.line(), *lines])

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left'>{title}</th>" for title in ("", "part", "kind", "result"))
        cells = ((row.action, row.name or "(model)", row.kind, row.text) for row in self.rows)
        rows = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in cells
        )
        breaks = "".join(f"<li>{escape(_first_line(why))} ({n})</li>" for why, n in self.graph_breaks.items())
        listed = f"<p>Graph breaks:</p><ul>{breaks}</ul>" if breaks else ""
        return f"<p>{escape(self.line())}</p><table><tr>{head}</tr>{rows}</table>{listed}"


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0]


_reports: WeakKeyDictionary[nn.Module, Report] = WeakKeyDictionary()


def keep(model: nn.Module, report: Report) -> None:
    """Let `report(model)` find what was done to this model."""
    _reports[model] = report


def forget(model: nn.Module) -> None:
    """There is nothing to report any more."""
    _reports.pop(model, None)


def report(model: nn.Module) -> Report:
    """What `accelerate` did to this very model: rows, speed, error, reasons and graph breaks; prints as a table.

    Raises:
        TypeError: `model` is no module.
        LookupError: it is not accelerated.
    """
    check_module(model)
    found = _reports.get(model)
    if found is None:
        raise LookupError(
            f"this {type(model).__name__} is not accelerated: call tconv.nn.accelerate(model, example) first; "
            "copies are not accelerated with their model"
        )
    return found
