"""Models as files."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from tconv import outputs
from tconv.onnx.reading import LARGEST
from tconv.onnx.runtime import save_large


def save(model: ModelProto, path: str | Path) -> Path:
    """Write a model to a file that appears whole or not at all.

    Weights of more than 2 GB, which no ONNX file holds, stand in a file beside it with `.data` behind its name.

    Returns:
        The path.

    Raises:
        ImageFileError: the file cannot be written; what was there is untouched.
    """
    path = Path(path)
    if model.ByteSize() <= LARGEST:
        outputs.write(path, model.SerializeToString())
        return path
    outputs.check_file(path.with_name(f"{path.name}.data"), cure="write to another name")
    with outputs.wholly(path) as part:
        save_large(model, part, path)
    return path
