"""Keras 3 on PyTorch or JAX: `accelerate` makes a copy of a model whose transposed convolutions are tconv's.

    faster = tconv.keras.accelerate(model)

The copy has the model's weights, is trained, saved and loaded as any model, and computes what the model computes.
"""

from tconv import errors, extras

try:
    from tconv.keras.acceleration import accelerate
    from tconv.keras.layers import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, patched
except ModuleNotFoundError as error:
    if error.name == "keras":
        raise ImportError(f"tconv.keras needs keras: {extras.cure('keras')}") from error
    if (error.name or "").partition(".")[0] != "tensorflow":
        raise
    raise errors.TconvError(
        "Keras would run on TensorFlow, which is missing, and which tconv does not reach; set KERAS_BACKEND=torch or "
        "KERAS_BACKEND=jax before Keras is imported"
    ) from error

__all__ = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "accelerate", "patched"]
