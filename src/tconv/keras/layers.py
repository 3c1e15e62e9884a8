"""Keras's layers on tconv's operator: the same arguments, weights and results."""

from __future__ import annotations

from contextlib import AbstractContextManager
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


class _OnTconv:
    def call(self, inputs: Any) -> Any:
        """The layer's result, computed by tconv."""
        with patched():
            return super().call(inputs)  # type: ignore[misc]  # of the Keras layer beside it


@keras.saving.register_keras_serializable(package="tconv")
class Conv1DTranspose(_OnTconv, keras.layers.Conv1DTranspose):  # type: ignore[misc]  # Keras has no types
    """`keras.layers.Conv1DTranspose` on tconv's operator."""


@keras.saving.register_keras_serializable(package="tconv")
class Conv2DTranspose(_OnTconv, keras.layers.Conv2DTranspose):  # type: ignore[misc]  # Keras has no types
    """`keras.layers.Conv2DTranspose` on tconv's operator."""


@keras.saving.register_keras_serializable(package="tconv")
class Conv3DTranspose(_OnTconv, keras.layers.Conv3DTranspose):  # type: ignore[misc]  # Keras has no types
    """`keras.layers.Conv3DTranspose` on tconv's operator."""


OURS: dict[type, Any] = {
    keras.layers.Conv1DTranspose: Conv1DTranspose,
    keras.layers.Conv2DTranspose: Conv2DTranspose,
    keras.layers.Conv3DTranspose: Conv3DTranspose,
}
