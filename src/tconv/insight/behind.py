"""What stands behind a box of an operator's result, by the operator's name in autograd's graph."""

from __future__ import annotations

from tconv.insight import arranged, windows
from tconv.insight.boxes import Box, whole
from tconv.insight.step import Found, Rule, Step, everything, full
from tconv.nn.private import saved

# Each cell of the result depends on the same cell of every input.
POINTWISE = (
    "Abs", "Add", "Addcdiv", "Addcmul", "Alias", "BackwardHookFunction", "Celu", "Clamp", "ClampMax",
    "ClampMin", "Clone", "Cos", "Div", "Elu", "Erf", "Exp", "Expand", "Expm1", "FusedDropout", "Gelu",
    "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyRelu", "Lerp", "Log", "Log1P", "LogSigmoid",
    "MaskedFill", "Maximum", "Minimum", "Mish", "Mul", "NativeDropout", "Neg", "Pow", "PreluKernel",
    "Reciprocal", "Relu", "Rrelu", "RreluWithNoise", "Rsqrt", "Rsub", "Sigmoid", "Sign", "Silu", "Sin",
    "Softplus", "Softshrink", "Sqrt", "Sub", "Tanh", "Threshold", "ToCopy", "Where",
)  # fmt: skip


def _pointwise(step: Step) -> Found:
    """The same cell, or the one cell of an axis that was stretched."""
    found: list[Box | None] = []
    for shape in step.inputs:
        if shape is None:
            found.append(None)
            continue
        sides = step.box[len(step.box) - len(shape) :]
        found.append(tuple(full(1) if n == 1 else side for n, side in zip(shape, sides, strict=True)))
    return found


def _batch_norm(step: Step) -> Found:
    return None if saved(step.node, "training") else _first(step)


def _first(step: Step) -> Found:
    """Cell by cell of the first input; the others are weights."""
    return [step.box, *[None if shape is None else whole(shape) for shape in step.inputs[1:]]]


def _layer_norm(step: Step) -> Found:
    shape = step.inputs[0]
    normalised = step.kept("normalized_shape")
    if shape is None or not isinstance(normalised, list):
        return None
    kept = len(shape) - len(normalised)
    return [(*step.box[:kept], *map(full, shape[kept:])), *everything(step.inputs[1:])]


def _softmax(step: Step) -> Found:
    return step.with_side(step.axis("dim"), (0, step.shape[step.axis("dim")] - 1))


def _named(rule: Rule, *names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


RULES: dict[str, Rule] = {
    **_named(_pointwise, *POINTWISE),
    **_named(_batch_norm, "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "BatchNormWithUpdate"),
    **_named(_first, "BatchNormNoUpdate", "NativeBatchNormLegitNoTraining"),
    **_named(_layer_norm, "NativeLayerNorm", "FusedRmsNorm"),
    **_named(_softmax, "Softmax", "SafeSoftmax", "LogSoftmax"),
    **_named(windows.convolution, "Convolution", "MkldnnConvolution", "CudnnConvolution", "SlowConv2D", "SlowConv3D"),
    **_named(windows.own_transposed, "ConvTranspose", "GeneratedBackwardFor_tconv_conv_transpose_default"),
    **_named(windows.pool, "MaxPool2DWithIndices", "MaxPool3DWithIndices", "MaxPool2D", "AvgPool2D", "AvgPool3D"),
    **_named(windows.adaptive, "AdaptiveAvgPool2D", "AdaptiveAvgPool3D", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D"),
    **_named(windows.resampled(windows.nearest, False), *(f"UpsampleNearest{n}D" for n in (1, 2, 3))),
    **_named(windows.resampled(windows.nearest, True), *(f"UpsampleNearestExact{n}D" for n in (1, 2, 3))),
    **_named(windows.resampled(windows.linear, True), "UpsampleLinear1D", "UpsampleBilinear2D", "UpsampleTrilinear3D"),
    **_named(windows.resampled(windows.cubic, True), "UpsampleBicubic2D"),
    **_named(windows.pixel_shuffle, "PixelShuffle"),
    **_named(windows.pixel_unshuffle, "PixelUnshuffle"),
    **_named(windows.channel_shuffle, "ChannelShuffle"),
    **_named(arranged.padded, "ConstantPadNd"),
    **_named(arranged.replicated, *(f"ReplicationPad{n}D" for n in (1, 2, 3))),
    **_named(arranged.reflected, *(f"ReflectionPad{n}D" for n in (1, 2, 3))),
    **_named(arranged.sliced, "Slice"),
    **_named(arranged.flip, "Flip"),
    **_named(arranged.roll, "Roll"),
    **_named(arranged.reshape, "View", "UnsafeView", "ReshapeAlias", "ReshapeCopy", "Squeeze", "Unsqueeze"),
    **_named(arranged.permute, "Permute"),
    **_named(arranged.transpose, "Transpose", "T"),
    **_named(arranged.select, "Select"),
    **_named(arranged.unbind, "Unbind"),
    **_named(arranged.split, "Split", "SplitWithSizes", "UnsafeSplit", "UnsafeSplitWithSizes"),
    **_named(arranged.cat, "Cat"),
    **_named(arranged.stack, "Stack"),
    **_named(arranged.repeat, "Repeat"),
    **_named(arranged.reduced, "Mean", "Sum", "Amax", "Amin"),
    **_named(arranged.matrices(0), "Mm", "Bmm"),
    **_named(arranged.matrices(1), "Addmm", "Baddbmm"),
}
