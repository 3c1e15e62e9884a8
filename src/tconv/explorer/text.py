"""A trace as text for the terminal: in colour there, plain where it is piped, and the same every time."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from tconv import errors
from tconv.explorer import words
from tconv.explorer.grids import Facts, Flow
from tconv.explorer.marks import HOLE, Section, inputs, kernels, outputs
from tconv.explorer.sections import SECTIONS
from tconv.explorer.trace import Trace
from tconv.explorer.words import number

MOST = 40  # entries of one section where all are shown


def text(trace: Trace, form: str = "all") -> Group:
    """What to print: the layer, then one section, or all.

    Args:
        form: "all" or one of `SECTIONS`; hyphens do as well.

    Raises:
        TconvError: an unknown form.
        RankError: three spatial axes.
    """
    if trace.geometry.ndim > 2:
        raise errors.RankError(
            f"{trace.geometry.ndim} spatial axes do not fit into text; explain a layer with 1 or 2 (each axis works "
            f"alike), or draw this one: svg() or html()"
        )
    chosen = form.replace("-", "_")
    if chosen != "all" and chosen not in SECTIONS:
        raise errors.TconvError(f"form {form!r} is unknown; choose all or one of {', '.join(SECTIONS)}")
    if chosen == "all":
        sections = [section(trace, MOST) for section in SECTIONS.values()]
    else:
        sections = [SECTIONS[chosen](trace, None)]
    return Group(*_heading(trace), *(part for each in sections for part in _section(each)))


def alone(title: str, section: Section) -> Group:
    """What to print of something that is no layer: its title and its section."""
    return Group(Text(title, style="bold"), *_section(section))


def _heading(trace: Trace) -> Iterator[RenderableType]:
    """The arrays, and the relation with this layer's numbers."""
    yield Text(str(trace.geometry), style="bold")
    yield Text()
    yield Flow([*inputs(trace), *kernels("w", trace, trace.weight), *outputs(trace)])
    yield Text()
    relation = words.per_axis(trace.geometry, trace.in_size, lambda axis, _: words.relation(axis))
    size = words.per_axis(trace.geometry, trace.in_size, words.size)
    facts = [("input i and tap k meet at", "\n".join(relation)), ("output size", "\n".join(size))]
    if trace.bias is not None:
        bias = ", ".join(map(number, trace.bias))
        facts.append(("bias", f"{bias} on every cell; below only gather shows it"))
    if not all(s.products for s in trace.sums):
        facts.append((f"marked {HOLE}", "no input reaches this cell"))
    yield Facts(facts)


def _section(section: Section) -> Iterator[RenderableType]:
    yield Text()
    yield Rule(Text(section.title, style="bold"), align="left", style="dim")
    yield Facts([("", section.says)])
    for part in section.body:
        yield Text()
        yield part
    if section.left_out:
        name = section.title.partition(":")[0]
        yield Text(f"... and {section.left_out} more; --form {name} shows them all", style="dim")
