"""`torch.ops.tconv.conv_transpose`: the operator as graphs and dispatch modes see it, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, is_grad_enabled, library
from torch.compiler import is_compiling
from torch.utils.flop_counter import conv_flop_count, register_flop_formula

from tconv.geometry.countable import check_countable
from tconv.nn import packing, private
from tconv.nn.engine import Call, DeferredError, RefusedError, Settings, StrictError, engine_for, refusal, strict
from tconv.nn.engines.layouts import by_channels

# PyTorch's own operators, by spatial axes.
OWN: dict[int, Callable[..., Tensor]] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

_convolution_backward = torch.ops.aten.convolution_backward.default

LIBRARY = library.Library("tconv", "DEF")
LIBRARY.define(
    "conv_transpose(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding,"
    " SymInt[] output_padding, SymInt groups, SymInt[] dilation) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag, *private.LEFT_OUT_OF_GRAPHS),
)


def _run(input: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any) -> Tensor:
    """The engine where it takes the call; else PyTorch's operator, with its result laid out as the engine's."""
    settings: Any = tuple(tuple(n) if isinstance(n, list) else n for n in numbers)
    try:
        return computed(Call(input, weight, bias, settings))
    except DeferredError:
        y = by_pytorch(input, weight, bias, settings)
    except RefusedError as refused:
        y = own(str(refused), input, weight, bias, settings)
    return _blank(input, weight, y.shape).copy_(y)


def computed(call: Call, dtype: torch.dtype | None = None) -> Tensor:
    """The engine's result, of tensors rounded to `dtype` if given; raises RefusedError where it takes the call not."""
    input, weight, bias, settings = call
    prepared = packing.kept(weight, bias, settings if dtype is None else (settings, dtype), input.numel())
    if prepared is None:
        reason = refusal(input=input, weight=weight, bias=bias)
        engine = engine_for(weight.device.type)
        if reason is not None or engine is None:
            raise RefusedError(str(reason))
        prepared = packing.prepare(engine, weight, bias, settings, dtype)
    if dtype is None:
        return prepared.run(input, lambda: (weight, bias))
    return prepared.run(input.to(dtype), lambda: packing.rounded(weight, bias, dtype))


