"""Options of a training as people write them: lists with commas, and those that stand in a file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tconv import errors
from tconv.segmentation.train.loop import SETTINGS


def written(app: Any, commands: tuple[str, ...], arguments: Any) -> None:
    """Cyclopts' hook between reading and converting: splits `--features 16,32`, and fills in what a file says.

    The file is `--config`, or with `--resume` the settings in the run folder; options of the command line go first.

    Raises:
        TconvError: the file cannot be read.
    """
    given = {argument.name: argument for argument in arguments}
    features = given.get("--features")
    if features is None:  # another command
        return
    resumed = _resumed(given) if "--resume" in given and given["--resume"].tokens else None
    path = _path(given, "--config") or resumed
    if path is not None:
        _fill(app, commands, arguments, path, _outdated(given) if path == resumed else ())
    parts = [token.evolve(value=part) for token in features.tokens for part in token.value.split(",")]
    features.tokens[:] = [token.evolve(index=n) for n, token in enumerate(parts)]


def _outdated(given: dict[str, Any]) -> tuple[str, ...]:
    """Limits of the training so far that hold no more, as another one is given: it is made longer."""
    limits = ("epochs", "minutes")
    return limits if any(given[f"--{name}"].tokens for name in limits if f"--{name}" in given) else ()


def _fill(app: Any, commands: tuple[str, ...], arguments: Any, path: Path, outdated: tuple[str, ...] = ()) -> None:
    from cyclopts.config import Dict

    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise errors.TconvError(f"{path}: there is no such file") from None
    except ValueError as error:
        raise errors.TconvError(f"{path} is no TOML file: {error}") from error
    content = {name: value for name, value in content.items() if name not in outdated}
    for command in reversed(commands):  # so that an option named as a command of tconv, such as size, is an option
        content = {command: content}
    Dict(content, source=str(path))(app, commands, arguments)


def _path(given: dict[str, Any], option: str) -> Path | None:
    tokens = given[option].tokens if option in given else ()
    return Path(tokens[0].value) if tokens else None


def _resumed(given: dict[str, Any]) -> Path | None:
    run = _path(given, "--out")
    return run / SETTINGS if run and (run / SETTINGS).exists() else None
