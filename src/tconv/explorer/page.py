"""The explorer as one HTML file: no network, no build step. The modules of `web/` are joined into one script.

Nothing but that script may run in the page, and nothing may be fetched: its policy names the script by its digest.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from tconv.explorer.palette import DARK, LIGHT, Theme
from tconv.explorer.scene import Role

MODULES = (  # a module stands after those that it imports from
    "relation.js",
    "words.js",
    "lessonwords.js",
    "layer.js",
    "laws.js",
    "linear.js",
    "solver.js",
    "dialects.js",
    "state.js",
    "presets.js",
    "draw.js",
    "plates.js",
    "neurons.js",
    "chains.js",
    "views.js",
    "controls.js",
    "strips.js",
    "photos.js",
    "learned.js",
    "learnedpanel.js",
    "opening.js",
    "tasks.js",
    "steps.js",
    "lesson.js",
    "editor.js",
    "panels.js",
    "network.js",
    "networkpanel.js",
    "below.js",
    "under.js",
    "save.js",
    "cards.js",
    "player.js",
    "app.js",
)
EXTRA = {  # colours of the page that no picture has
    "light": {"ground": "#f4f6f8", "line": "#dde2e7", "edge": "#8a95a1", "hover": "#eef1f4"},
    "dark": {"ground": "#0b0e12", "line": "#2a3038", "edge": "#5d6874", "hover": "#1e242b"},
}
ACCENT = {
    "light": {"accent": "#2457a8", "on-accent": "#ffffff"},
    "dark": {"accent": "#8ab4f8", "on-accent": "#0b1a30"},
}


def page(start: dict[str, Any]) -> str:
    """The page, beginning with a layer.

    Args:
        start: the state that `web/state.js` describes; what is left out is as there.
    """
    parts = {
        "POLICY": _policy(script()),
        "STYLE": _web("style.css") + _web("lesson.css") + _variables(),
        "SCENE": _web("scene.css") + _roles(),
        "START": json.dumps(start, separators=(",", ":")).replace("<", "\\u003c"),
        "SCRIPT": script(),
    }
    return re.sub(r"@([A-Z]+)@", lambda match: parts[match[1]], _web("page.html"))


@lru_cache(maxsize=1)
def script() -> str:
    """All modules as one: their imports and the word export taken out, as they now share one scope."""
    joined = "\n".join(_web(name) for name in MODULES)
    joined = re.sub(r"^import (?:\{[^}]*\} from )?\"\./[a-z]+\.js\";\n", "", joined, flags=re.MULTILINE)
    return "\n" + re.sub(r"^export ", "", joined, flags=re.MULTILINE)


def _web(name: str) -> str:
    return (files("tconv.explorer") / "web" / name).read_text(encoding="utf-8")


def _policy(code: str) -> str:
    digest = b64encode(sha256(code.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        f"base-uri 'none'; form-action 'none'"
    )


def _variables() -> str:
    """The colours of both themes; the reader's own choice comes before that of the system."""
    light, dark = _theme("light", LIGHT), _theme("dark", DARK)
    return (
        f":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n:root[data-theme=light]{{color-scheme:light}}\n"
    )


def _theme(name: str, theme: Theme) -> str:
    colours = {"paper": theme.paper, "ink": theme.ink, "soft": theme.soft, **EXTRA[name], **ACCENT[name]}
    for role, tint, key in _names():
        found = theme.of(role, tint)
        colours |= {f"{key}-{part}": value for part, value in found._asdict().items()}
    return f"color-scheme:{name};" + "".join(f"--{key}:{value};" for key, value in colours.items())


def _roles() -> str:
    """The rules of a picture: the fill of a cell, its number, and names in its colour."""
    return "".join(
        f".{key}{{fill:var(--{key}-fill);stroke:var(--{key}-edge);background:var(--{key}-fill);"
        f"border-color:var(--{key}-edge);color:var(--{key}-ink)}}.{key}-t{{fill:var(--{key}-ink)}}"
        f".{key}-n{{fill:var(--{key}-edge);color:var(--{key}-edge)}}"
        f".lit.{key}{{fill:var(--{key}-lit);stroke:var(--{key}-edge);background:var(--{key}-lit)}}"
        for _, _, key in _names()
    )


def _names() -> list[tuple[Role, int, str]]:
    """Every role and tint, and its name in styles."""
    return [
        (role, tint, f"{role}{tint}" if len(tints) > 1 else str(role))
        for role, tints in LIGHT.roles.items()
        for tint in range(len(tints))
    ]
