"""The numbers of a race as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from math import exp, log
from typing import Any

from zoo import Entry

EAGER = ("torch", "torch_cl")
OURS = "tconv"
ALLOWED = 10.0
"""Errors up to this many times those of eager PyTorch count as those of single precision."""

Race = Mapping[str, Any]


def better_eager(each: Race) -> float:
    """Seconds of the faster of eager PyTorch's two layouts; NaN without them."""
    return min((each[name]["seconds"] for name in EAGER if "seconds" in each.get(name, {})), default=float("nan"))


def error_ratio(each: Race, contender: str) -> float:
    """A contender's error over that of eager PyTorch in the default layout; NaN where that has none."""
    own = each.get("torch", {}).get("error", 0.0)
    return float(each[contender]["error"] / own) if own else float("nan")


def known(value: float, form: str) -> str:
    return "" if value != value else format(value, form)


def model_table(name: str, entry: Entry, race: Race) -> str:
    """One model, a line for each contender."""
    each, expected = race["each"], race["expected"]
    kinds = ", ".join(f"{n} {kind}" for kind, n in expected["kinds"].items() if n)
    package = entry.package or "from its paper"
    lines = [f"### {name}\n", f"{package}: {entry.source}. {kinds}. Errors against {expected['precision']}.\n"]
    lines.append("| contender | ms | better eager / it | largest error | error / eager's | peak MB | ready s |")
    lines.append("| --- " * 7 + "|")
    for contender, it in each.items():
        if "failed" in it:
            lines.append(f"| {contender} | failed: {cell(it['failed'])} | | | | | |")
            continue
        ratio = known(better_eager(each) / it["seconds"], ".2f")
        errors = f"{it['error']:.1e} | {known(error_ratio(each, contender), '.1f')}"
        lines.append(
            f"| {contender} | {it['seconds'] * 1e3:.1f} | {ratio} | {errors} | {it['peak']:.0f} | {it['ready']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """The beginning of a text, as a cell of a table."""
    short = text if len(text) <= 120 else f"{text[:117]}..."
    return short.replace("|", "/")


def summary(races: Mapping[str, Race]) -> str:
    """A line for each model, the geometric mean of the better eager layout over tconv, and the worst."""
    names = list(dict.fromkeys(name for race in races.values() for name in race["each"]))
    lines = ["| model | " + " | ".join(f"{n} ms" for n in names) + " | better eager / tconv | error / eager's |"]
    lines.append("| --- " * (len(names) + 3) + "|")
    for model, race in races.items():
        each = race["each"]
        times = " | ".join(known(each.get(n, {}).get("seconds", float("nan")) * 1e3, ".1f") or "failed" for n in names)
        ours = "seconds" in each.get(OURS, {})
        ratio = known(gain(each), ".2f") if ours else ""
        error = known(error_ratio(each, OURS), ".1f") if ours else ""
        lines.append(f"| {model} | {times} | {ratio} | {error} |")
    return "\n".join(lines) + "\n" + verdict(races)


def gain(each: Race) -> float:
    return float(better_eager(each) / each[OURS]["seconds"])


def verdict(races: Mapping[str, Race]) -> str:
    """The mean and the worst in words; empty where tconv did not run."""
    asked = {model: race["each"] for model, race in races.items() if OURS in race["each"]}
    ran = {model: each for model, each in asked.items() if "seconds" in each[OURS]}
    gains = {model: it for model, each in ran.items() if (it := gain(each)) == it}
    if not gains:
        return ""
    mean = exp(sum(map(log, gains.values())) / len(gains))
    worst = min(gains, key=lambda model: gains[model])
    text = f"\nGeometric mean of better eager / tconv over {len(gains)} models: {mean:.2f}; worst: {worst}, "
    text += f"{gains[worst]:.2f}."
    beyond = [model for model, each in ran.items() if error_ratio(each, OURS) > ALLOWED]
    if beyond:
        text += f" Error beyond {ALLOWED:.0f} times eager's: {', '.join(beyond)}."
    if failed := [model for model in asked if model not in ran]:
        text += f" Failed, and not in the mean: {', '.join(failed)}."
    return text + "\n"


def versions(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Of the packages that the models come from, and of those beneath them."""
    names = sorted({entry.package for entry in entries.values() if entry.package} | {"timm", "torchvision"})
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
