"""A Keras model before and after `tconv.keras.accelerate`, on the backend of KERAS_BACKEND; prints what was seen.

Keras chooses its backend once per process: the tests start one for each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")  # where pytest looks for doctests here

import keras
import numpy as np

import tconv.keras
from tconv import errors


def functional() -> keras.Model:
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2DTranspose(6, 4, strides=2, padding="same", activation="relu", name="up")(x)
    inner = keras.Sequential(
        [keras.Input((None, None, 6)), keras.layers.Conv2DTranspose(4, 3, strides=2, output_padding=1)]
    )
    x = inner(x)
    return keras.Model(inputs, keras.layers.Conv2DTranspose(2, 3, dilation_rate=2, padding="same")(x))


def sequential() -> keras.Model:
    return keras.Sequential([
        keras.Input((16, 4)), keras.layers.Conv1DTranspose(5, 5, strides=3), keras.layers.BatchNormalization(),
        keras.layers.ReLU(), keras.layers.Conv1DTranspose(2, 4, strides=2, padding="same", use_bias=False),
    ])  # fmt: skip


def in_time() -> keras.Model:
    up = keras.layers.Conv2DTranspose(4, 3, strides=2, output_padding=1)
    return keras.Sequential([keras.Input((2, 5, 4, 3)), keras.layers.TimeDistributed(up)])


def volumes() -> keras.Model:
    return keras.Sequential([keras.Input((4, 4, 4, 2)), keras.layers.Conv3DTranspose(3, 2, strides=2)])


class Own(keras.Model):
    """A model whose own code makes its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.up = keras.layers.Conv2DTranspose(2, 2)
        self(np.zeros((1, 2, 2, 3), np.float32))

    def call(self, inputs: Any) -> Any:
        return self.up(inputs)


def calls(model: keras.Model) -> int:
    """How often tconv's operator ran, or was traced, in one call."""
    seen = 0
    if keras.backend.backend() == "torch":
        import tconv.nn.patching as patching

        table = patching._OURS
        for own, ours in list(table.items()):

            def counted(*args: Any, ours: Any = ours, **kwargs: Any) -> Any:
                nonlocal seen
                seen += 1
                return ours(*args, **kwargs)

            table[own] = counted
        model(np.zeros((1, 8, 8, 3), np.float32))
        return seen
    import jax

    variables = [
        [variable.value for variable in group] for group in (model.trainable_variables, model.non_trainable_variables)
    ]
    x = np.zeros((1, 8, 8, 3), np.float32)
    text = jax.jit(lambda a, b, x: model.stateless_call(a, b, x)[0]).lower(*variables, x).as_text()
    return text.count("@tconv_conv_transpose")


def main(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    report: dict[str, Any] = {"backend": keras.backend.backend()}
    rng = np.random.default_rng(0)
    try:
        for make, shape in [(functional, (2, 8, 10, 3)), (sequential, (2, 16, 4)), (volumes, (1, 4, 4, 4, 2)),
                            (in_time, (1, 2, 5, 4, 3))]:  # fmt: skip
            model = make()
            faster = tconv.keras.accelerate(model)
            x = rng.standard_normal(shape).astype(np.float32)
            a, b = (m.predict(x, verbose=0) for m in (model, faster))
            names = [layer.name for layer in faster.layers[1:]] == [layer.name for layer in model.layers[1:]]
            report[make.__name__] = [float(np.abs(a - b).max() / np.abs(a).max()), names]
        model = functional()
        faster = tconv.keras.accelerate(model)
        report["calls"] = [calls(model), calls(faster)]
        faster.compile("sgd", "mse")
        x = rng.standard_normal((4, 8, 8, 3)).astype(np.float32)
        y = np.zeros((4, *faster.compute_output_shape((None, 8, 8, 3))[1:]), np.float32)
        losses = faster.fit(x, y, epochs=3, verbose=0).history["loss"]
        report["learns"] = losses[-1] < losses[0]
        faster.save(folder / "model.keras")
        again = keras.saving.load_model(folder / "model.keras")
        report["loads"] = float(np.abs(again.predict(x, verbose=0) - faster.predict(x, verbose=0)).max())
        for wrong in (
            Own(),
            keras.Sequential([keras.layers.Dense(2)]),
            keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]),
        ):
            try:
                tconv.keras.accelerate(wrong)
            except errors.TconvError as error:
                report.setdefault("errors", []).append(str(error).replace(wrong.name, "NAME"))
    except errors.TconvError as error:
        report["refused"] = str(error)
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
