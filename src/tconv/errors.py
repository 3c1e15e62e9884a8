"""One exception class per broken law, all of them `ValueError`s under `TconvError`.

A message names the value, the law it breaks and what to change.
"""

__all__ = [
    "ActivationError",
    "ArgumentTypeError",
    "BiasError",
    "ChannelError",
    "ClusterError",
    "DialectError",
    "DilationError",
    "DtypeError",
    "EmptyOutputError",
    "ImageFileError",
    "InputSizeError",
    "KernelError",
    "LayerError",
    "LengthError",
    "OnnxError",
    "OutError",
    "OutputPaddingError",
    "OutputSizeError",
    "PaddingError",
    "ProjectionError",
    "RankError",
    "ResultTooLargeError",
    "SizeOverflowError",
    "StrideError",
    "TconvError",
    "TooLargeError",
    "UnsupportedOperatorError",
]


class TconvError(ValueError):
    """Something that was asked for cannot be done; the message says why and what can."""


class ArgumentTypeError(TconvError, TypeError):
    """An argument is not of a type that makes sense here (a float stride, a text weight)."""


class LengthError(TconvError):
    """A per-axis argument does not have one entry per axis."""


class KernelError(TconvError):
    """A kernel size is below 1."""


class StrideError(TconvError):
    """A stride is below 1."""


class DilationError(TconvError):
    """A dilation is below 1."""


class PaddingError(TconvError):
    """A padding is negative, unknown, or contradicts another argument."""


class OutputPaddingError(TconvError):
    """An output_padding is outside `0 <= output_padding < max(stride, dilation)`."""


class OutputSizeError(TconvError):
    """An output_size is outside the range that these parameters can reach."""


class EmptyOutputError(TconvError):
    """The computed output size is zero or negative."""


class InputSizeError(TconvError):
    """An input has an empty axis that is not the batch, or a negative size."""


class RankError(TconvError):
    """An array has the wrong number of dimensions."""


class ChannelError(TconvError):
    """Input channels, weight channels and groups do not fit together."""


class BiasError(TconvError):
    """The bias is not one value per output channel."""


class DtypeError(TconvError, TypeError):
    """The arrays' dtypes differ or cannot be computed with."""


class OutError(TconvError):
    """The `out` array has the wrong shape, dtype or memory."""


class ActivationError(TconvError):
    """An unknown activation, or one that the dtype does not support."""


class SizeOverflowError(TconvError, OverflowError):
    """A size does not fit into 64 bits."""


class ResultTooLargeError(TconvError, MemoryError):
    """The result needs more memory than the machine has; refused before anything is allocated."""


class DialectError(TconvError):
    """A layer cannot be expressed in another framework's terms."""


class TooLargeError(TconvError):
    """An exact (dense) answer was asked for a matrix that is too large for it."""


class ImageFileError(TconvError, OSError):
    """A picture cannot be read or written; the message starts with the file's name."""


class ClusterError(TconvError):
    """A Dask cluster cannot be used, or has gone away."""


class LayerError(TconvError, LookupError):
    """A model has no such layer, or none that says where in the image something is."""


class ProjectionError(TconvError):
    """A model cannot be run on an image, or nothing can be sent back from a layer to it."""


class OnnxError(TconvError):
    """An ONNX model cannot be read, run or rewritten, or an array is not what one of its inputs takes."""


class UnsupportedOperatorError(OnnxError):
    """An ONNX model holds operators that are not computed here; the message names all of them."""
