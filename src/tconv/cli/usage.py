"""What is wrong with the arguments, in one sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tconv.names import printable

if TYPE_CHECKING:
    import cyclopts

# What options are called elsewhere, and here.
MEANT = {
    "--lr": "--rate", "--learning-rate": "--rate", "--alpha": "--rate", "--weight-decay": "--decay", "--wd": "--decay",
    "--epoch": "--epochs", "--num-epochs": "--epochs", "--batch-size": "--batch", "--bs": "--batch", "--bsz": "--batch",
    "--imgsz": "--size", "--img-size": "--size", "--image-size": "--size", "--crop": "--size", "--crop-size": "--size",
    "--patch-size": "--size", "--val": "--held-out", "--val-split": "--held-out", "--validation": "--held-out",
    "--test-size": "--held-out", "--arch": "--model", "--architecture": "--model", "--network": "--model",
    "--amp": "--precision", "--fp16": "--precision", "--bf16": "--precision", "--half": "--precision",
    "--early-stopping": "--patience", "--channels": "--features", "--width": "--features", "--filters": "--features",
    "--rotation": "--turn", "--rotate": "--turn", "--mirror": "--flip", "--hflip": "--flip", "--scale-range": "--zoom",
    "--brightness": "--light", "--contrast": "--light", "--jitter": "--light", "--random-seed": "--seed",
    "--upsampling": "--up", "--upsample": "--up", "--interpolation": "--kernel", "--mode": "--kernel",
    "--factor": "--scale", "--times": "--scale", "--output": "--out", "--output-dir": "--out", "--outdir": "--out",
    "--out-dir": "--out", "--dest": "--out", "--save": "--out", "--overwrite": "--again", "--force": "--again",
    "--tile-size": "--tile", "--window": "--tile", "--patch": "--tile", "--probs": "--probabilities",
    "--prob": "--probabilities", "--softmax": "--probabilities", "--cluster": "--dask", "--scheduler": "--dask",
    "--palette": "--colors", "--colours": "--colors", "--color-map": "--colors", "--colormap": "--colors",
    "--ram": "--memory", "--mem": "--memory", "--silent": "--quiet", "--count": "--number", "--num": "--number",
    "--n": "--number", "--continue": "--resume", "--cfg": "--config", "--kernel-size": "--kernel", "--pad": "--padding",
    "--strides": "--stride", "--input": "--in", "--input-size": "--in", "--in-size": "--in", "--k": "--kernel",
    "--s": "--stride", "--p": "--padding", "--op": "--output-padding", "--depth": "--unet",
}  # fmt: skip
FOLDERS = ("train", "predict", "compare-upsampling", "demo")  # commands that write to a folder


def usage(error: cyclopts.CycloptsError, commands: Collection[str]) -> str:
    """The sentence; `commands` are those of `tconv`, for an unknown one."""
    import cyclopts

    unused = (error.unused_tokens or [""])[0]
    if isinstance(error, cyclopts.UnknownCommandError):
        return unknown_command(unused, commands)
    if isinstance(error, cyclopts.UnknownOptionError):
        known = {name for argument in error.argument_collection for name in argument.names}
        written = (error.token.keyword or error.token.value).partition("=")[0]
        meant = MEANT.get(written.lower().replace("_", "-"))
        if meant in known:
            return f"unknown option: {printable(written)}; here it is {meant}"
    if isinstance(error, cyclopts.UnusedCliTokensError):
        return f"unexpected argument {unused!r}; options are written --name value, see --help"
    missing = error.argument if isinstance(error, cyclopts.MissingArgumentError) else None
    if missing is not None and "--out" in missing.names:
        folder = bool(set(FOLDERS) & set(error.command_chain or ()))
        return f"say where to write: -o {'FOLDER' if folder else 'FILE'}"
    if missing is not None and missing.index is not None:
        name = missing.name.removeprefix("--").upper()
        return f"{name} is missing; see tconv {' '.join(error.command_chain or ())} --help"
    message = str(error).strip()
    return message[:1].lower() + message[1:].removesuffix(".")


def unknown_command(name: str, commands: Collection[str]) -> str:
    """What is said of a command that is none, with the nearest one."""
    close = get_close_matches(name, commands, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"unknown command {name!r}; {meant}the commands are {', '.join(commands)}"
