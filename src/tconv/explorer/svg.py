"""Scenes as SVG, still or moving: text that any browser, README or notebook shows, in the reader's colour scheme.

A moving one needs no script: styles show every mark while its frames last, so each is written once, however many frames
share it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape

from tconv.explorer.palette import DARK, LIGHT, Theme
from tconv.explorer.scene import Arrow, Box, Edge, Film, Frame, Mark, Picture, Role, Scene, Words

CELL = 36  # pixels
FONT = "ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,'Noto Sans',sans-serif"


def still(scene: Scene, clear: Theme | None = None) -> str:
    """One scene; with `clear` in the colours of that theme alone, and with nothing behind the cells."""
    marks = [_mark(mark) for mark in scene.marks]
    return _document(scene.width, scene.height, scene.says, marks, _roles(scene.marks), clear=clear)


def moving(film: Film, seconds: float = 1.0, clear: Theme | None = None) -> str:
    """All scenes of a film, each for `seconds`, again and again; `clear` as in `still`."""
    frames = len(film.scenes)
    lasts: dict[Mark, list[int]] = {}
    for n, scene in enumerate(film.scenes):
        for mark in dict.fromkeys(scene.marks):
            lasts.setdefault(mark, []).append(n)
    groups: dict[tuple[bool, tuple[int, ...]], list[Mark]] = {}
    for mark, shown in lasts.items():
        over = not isinstance(mark, Box)  # frames, edges and words lie over the cells
        groups.setdefault((over, tuple(shown)), []).append(mark)
    spans = dict.fromkeys(span for _, span in groups if len(span) < frames)
    names = {span: f"t{n}" for n, span in enumerate(spans)}
    parts = []
    for (_, span), marks in sorted(groups.items(), key=lambda group: group[0][0]):
        inside = "".join(_mark(mark) for mark in marks)
        parts.append(f'<g class="{names[span]}">{inside}</g>' if span in names else inside)
    lasting = f"{frames * seconds:g}s step-end infinite"
    style = "".join(
        f".{name}{{animation:{name} {lasting}}}@keyframes {name}{{{_times(span, frames)}}}"
        for span, name in names.items()
    )
    return _document(*film.size, film.title, parts, _roles(lasts), style, clear)


def _times(shown: tuple[int, ...], frames: int) -> str:
    """When a group comes and goes, in percent of the film; at the start of a frame it changes, and stays so."""
    states = [n in shown for n in range(frames)]
    changes = [n for n in range(frames) if n == 0 or states[n] != states[n - 1]]
    return "".join(f"{100 * n / frames:.5g}%{{visibility:{'visible' if states[n] else 'hidden'}}}" for n in changes)


def _document(
    width: float,
    height: float,
    says: str,
    parts: Iterable[str],
    roles: list[tuple[Role, int]],
    style: str = "",
    clear: Theme | None = None,
) -> str:
    size = f'width="{_px(width)}" height="{_px(height)}" viewBox="0 0 {_px(width)} {_px(height)}"'
    dark = "" if clear else f"@media(prefers-color-scheme:dark){{{_style(DARK, roles)}}}"
    light = _style(clear or LIGHT, roles)
    paper = [] if clear else [f'<rect class="paper" width="{_px(width)}" height="{_px(height)}"/>']
    text = f"text{{font-family:{FONT};dominant-baseline:central;font-variant-numeric:tabular-nums}}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(says)}">',
        f"<style>{text}rect{{stroke-width:1}}.w{{fill:none;stroke-width:2.5}}{light}{dark}{style}</style>",
        *paper,
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _roles(marks: Iterable[Mark]) -> list[tuple[Role, int]]:
    """What needs a colour, in a fixed order."""
    return sorted(
        {(mark.role, mark.tint if isinstance(mark, Box | Edge) else 0) for mark in marks if hasattr(mark, "role")}
    )


def _style(theme: Theme, roles: list[tuple[Role, int]]) -> str:
    """The rules of one theme, for the roles that occur."""
    rules = [f".paper{{fill:{theme.paper};stroke:none}}.ink{{fill:{theme.ink}}}.soft{{fill:{theme.soft}}}"]
    rules.append(f".arrow{{stroke:{theme.soft};fill:none;stroke-width:1.5}}")
    for role, tint in roles:
        colours, name = theme.of(role, tint), _name(role, tint)
        rules.append(
            f".{name}{{fill:{colours.fill};stroke:{colours.edge}}}.{name}.lit{{fill:{colours.lit};stroke-width:2}}"
            f".{name}-t{{fill:{colours.ink}}}.{name}-n{{fill:{colours.edge}}}.w.{name}{{fill:none}}"
        )
    return "".join(rules)


def _name(role: Role, tint: int) -> str:
    return f"{role}{tint}" if role in (Role.PHASE, Role.HEAT) else str(role)


def _mark(mark: Mark) -> str:
    if isinstance(mark, Box):
        return _box(mark)
    if isinstance(mark, Words):
        return _words(mark)
    if isinstance(mark, Frame):
        size = f'width="{_px(mark.width)}" height="{_px(mark.height)}"'
        return f'<rect class="w {_name(mark.role, 0)}" x="{_px(mark.x)}" y="{_px(mark.y)}" {size} rx="3"/>'
    if isinstance(mark, Edge):
        return _edge(mark)
    return _picture(mark) if isinstance(mark, Picture) else _arrow(mark)


def _box(box: Box) -> str:
    name = _name(box.role, box.tint)
    cell = (
        f'<rect class="{name}{" lit" if box.lit else ""}" x="{_px(box.x)}" y="{_px(box.y)}" '
        f'width="{_px(box.width)}" height="{CELL}"/>'
    )
    if not box.text:
        return cell
    x, y = _px(box.x + box.width / 2), _px(box.y + 0.5)
    weight = ' font-weight="700"' if box.lit else ""
    return (
        f'{cell}<text class="{name}-t" x="{x}" y="{y}" font-size="{_px(box.size)}"{weight} text-anchor="middle">'
        f"{escape(box.text)}</text>"
    )


def _words(words: Words) -> str:
    ink = f"{words.role}-n" if words.role != Role.PLAIN else "ink" if words.size >= 0.4 else "soft"
    weight = ' font-weight="600"' if words.bold else ""
    anchor = f' text-anchor="{words.anchor}"' if words.anchor != "start" else ""
    place = f'x="{_px(words.x)}" y="{_px(words.y)}" font-size="{_px(words.size)}"'
    return f'<text class="{ink}" {place}{weight}{anchor} xml:space="preserve">{escape(words.text)}</text>'


def _arrow(arrow: Arrow) -> str:
    x, y = _px(arrow.to_x), _px(arrow.to_y)
    return f'<path class="arrow" d="M{_px(arrow.x)} {_px(arrow.y)}L{x} {y}m-6 -4l6 4l-6 4"/>'


def _picture(picture: Picture) -> str:
    size = f'width="{_px(picture.width)}" height="{_px(picture.height)}" preserveAspectRatio="none"'
    sharp = ' style="image-rendering:pixelated"' if picture.sharp else ""
    said = f"<title>{escape(picture.says)}</title>" if picture.says else ""
    data = b64encode(picture.png).decode()
    place = f'x="{_px(picture.x)}" y="{_px(picture.y)}"'
    return f'<image {place} {size}{sharp} href="data:image/png;base64,{data}">{said}</image>'


def _edge(edge: Edge) -> str:
    shown = f' stroke-width="{3 if edge.lit else 1.2}"' + ("" if edge.lit else ' opacity="0.55"')
    to = f"{_px(edge.to_x)} {_px(edge.to_y)}"
    return f'<path class="{_name(edge.role, edge.tint)}"{shown} d="M{_px(edge.x)} {_px(edge.y)}L{to}"/>'


def _px(length: float) -> str:
    """Cells as pixels, without digits that nobody sees."""
    return f"{length * CELL:.2f}".rstrip("0").rstrip(".")