def by_pytorch(input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    """PyTorch's own operator, but for numbers that it would let wrap.

    Raises:
        SizeOverflowError: a size does not fit into 64 bits.
    """
    ndim = weight.dim() - 2
    stride, padding, output_padding, _, dilation = settings
    known = isinstance(input, Tensor) and input.dim() >= ndim  # torch.fx.symbolic_trace hands in what has no sizes yet
    if known and len(stride) == len(padding) == len(output_padding) == len(dilation) == ndim:
        check_countable(input.shape[-ndim:], weight.shape[2:], stride, padding, output_padding, dilation)
    return OWN[ndim](input, weight, bias, *settings)


def own(reason: str, input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    """PyTorch's own operator, because of `reason`: an error if TCONV_STRICT=1, after those that PyTorch raises."""
    y = by_pytorch(input, weight, bias, settings)
    if strict():
        raise StrictError(f"TCONV_STRICT is set, and PyTorch's own operator would run: {reason}")
    return y


def _fake(input: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any) -> Tensor:
    return _blank(input, weight, OWN[weight.dim() - 2](input, weight, bias, *numbers).shape)


def _blank(input: Tensor, weight: Tensor, shape: Sequence[int]) -> Tensor:
    """An empty result in the engine's layout: channels-last if the input or the weight is, else contiguous."""
    channel = input.dim() - weight.dim() + 1
    if (weight.dim() > 3 and by_channels(weight, 1)) or by_channels(input, channel):
        return input.new_empty((*shape[:channel], *shape[channel + 1 :], shape[channel])).movedim(-1, channel)
    return input.new_empty(shape)


def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, weight, bias, *ctx.settings = inputs
    ctx.save_for_backward(input, weight)
    ctx.bias_size = None if bias is None else list(bias.shape)


def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """What the engine computes of it, and else PyTorch's own backward, which is differentiable in turn."""
    input, weight = ctx.saved_tensors
    stride, padding, output_padding, groups, dilation = ctx.settings
    batched = input.dim() == weight.dim()
    if not batched:
        grad, input = grad[None], input[None]
    wanted = [*ctx.needs_input_grad[:2], ctx.needs_input_grad[2] and ctx.bias_size is not None]
    found = _by_engine(grad, Call(input, weight, None, tuple(ctx.settings)), wanted)
    left = [each and one is None for each, one in zip(wanted, found, strict=True)]
    if any(left):
        theirs = _convolution_backward(
            grad, input, weight, ctx.bias_size, stride, padding, dilation, True, output_padding, groups, left
        )
        found = [one if mine is None else mine for mine, one in zip(found, theirs, strict=True)]
    of_input, of_weight, of_bias = found
    if of_input is not None and not batched:
        of_input = of_input[0]
    return of_input, of_weight, of_bias, None, None, None, None, None


def _by_engine(grad: Tensor, call: Call, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
    """The gradients that an engine computes; none where they are differentiated in turn, traced or captured."""
    none = (None, None, None)
    if is_grad_enabled() or is_compiling() or private.taken() or private.capturing():
        return none  # within the capture of a graph nothing may be compiled
    engine = engine_for(grad.device.type)
    if engine is None or refusal(gradient=grad, input=call.input, weight=call.weight) is not None:
        return none
    return engine.gradients(grad, call, wanted)


def _autocast_on(device: str) -> Callable[..., Tensor]:
    """Under autocast: tensors rounded first, as it does for PyTorch's convolutions; float64 stays."""

    def autocast(input: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any) -> Tensor:
        dtype = torch.get_autocast_dtype(device)

        def rounded(tensor: Tensor) -> Tensor:
            eligible = tensor.is_floating_point() and tensor.device.type == device and tensor.dtype is not torch.float64
            return tensor.to(dtype) if eligible else tensor

        with torch.autocast(device, enabled=False):
            y: Tensor = OPERATOR(rounded(input), rounded(weight), None if bias is None else rounded(bias), *numbers)
        return y

    return autocast


def _vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
    """A vmapped input joins the batch; with vmapped weights, one call after the other."""
    input, weight, bias, *settings = arguments
    run = OPERATOR
    if in_dims[1] is None and in_dims[2] is None:
        input = input.movedim(in_dims[0], 0)
        if input.dim() == weight.dim():
            return run(input, weight, bias, *settings), 0
        return run(input.flatten(0, 1), weight, bias, *settings).unflatten(0, input.shape[:2]), 0
    slices = (
        [tensor if dim is None else tensor.select(dim, n) for tensor, dim in zip(arguments[:3], in_dims, strict=False)]
        for n in range(info.batch_size)
    )
    return torch.stack([run(*tensors, *settings) for tensors in slices]), 0


class ConvTranspose(torch.autograd.Function):
    """The operator with its gradient, without the dispatcher's way around."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        output = _run(*inputs)
        setup_context(ctx, inputs, output)
        return output

    backward = staticmethod(backward)


class Gradients(torch.autograd.Function):
    """PyTorch's own operator with the operator's gradient."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        input, weight, bias, *settings = inputs
        output = by_pytorch(input, weight, bias, tuple(settings))
        setup_context(ctx, inputs, output)
        return output

    backward = staticmethod(backward)


OPERATOR: Any = torch.ops.tconv.conv_transpose


@register_flop_formula(OPERATOR)
def _flops(input: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """As PyTorch's FlopCounterMode counts its own transposed convolution, which sees a batch of one for none."""
    one = [1] * (len(weight) - len(input))
    return int(conv_flop_count([*one, *input], list(weight), [*one, *out_shape], transposed=True))


for _key, _device in (("CPU", "cpu"), ("CUDA", "cuda")):
    LIBRARY.impl("conv_transpose", _run, _key)
    LIBRARY.impl("conv_transpose", _autocast_on(_device), f"Autocast{_key}")
library.register_fake("tconv::conv_transpose", _fake, lib=LIBRARY)
library.register_autograd("tconv::conv_transpose", backward, setup_context=setup_context, lib=LIBRARY)
library.register_vmap("tconv::conv_transpose", _vmap, lib=LIBRARY)
