"""Other frameworks' parameters and array layouts, to and from `Geometry`; none of the frameworks is imported.

    from_x(...) -> Geometry     reads a layer as that framework means it
    to_x(geometry) -> dict      writes its keyword arguments, or raises `DialectError` where it has no words for them

`from_x(**to_x(geometry)) == geometry` whenever `to_x` answers. tconv lays out arrays as PyTorch and ONNX do, input
(batch, channels, *size) and weight (in_channels, out_channels/groups, *kernel); the others convert by `weight_from_x`,
`weight_to_x`, `from_channels_last` and `to_channels_last`. Those return views, nothing is copied.

>>> to_torch(from_keras(4, strides=2, padding="same"))["padding"]
(1,)
"""

from tconv.dialects.flax import from_flax, to_flax, weight_from_flax, weight_to_flax
from tconv.dialects.keras import from_keras, to_keras, weight_from_keras, weight_to_keras
from tconv.dialects.layouts import from_channels_last, to_channels_last
from tconv.dialects.onnx import from_onnx, to_onnx
from tconv.dialects.pytorch import from_torch, to_torch

__all__ = [
    "from_channels_last",
    "from_flax",
    "from_keras",
    "from_onnx",
    "from_torch",
    "to_channels_last",
    "to_flax",
    "to_keras",
    "to_onnx",
    "to_torch",
    "weight_from_flax",
    "weight_from_keras",
    "weight_to_flax",
    "weight_to_keras",
]
