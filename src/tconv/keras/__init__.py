"""Keras 3 on PyTorch or JAX: `accelerate` makes a copy of a model whose transposed convolutions are tconv's.

    faster = tconv.keras.accelerate(model)

The copy has the model's weights, is trained, saved and loaded as any model, and computes what the model computes.
"""

from tconv import errors

try:
    from tconv.keras.acceleration import accelerate
    from tconv.keras.layers import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "tensorflow":
        raise
    raise errors.TconvError(
        "Keras looks for its default backend, TensorFlow, which is missing; set KERAS_BACKEND=torch or "
        "KERAS_BACKEND=jax before Keras is imported"
    ) from error

__all__ = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "accelerate"]
