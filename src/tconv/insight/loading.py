"""A model by what stands on a command line: a run of `tconv segment train`, an exported program, or one's own code."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tconv import errors


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model, and how it reads images.

    Attributes:
        model: in evaluation mode, if it knows one.
        channels: of its images, or None if nothing says so.
        mean, std: per channel, of pixels in [0, 1]; None if nothing says so.
    """

    model: nn.Module
    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def load_model(text: str) -> Loaded:
    """The model that `text` names.

    Args:
        text: a run folder or checkpoint of `tconv segment train`; a `torch.export` program, FILE.pt2; or
            MODULE:CALLABLE, what builds a model without arguments, or is one. Python code is run in the last case, as
            it is named there, and modules of the current folder are found; a .pt2 may hold pickles, so that it must
            come from somebody who is trusted.

    Raises:
        FileNotFoundError: nothing has this name.
        TconvError: it is no model; the message says why.
    """
    path = Path(text)
    if path.suffix.lower() == ".pt2":
        return _program(path)
    if ":" in text and not path.exists():
        return _own(text)
    if not path.exists():
        raise FileNotFoundError(
            f"{text}: there is no such model; give a run folder of `tconv segment train`, a .pt2 file, or "
            f"MODULE:CALLABLE"
        )
    from tconv.segmentation import load

    model, card = load(path)
    return Loaded(model, card.channels, card.mean, card.std)


def _program(path: Path) -> Loaded:
    """A program as modules with the names of the model that it was exported from."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file; `tconv segment export` writes one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch says about its own format
            program = torch.export.load(path)
            model: Any = torch.export.unflatten(program)
    except Exception as error:  # PyTorch's reader raises whatever its parts do
        said = " ".join(str(error).split())
        raise errors.TconvError(f"{path} is no torch.export program that can be read ({said[:200]})") from error
    shapes = [tuple(each.shape) for each in (program.example_inputs or ((), {}))[0] if isinstance(each, torch.Tensor)]
    channels = int(shapes[0][1]) if shapes and len(shapes[0]) > 2 else None
    if channels is not None:
        model.in_channels = channels  # where layers say it, and exported ones do not
    return Loaded(model, channels)


def _own(text: str) -> Loaded:
    module, _, name = text.partition(":")
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        made: Any = import_module(module)
    except ImportError as error:
        raise errors.TconvError(f"{text}: {module} cannot be imported ({error}); write MODULE:CALLABLE") from error
    finally:
        sys.path[:] = before
    for part in name.split("."):
        if not hasattr(made, part):
            raise errors.TconvError(f"{text}: {module} has no {name}; write MODULE:CALLABLE")
        made = getattr(made, part)
    if not isinstance(made, nn.Module):
        if not callable(made):
            raise errors.TconvError(f"{text} is of type {type(made).__name__}; name a model, or what builds one")
        made = made()
    if not isinstance(made, nn.Module):
        raise errors.TconvError(f"{text}() gives {type(made).__name__}; it must give a torch.nn.Module")
    return Loaded(made)
