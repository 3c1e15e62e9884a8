"""`tconv explore`: the page of a layer in the browser."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv import outputs
from tconv.cli.layer_options import EXAMPLE, LayerOptions
from tconv.cli.options import DEFAULTS, GeometryOptions
from tconv.cli.subject import ALONE, NetworkOptions, subject
from tconv.explorer.explanation import OTHERS
from tconv.names import shown

STARTS_WITH = GeometryOptions(stride="2")  # nothing is cropped yet


def explore(
    *,
    layer: LayerOptions = EXAMPLE,
    geometry: GeometryOptions = DEFAULTS,
    network: NetworkOptions = ALONE,
    form: str = "all",
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
) -> None:
    """Explore a layer in the browser: every form, linked, with numbers to change.

    Writes one HTML file that needs no network, opens it where there is a
    browser, and prints its path. Without options it begins with a lesson of
    ten minutes, from which the explorer is one click away.

        tconv explore
        tconv explore --in 4x4 --kernel 3 --stride 2 --padding 1
        tconv explore --x [1,2,3] --w [1,2,1] --form phases -o layer.html
        tconv explore --form network --in 101 --depth 4

    Args:
        form: The view to begin with: all, or one of scatter, gather, zero_insert, matrix, phases, col2im, forward,
            coverage, adjoint, windows, neurons, undoing; or network or learned, which are of no layer.
        out: Where to write the page, instead of a temporary file.
    """
    if (layer, geometry, network, form) == (EXAMPLE, DEFAULTS, ALONE, "all"):
        page = layer.explanation(STARTS_WITH).html(lesson=True)
    else:
        example = (layer, geometry) == (EXAMPLE, DEFAULTS) and form not in OTHERS
        page = subject(form, layer, STARTS_WITH if example else geometry, network).html()
    if out is None:
        folder = Path(tempfile.mkdtemp(prefix="tconv-"))
        out = folder / "explorer.html"
    outputs.check_file(out, layer.files(), again=True)
    outputs.write(out, page)
    if has_browser():
        webbrowser.open(out.resolve().as_uri())
    print(shown(out))


def has_browser() -> bool:
    """Whether a window can open here. A browser that runs in the terminal would take it over, and shows no page."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
