"""Trained models in files, and the weights of others.

A model is one safetensors file with the card in its header: plain numbers behind a JSON text, which nothing can hide
code in, which maps into memory, and which other languages read. A checksum in the header finds damaged numbers.
PyTorch's own files (.pt, .pth) are read too, with `weights_only`, which refuses everything that is not a tensor.
"""

from __future__ import annotations

import pickle
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tconv import errors
from tconv.outputs import write
from tconv.segmentation.card import Card

BEST = "best.safetensors"  # in a run folder
NESTED = ("state_dict", "model_state_dict", "model", "ema_state_dict", "net", "weights")  # where others keep it
COMPILED = "_orig_mod."  # what torch.compile puts before the names of a module that it wraps


def save(path: str | Path, model: nn.Module, card: Card) -> None:
    """Write the model's weights and its card; the file appears when it is complete.

    Raises:
        ImageFileError: it cannot be written.
    """
    from safetensors.torch import save as to_bytes

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write(path, to_bytes(state, {"card": card.to_json(), "crc32": str(checksum(state))}))


def load(path: str | Path) -> tuple[nn.Module, Card]:
    """The model, in evaluation mode, and its card.

    Args:
        path: a file that `save` wrote, or a run folder, which stands for its best checkpoint.

    Raises:
        FileNotFoundError: there is none.
        TconvError: not such a file, damaged, or of another version; the message says what to do.
    """
    path = Path(path)
    if path.is_dir():
        path = path / BEST
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such model; give a run folder of `tconv segment train`")
    state, about = _read(path)
    if "card" not in about:
        raise errors.TconvError(f"{path} has no model card: it was not written by tconv; load_weights() reads weights")
    card = Card.from_json(about["card"], str(path))
    if about.get("crc32") != str(checksum(state)):
        raise errors.TconvError(f"{path} is damaged: its numbers do not fit its checksum; take another copy")
    model = card.build()
    _fill(model, state, path)
    return model.eval(), card


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Fill `model` with a state dict in a .safetensors, .pt or .pth file, as tutorials and others write them.

    Args:
        model: changed in place.
        path: a state dict, or a dictionary that holds one as `state_dict`, `model_state_dict` or `model`; what wrappers
            put before the names (`module.`, `_orig_mod.`, `model.`) is left out.

    Returns:
        `model`.

    Raises:
        OSError: the file cannot be opened.
        TconvError: damaged, not only tensors, or of another model; the message names what differs.
    """
    path = Path(path)
    state = read_any(path)[0]
    _fill(model, plain_names(state, model.state_dict()), path)
    return model


def read_any(path: str | Path) -> tuple[dict[str, Tensor], Card | None]:
    """The tensors of a checkpoint by name, and its card if it was written by tconv.

    Args:
        path: a run folder, or a .safetensors, .pt, .pth or .ckpt file: a state dict, or a dictionary that holds one, as
            Lightning writes it.

    Raises:
        FileNotFoundError: there is none.
        TconvError: damaged, or without tensors.
    """
    path = Path(path)
    if path.is_dir():
        path = path / BEST
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such checkpoint; give a run folder, or a file of weights")
    if path.suffix == ".safetensors":
        state, about = _read(path)
        if "crc32" in about and about["crc32"] != str(checksum(state)):
            raise errors.TconvError(f"{path} is damaged: its numbers do not fit its checksum; take another copy")
        return state, Card.from_json(about["card"], str(path)) if "card" in about else None
    found = read_pt(path)
    nested = next((found[key] for key in NESTED if isinstance(found.get(key), Mapping)), found)
    tensors = {name: tensor for name, tensor in nested.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise errors.TconvError(f"{path} holds no tensors by name; save model.state_dict()")
    return tensors, None


def plain_names(state: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """A state dict without what wrappers put before the names: DataParallel's `module.`, torch.compile's `_orig_mod.`,
    Lightning's `model.`, or any other that most names of a network have in common.

    Args:
        state: tensors by name.
        wanted: the names of the network.

    Returns:
        Those with the prefix under which most of `wanted` are found; all of them, if none is.
    """
    names, state = set(wanted), {name.replace(COMPILED, ""): tensor for name, tensor in state.items()}
    prefixes = Counter(name[:place] for name in state for place in _starts(name) if name[place:] in names)
    if not prefixes:
        return state
    best = min(prefixes, key=lambda prefix: (-prefixes[prefix], len(prefix)))
    return {name.removeprefix(best): tensor for name, tensor in state.items() if name.startswith(best)}


def _starts(name: str) -> Iterator[int]:
    """Where the parts of a name begin."""
    yield 0
    yield from (place + 1 for place, letter in enumerate(name) if letter == ".")


def read_pt(path: Path) -> dict[str, Any]:
    """The dictionary that torch.save wrote; nothing in it is executed.

    Classes of others, such as the settings that Lightning keeps beside the weights, are read as empty shells.
    """
    try:
        shells: list[Any] = [(_shell(name), name) for name in _unknown(path)]
        with torch.serialization.safe_globals(shells):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise errors.TconvError(
            f"{path} holds more than tensors, or is no checkpoint; save model.state_dict() alone (nothing was executed)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.TconvError(f"{path} is damaged or no checkpoint; take another copy") from error
    if not isinstance(found, dict):
        raise errors.TconvError(f"{path} holds a {type(found).__name__}, not a state dict; save model.state_dict()")
    return found


def _unknown(path: Path) -> list[str]:
    """The classes in a file of torch.save that PyTorch does not know as harmless; none where it is another file."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, EOFError, ValueError, AssertionError, pickle.UnpicklingError):
        return []  # torch.load says what is wrong


def _shell(name: str) -> type:
    """A class that stands for another one: it takes any arguments and does nothing with them."""
    if name.rpartition(".")[2].endswith(("Dict", "dict")):
        return dict  # whose entries PyTorch fills in

    class Shell:
        def __new__(cls, *arguments: Any, **named: Any) -> Any:
            return super().__new__(cls)

        def __init__(self, *arguments: Any, **named: Any) -> None:
            pass

        def __setstate__(self, state: Any) -> None:
            pass

    return Shell


def checksum(state: Mapping[str, Tensor]) -> int:
    """CRC-32 of all names and numbers."""
    crc = 0
    for name in sorted(state):
        crc = zlib.crc32(state[name].contiguous().numpy().tobytes(), zlib.crc32(name.encode(), crc))
    return crc


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except SafetensorError as error:
        raise errors.TconvError(f"{path} is damaged or no safetensors file ({error}); take another copy") from error


def _fill(model: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    """Load the state dict, or say in one line what differs."""
    wanted = model.state_dict()
    missing, unknown = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = [
        f"{name} is {tuple(state[name].shape)} and not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in state and getattr(state[name], "shape", None) != wanted[name].shape
    ]
    differences = [
        f"{what} {len(names)}, such as {names[0]}"
        for what, names in (("it lacks", missing), ("it has unknown", unknown), ("shapes differ in", shapes))
        if names
    ]
    if differences:
        raise errors.TconvError(
            f"{path} is of another model than this {type(model).__name__}: {'; '.join(differences)}; build the model "
            f"with the arguments it was trained with"
        )
    model.load_state_dict(state)
