"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import geometric_mean

from on_gpu.device import Ceilings
from on_gpu.layers import OURS, THEIRS, Row, allowed
from on_gpu.models import Network
from on_gpu.training import Step
from on_gpu.tuning import Tuned


def report(
    facts: dict[str, str],
    limits: Ceilings,
    rows: Sequence[Row],
    networks: Sequence[Network],
    steps: Sequence[Step],
    tuned: Sequence[Tuned],
    how: str,
) -> str:
    """The whole page."""
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    parts = [f"# On a GPU\n\n{how}\n\n{listed}\n\n{_limits(limits)}"]
    parts += [_layers(rows, dtype) for dtype in dict.fromkeys(row.dtype for row in rows)]
    parts += [_networks(networks)] * bool(networks) + [_training(steps)] * bool(steps) + [_tuned(tuned)] * bool(tuned)
    return "\n\n".join(parts) + "\n"


def summary(rows: Sequence[Row]) -> str:
    """In a few lines: how much faster than PyTorch, how far from the floor, what is slower or wrong."""
    lines = []
    for dtype in dict.fromkeys(row.dtype for row in rows):
        own = [row for row in rows if row.dtype == dtype]
        speeds = [speed for row in own if (speed := row.speed())]
        if not speeds:
            lines.append(f"{dtype}: nothing to compare")
            continue
        to_floor = [best / row.floor for row in own if (best := row.best(OURS))]
        theirs = [best / row.floor for row in own if (best := row.best(THEIRS))]
        slower = [f"{row.layer} x {row.batch}" for row in own if (speed := row.speed()) and speed < 0.98]
        wrong = [f"{row.layer} x {row.batch} ({row.error:.1e})" for row in own if not row.error <= allowed(dtype)]
        lines.append(
            f"{dtype}: {len(speeds)} layers, {geometric_mean(speeds):.2f}x PyTorch's better layout (least "
            f"{min(speeds):.2f}x), {geometric_mean(to_floor):.2f} floors where PyTorch takes "
            f"{geometric_mean(theirs):.2f}; slower on {', '.join(slower) or 'none'}; wrong on "
            f"{', '.join(wrong) or 'none'}"
        )
    return "\n".join(lines)


def _limits(limits: Ceilings) -> str:
    rates = ", ".join(f"{name} {rate / 1e12:.0f}" for name, rate in limits.multiply.items())
    return (
        f"A kernel that copies moves {limits.copy / 1e12:.2f} TB/s, a matrix product computes (TFLOP/s) {rates}, and "
        f"the smallest kernel takes {limits.smallest * 1e6:.1f} us. A layer's floor is the longest of the three times."
    )


def _us(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.1f}"


def _layers(rows: Sequence[Row], dtype: str) -> str:
    own = [row for row in rows if row.dtype == dtype]
    names = [name for name in (*THEIRS, "compiled", *OURS) if any(name in row.device for row in own)]
    lines = [f"## Layers in {dtype}", "", summary(own), ""]
    heads = ["layer, x batch", "floor", *names, "floors", "x PyTorch", "enqueue: PyTorch, tconv", "error"]
    lines.append(f"| {' | '.join(heads)} |")
    lines.append("| --- " + "| ---: " * (len(names) + 5) + "|")
    for row in own:
        best, speed = row.best(OURS), row.speed()
        enqueue = [min((row.enqueued[n] for n in group if n in row.enqueued), default=None) for group in (THEIRS, OURS)]
        cells = [f"{row.layer} x {row.batch} ({row.bound})", _us(row.floor), *(_us(row.device.get(n)) for n in names)]
        cells += [f"{best / row.floor:.2f}" if best else "", f"{speed:.2f}" if speed else ""]
        cells += [", ".join(map(_us, enqueue)), f"{row.error:.1e}"]
        lines.append(f"| {' | '.join(cells)} |")
    failed = [f"- {row.layer} x {row.batch}, {name}: {why}" for row in own for name, why in row.failed.items()]
    if failed:
        lines += ["", "Without a time:", "", *failed]
    return "\n".join(lines)


def _networks(networks: Sequence[Network]) -> str:
    names = ("torch", "torch_cl", "compiled", "tconv")
    lines = ["## Networks", "", "Milliseconds of the device (until the call returns).", ""]
    lines.append(f"| network | {' | '.join(names)} | x the best of the others | error (between PyTorch's layouts) |")
    lines.append("| --- " + "| ---: " * (len(names) + 2) + "|")
    for network in networks:
        cells = [f"{network.name}, {network.dtype}"]
        for name in names:
            device, enqueued = network.device.get(name), network.enqueued.get(name)
            cells.append("" if device is None or enqueued is None else f"{device * 1e3:.3f} ({enqueued * 1e3:.3f})")
        speed = network.speed()
        cells += [f"{speed:.2f}" if speed else "", f"{network.error:.1e} ({network.own_error:.1e})"]
        lines.append(f"| {' | '.join(cells)} |")
    for network in networks:
        lines += ["", f"{network.name}:", "", "```text", network.report or "not accelerated", "```"]
        lines += [f"- {name}: {why}" for name, why in network.failed.items()]
    return "\n".join(lines)


def _training(steps: Sequence[Step]) -> str:
    lines = [
        "## Forward and backward",
        "",
        "Microseconds of a step with everything that starts it; weights change.",
        "",
    ]
    lines += ["| layer | torch | tconv | x |", "| --- | ---: | ---: | ---: |"]
    for step in steps:
        speed, device = step.speed(), step.device
        cells = [f"{step.layer}, {step.dtype}", _us(device.get("torch")), _us(device.get("tconv"))]
        lines.append(f"| {' | '.join([*cells, f'{speed:.2f}' if speed else ''])} |")
        lines += [f"| {step.layer}: {name}: {why} | | | |" for name, why in step.failed.items()]
    return "\n".join(lines)


def _tuned(tuned: Sequence[Tuned]) -> str:
    lines = ["## Choices", "", "| task | choice | first candidate, us | best, us | PyTorch, us | wrong |"]
    lines.append("| --- | --- | ---: | ---: | ---: | --- |")
    for each in tuned:
        numbers = " | ".join(map(_us, (each.first, each.best, each.theirs)))
        lines.append(f"| {each.task} | {each.choice} of {each.tried} | {numbers} | {'; '.join(each.wrong)} |")
    return "\n".join(lines)
