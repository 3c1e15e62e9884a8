"""What a training chooses by itself: crops, channels, batch, time, each with its reason.

Only what is None in the settings is chosen. The rules are plain arithmetic, so that the same data on the same machine
give the same choice; and what was chosen is written into the run, so that it holds when the training goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tconv.segmentation.data.findings import Item
from tconv.segmentation.memory import available
from tconv.segmentation.train.settings import Chosen, Settings

RATES = (2e-3, 1e-3)  # the highest learning rate, from random weights and from known ones
MINUTES = 10.0  # if nothing is said
CROPS = 12_000  # after which small sets are hardly learned better
EPOCHS = (20, 300)  # within which that many crops are sought
STEPS = 48  # of an epoch, at least, where time is the limit
SIDE, STEP = 256, 16  # the largest crop, and what crops are multiples of
BOTTOM = 10  # pixels that a crop has left, at least, on the lowest level
LEVELS = (1, 4)
PIXELS = 40_000  # of the crops of a step: larger steps are fewer and learn less, smaller ones are noisy
BATCH = (2, 16)
WIDE = 240  # minutes times cores from which on twice the channels have the time to learn
MAPS = 14  # per level, which the gradient keeps: of two convolutions, norms and activations, both ways, and the skip
SHARE = 0.25  # of the memory that they may take
BALANCE = 0.01  # of all pixels: classes below it are called rare
HALVES = {"amx_bf16", "avx512_bf16"}  # processors that compute with bfloat16


@dataclass(frozen=True)
class Machine:
    """What computes.

    Attributes:
        cores: threads that PyTorch uses.
        memory: bytes.
        accelerator: whether there is one that PyTorch knows.
        halves: whether its processor computes with bfloat16.
    """

    cores: int
    memory: int
    accelerator: bool = False
    halves: bool = False


def this_machine() -> Machine:
    """The one that this runs on."""
    processors = Path("/proc/cpuinfo")
    flags = set(processors.read_text(encoding="utf-8").split()) if processors.exists() else set()
    return Machine(torch.get_num_threads(), available(), torch.accelerator.is_available(), bool(HALVES & flags))


@dataclass(frozen=True)
class Choice:
    """Settings in which nothing is open, and a line for each that was chosen, with the reason."""

    settings: Chosen
    reasons: tuple[str, ...]


def choose(
    wanted: Settings, items: Sequence[Item], classes: int, channels: int, start: Mapping[str, Any], machine: Machine
) -> Choice:
    """Fill in what `wanted` leaves open.

    Args:
        wanted: what was asked for.
        items: the sound pairs.
        classes, channels: of the network.
        start: what is known of the network that it starts from, as settings, which is kept where nothing else is asked
            for; else empty.
        machine: what computes.
    """
    values, reasons = asdict(wanted), list[str]()
    _architecture(values, start, reasons)
    limited = values["epochs"] is None  # by time, then
    if limited and values["minutes"] is None:
        values["minutes"] = MINUTES
    shortest = sorted(min(item.shape[:2]) for item in items)
    if values["size"] is None:
        values["size"], reason = _size(shortest, values)
        reasons.append(reason)
    if values["features"] is None:
        values["features"], reason = _features(values, machine)
        reasons.append(reason)
    if values["batch"] is None:
        values["batch"], reason = _batch(values, classes, channels, machine)
        reasons.append(reason)
    if limited:
        _time(wanted, values, len(items), reasons)
    reasons += _remarks(wanted, items, machine)
    return Choice(Chosen(**values), tuple(reasons))


def _architecture(values: dict[str, Any], start: Mapping[str, Any], reasons: list[str]) -> None:
    """Model, encoder and upsampling, and, where a model is there to start from, its channels."""
    if start and values["model"] is None and values["encoder"] is None:
        taken = [name for name in start if values[name] is None]
        for name in taken:
            values[name] = tuple(start[name]) if name == "features" else start[name]
        named = ", ".join(f"{name} {shown(values[name])}" for name in taken)
        reasons.append(f"{named}: as in the model that it starts from")
    if values["rate"] is None:
        known = bool(start) or values["encoder"] is not None
        values["rate"] = RATES[known]
        if known:
            reasons.append(f"rate {values['rate']:g}: half of the usual, as weights that have learned change less")
    values["model"] = values["model"] or "unet"
    values["up"] = values["up"] or "transposed"


def _time(wanted: Settings, values: dict[str, Any], images: int, reasons: list[str]) -> None:
    """How long an epoch is where time is the limit, and after how many of them a small set is learned."""
    learned = max(1, round(images * (1 - 1 / values["folds"] if values["folds"] > 1 else 1 - values["held_out"])))
    if values["steps"] is None:
        once = max(1, learned // (values["batch"] * values["accumulate"])) * values["accumulate"]
        values["steps"] = max(once, STEPS)
        passes = "one pass over the images" if values["steps"] == once else "so that measuring takes little of the time"
        reasons.append(f"steps {values['steps']} per epoch: {passes}")
    if wanted.minutes is None:
        crops = values["steps"] * values["batch"]
        values["epochs"] = min(max(-(-CROPS // crops), EPOCHS[0]), EPOCHS[1])
        reasons.append(
            f"minutes {MINUTES:g}, or {values['epochs']} epochs of {crops} crops if they are done before: as nothing "
            f"else was asked for by --minutes or --epochs"
        )


def _size(shortest: Sequence[int], values: dict[str, Any]) -> tuple[int, str]:
    """The crop: as large as three quarters of the images allow, up to 256."""
    side = shortest[len(shortest) // 4]
    size = max(min(SIDE, side // STEP * STEP), STEP)
    if values["features"] and values["model"] == "unet" and values["encoder"] is None:
        size = max(size, 2 ** len(values["features"]))
    typical = f"the shorter side of most images has {side} pixels or more"
    return size, f"size {size}: {typical}" + (f", and {SIDE} show enough around a pixel" if size == SIDE else "")


def _features(values: dict[str, Any], machine: Machine) -> tuple[tuple[int, ...], str]:
    size, minutes = values["size"], values["minutes"] or MINUTES
    first = 32 if machine.accelerator or minutes * machine.cores >= WIDE else 16
    levels = LEVELS[0]
    while levels < LEVELS[1] and size >> (levels + 1) >= BOTTOM:
        levels += 1
    why = f"a crop of {size} has {size >> levels} pixels left at the bottom"
    if values["model"] != "unet":
        levels, why = 5, "the network has five blocks"
    elif values["encoder"] is not None:
        levels, why = 4, "of the way up from the encoder"
    found = tuple(min(first << level, 256) for level in range(levels))
    speed = "an accelerator is there" if machine.accelerator else f"{machine.cores} cores compute"
    return found, f"features {shown(found)}: {why}, and {speed}"


def _batch(values: dict[str, Any], classes: int, channels: int, machine: Machine) -> tuple[int, str]:
    size, features = values["size"], values["features"]
    least, most = BATCH
    batch = min(max(round(PIXELS / size**2), least), most)
    why = f"{batch} crops of {size} x {size} are about {batch * size**2:,} pixels a step"
    pixel = 4 * (channels + 3 * classes + MAPS * sum(count / 4**level for level, count in enumerate(features)))
    room = max(1, int(SHARE * machine.memory / (pixel * size**2)))
    if room < batch:
        return room, f"batch {room}: a quarter of the memory, {machine.memory / 2**30:.0f} GiB, holds no more"
    return batch, f"batch {batch}: {why}"


def _remarks(wanted: Settings, items: Sequence[Item], machine: Machine) -> list[str]:
    """What is not chosen and yet worth knowing."""
    said = []
    areas = [prod(item.shape[:2]) for item in items]
    if max(areas) > 16 * median(areas):
        said.append(f"note: images differ in size, from {min(areas):,} to {max(areas):,} pixels; each counts alike")
    total: dict[int, int] = {}
    for item in items:
        for value, count in item.counts.items():
            total[value] = total.get(value, 0) + count
    rare = [value for value, count in sorted(total.items()) if count < BALANCE * sum(total.values())]
    if rare and wanted.weights == "balanced":
        said.append(f"note: rare values in the masks ({shown(rare)}) weigh more in the loss, by --weights balanced")
    if machine.halves and wanted.precision == "no" and not machine.accelerator:
        said.append("note: this processor computes with bfloat16; --precision bf16 may be faster")
    return said


def shown(value: object) -> str:
    """A value as the command line writes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
