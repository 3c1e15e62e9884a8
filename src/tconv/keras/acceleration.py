"""`accelerate`: a copy of a Keras model with tconv's layers."""

from __future__ import annotations

from typing import Any, TypeVar

import keras

from tconv import errors
from tconv.keras.layers import OURS, patched, whole

Model = TypeVar("Model", bound=keras.Model)


def accelerate(model: Model) -> Model:
    """A copy of a model whose layers Conv1DTranspose, Conv2DTranspose and Conv3DTranspose are tconv's.

    Args:
        model: functional or Sequential; models and wrapped layers within it are copied, too. It is left as it was.

    Returns:
        A model of the same kind with copies of the weights; if the model was compiled, it is, too, with an optimizer
        that begins anew. Subclasses of Keras's three layers, which may compute something else, stay what they are.

    Raises:
        TconvError: Keras runs on a backend other than PyTorch and JAX; the model is not built, so that it has no
            weights to copy; its class is the caller's own, whose code Keras cannot exchange; or it has no such layer.

    Source: keras.models.clone_model.
    """
    patched()  # refuses other backends
    if not isinstance(model, keras.Model):
        raise errors.ArgumentTypeError(f"model has type {type(model).__name__}; accelerate takes a keras.Model")
    if not model.built:
        raise errors.TconvError(
            f"model {model.name!r} is not built and has no weights yet; call it once, or build(input_shape), before"
        )
    if not _is_graph(model):
        raise errors.TconvError(
            f"model {model.name!r} has the class {type(model).__name__}, whose code decides what its layers are; build "
            "it with tconv.keras.Conv2DTranspose in place of Keras's layer, or call it within tconv.keras.patched()"
        )
    exchanged: list[str] = []

    def cloned(layer: Any) -> Any:
        ours, config = OURS.get(type(layer)), layer.get_config()
        if ours is not None:
            exchanged.append(layer.name)
            return ours.from_config(whole(type(layer).get_config)(layer))
        if type(inner := getattr(layer, "layer", None)) in OURS and "layer" in config:  # in a wrapper
            config["layer"] = keras.saving.serialize_keras_object(cloned(inner))
        return type(layer).from_config(config)

    copy: Model = keras.models.clone_model(model, clone_function=cloned, recursive=True)
    if not exchanged:
        raise errors.TconvError(
            f"model {model.name!r} has no Conv1DTranspose, Conv2DTranspose or Conv3DTranspose of Keras; there is "
            "nothing to make faster"
        )
    if not copy.built:
        copy.build(model.input_shape)
    copy.set_weights(model.get_weights())
    return copy


def _is_graph(model: Any) -> bool:
    """Functional and Sequential models: those whose layers Keras can exchange."""
    return isinstance(model, keras.Sequential) or type(model).__name__ == "Functional" or hasattr(model, "operations")
