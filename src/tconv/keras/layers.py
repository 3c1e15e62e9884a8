"""Keras's layers on tconv's operator: the same arguments, weights and results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from importlib import import_module
from typing import Any

import keras

from tconv import errors

_DOORS = {"torch": "tconv.nn", "jax": "tconv.jax"}


def patched() -> AbstractContextManager[Any]:
    """A block in which the operator of Keras's backend is tconv's.

    Raises:
        TconvError: the backend is neither PyTorch nor JAX.
    """
    backend = keras.backend.backend()
    if backend not in _DOORS:
        raise errors.TconvError(
            f"Keras runs on its backend {backend!r}, which tconv does not reach; set KERAS_BACKEND=torch or "
            "KERAS_BACKEND=jax before Keras is imported: the model and its weights stay as they are"
        )
    block: AbstractContextManager[Any] = import_module(_DOORS[backend]).patched()
    return block


def _on_tconv(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A layer's `call`, within `patched`."""

    @wraps(call)
    def within(self: Any, inputs: Any) -> Any:
        with patched():
            return call(self, inputs)

    return within


def whole(get_config: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """A layer's `get_config` with the output padding, which Keras 3.14 and older ones leave out."""

    @wraps(get_config)
    def with_padding(self: Any) -> dict[str, Any]:
        return get_config(self) | {"output_padding": self.output_padding}

    return with_padding


@keras.saving.register_keras_serializable(package="tconv")
class Conv1DTranspose(keras.layers.Conv1DTranspose):
    """`keras.layers.Conv1DTranspose` on tconv's operator."""

    call = _on_tconv(keras.layers.Conv1DTranspose.call)
    get_config = whole(keras.layers.Conv1DTranspose.get_config)


@keras.saving.register_keras_serializable(package="tconv")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` on tconv's operator."""

    call = _on_tconv(keras.layers.Conv2DTranspose.call)
    get_config = whole(keras.layers.Conv2DTranspose.get_config)


@keras.saving.register_keras_serializable(package="tconv")
class Conv3DTranspose(keras.layers.Conv3DTranspose):
    """`keras.layers.Conv3DTranspose` on tconv's operator."""

    call = _on_tconv(keras.layers.Conv3DTranspose.call)
    get_config = whole(keras.layers.Conv3DTranspose.get_config)


OURS: dict[type, Any] = {
    keras.layers.Conv1DTranspose: Conv1DTranspose,
    keras.layers.Conv2DTranspose: Conv2DTranspose,
    keras.layers.Conv3DTranspose: Conv3DTranspose,
}
