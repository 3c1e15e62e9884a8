"""Every broken law has its error class and its text: the value, the law, the cure. Word by word."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import numpy as np
import pytest
import torch

import tconv
from tconv import Axis, Geometry, errors, signature

X, W = np.zeros((1, 2, 4, 4), np.float32), np.zeros((2, 3, 3, 3), np.float32)


def call(x: Any = X, w: Any = W, *args: Any, **kwargs: Any) -> Any:
    return tconv.conv_transpose2d(x, w, *args, **kwargs)


def like(module: str) -> Any:
    """Something of a class that says it comes from there."""
    return type("Tensor", (), {"__module__": module})()


READ_ONLY = np.zeros((1, 3, 6, 6), np.float32)
READ_ONLY.flags.writeable = False
SHARED = np.zeros(2000, np.float32)

MESSAGES: list[tuple[Any, type[Exception], str]] = [
    # arrays
    (
        lambda: call(np.zeros((1, 3, 4, 4), np.float32)),
        errors.ChannelError,
        "input has 3 channels but weight (2, 3, 3, 3) takes 2; the weight's layout is (in_channels, "
        "out_channels/groups, *kernel)",
    ),
    (
        lambda: call(np.zeros((1, 3, 4, 4), np.float32), np.zeros((3, 1, 2, 2), np.float32), groups=2),
        errors.ChannelError,
        "groups 2 does not divide the 3 input channels; choose a divisor of 3",
    ),
    (lambda: call(groups=0), errors.ChannelError, "groups 0 must be at least 1"),
    (
        lambda: call(groups=1.0),
        errors.ArgumentTypeError,
        "groups must be an integer, not 1.0 (float); sizes are counted in whole cells",
    ),
    (
        lambda: call(groups=[1]),
        errors.ArgumentTypeError,
        "groups must be an integer, not [1] (list); sizes are counted in whole cells",
    ),
    (
        lambda: call(w=W[:0]),
        errors.ChannelError,
        "weight (0, 3, 3, 3) has no channels; both channel counts must be at least 1",
    ),
    (
        lambda: call(w=W[..., :0]),
        errors.KernelError,
        "weight (2, 3, 3, 0) has an empty kernel; every kernel size must be at least 1",
    ),
    (
        lambda: call(w=W[0]),
        errors.RankError,
        "weight has shape (3, 3, 3); for 2 spatial axes it must be (in_channels, out_channels/groups, *kernel), "
        "4 dimensions",
    ),
    (
        lambda: tconv.conv_transpose(X, W[0, 0]),
        errors.RankError,
        "weight has shape (3, 3); it must be (in_channels, out_channels/groups, *kernel), 3 dimensions or more: "
        "weight[None, None] gives a kernel of one channel its two axes",
    ),
    (
        lambda: call(X[0, 0]),
        errors.RankError,
        "input has shape (4, 4); for 2 spatial axes it must be (batch, channels, *sizes) or (channels, *sizes), "
        "4 or 3 dimensions: input[None] gives one channel its axis",
    ),
    (
        lambda: call(X[:, :, :0]),
        errors.InputSizeError,
        "input has shape (1, 2, 0, 4); every spatial size must be at least 1 (only the batch may be empty)",
    ),
    (
        lambda: call(X, W, np.zeros(2, np.float32)),
        errors.BiasError,
        "bias has shape (2,); it must be (3,), one value per output channel (weight (2, 3, 3, 3), groups 1)",
    ),
    (
        lambda: call(X.astype(np.float64)),
        errors.DtypeError,
        "input has dtype float64 but the weight has float32; convert one: input.astype('float32')",
    ),
    (
        lambda: call(X, W, np.zeros(3)),
        errors.DtypeError,
        "bias has dtype float64 but the weight has float32; convert one: bias.astype('float32')",
    ),
    (
        lambda: call(X.astype(str)),
        errors.DtypeError,
        "input has dtype <U32, which has no arithmetic here; use a float, integer or complex dtype",
    ),
    (
        lambda: call([[1], [1, 2]]),
        errors.ArgumentTypeError,
        "input cannot be read as an array: setting an array element with a sequence. The requested array has an "
        "inhomogeneous shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part.",
    ),
    (
        lambda: call(np.ma.masked_less(X, 1)),
        errors.ArgumentTypeError,
        "input is a masked array, and no number stands for its masked cells; choose one: input.filled(0)",
    ),
    (
        lambda: call(torch.zeros(1, 2, 4, 4)),
        errors.ArgumentTypeError,
        "weight is a ndarray, the input a torch.Tensor; pass arrays of one kind: torch.as_tensor(weight)",
    ),
    (
        lambda: call(X, torch.zeros(2, 3, 3, 3)),
        errors.ArgumentTypeError,
        "weight is a torch.Tensor; this operator takes NumPy arrays: pass weight.detach().numpy()",
    ),
    (
        lambda: call(like("cupy")),
        errors.ArgumentTypeError,
        "input is a cupy.ndarray, on a GPU; this operator takes NumPy arrays: pass cupy.asnumpy(input)",
    ),
    (
        lambda: call(like("tensorflow.python.framework.ops")),
        errors.ArgumentTypeError,
        "input is a tensorflow.Tensor; this operator takes NumPy arrays: pass input.numpy()",
    ),
    # parameters
    (lambda: call(stride=0), errors.StrideError, "axis 0: stride 0 must be at least 1"),
    (lambda: call(stride=(1, -2)), errors.StrideError, "axis 1: stride -2 must be at least 1"),
    (lambda: call(dilation=(1, 0)), errors.DilationError, "axis 1: dilation 0 must be at least 1"),
    (lambda: Axis(0), errors.KernelError, "kernel size 0 must be at least 1"),
    (lambda: Geometry((3, 0)), errors.KernelError, "axis 1: kernel size 0 must be at least 1"),
    (
        lambda: call(stride=2.0),
        errors.ArgumentTypeError,
        "stride must be an integer, not 2.0 (float); sizes are counted in whole cells",
    ),
    (
        lambda: call(dilation=True),
        errors.ArgumentTypeError,
        "dilation must be an integer, not True (bool); sizes are counted in whole cells",
    ),
    (
        lambda: call(stride=(1, 2, 3)),
        errors.LengthError,
        "stride has 3 entries, (1, 2, 3), for 2 spatial axes; give 1 or 2",
    ),
    (
        lambda: call(padding=(0, -1)),
        errors.PaddingError,
        "padding (0, -1) must not be negative; to extend the output by 1 give pairs, (lo, hi) per axis: "
        "padding=[(0, 0), (-1, -1)]",
    ),
    (
        lambda: call(padding="full"),
        errors.PaddingError,
        "padding 'full' is unknown; give an int, one per axis, (lo, hi) pairs, 'same' or 'valid'",
    ),
    (
        lambda: call(padding=[(1, 2), 3]),
        errors.LengthError,
        "padding must be a pair (lo, hi) or one such pair per axis, not [(1, 2), 3]",
    ),
    (
        lambda: call(padding=[(1, 2)] * 3),
        errors.LengthError,
        "padding has 3 pairs, ((1, 2), (1, 2), (1, 2)), for 2 spatial axes; give 1 or 2",
    ),
    (
        lambda: call(stride=2, padding="same", output_padding=1),
        errors.PaddingError,
        "padding 'same' fixes the output size, output_padding (1, 1) would change it; drop one",
    ),
    (
        lambda: call(stride=2, output_padding=(1, 2)),
        errors.OutputPaddingError,
        "axis 1: output_padding 2 must be at least 0 and smaller than max(stride 2, dilation 1); it only chooses "
        "among the sizes that one stride leaves open",
    ),
    (
        lambda: call(stride=2, output_padding=-1),
        errors.OutputPaddingError,
        "axis 0: output_padding -1 must be at least 0 and smaller than max(stride 2, dilation 1); it only chooses "
        "among the sizes that one stride leaves open",
    ),
    (
        lambda: Geometry(()),
        errors.LengthError,
        "there must be at least one spatial axis, not {'kernel': (), 'stride': 1, 'dilation': 1, 'crop': 0}",
    ),
    (
        lambda: Geometry.from_torch(3, ndim=0),
        errors.LengthError,
        "there must be at least one spatial axis, not {'kernel': (), 'stride': (), 'dilation': (), 'crop': 0}",
    ),
    # sizes
    (
        lambda: call(padding=3),
        errors.EmptyOutputError,
        "axis 0: output size 0 must be at least 1: stride*(in-1) + dilation*(kernel-1) + 1 - crop_lo - crop_hi = "
        "1*(4-1) + 1*(3-1) + 1 - (3) - (3); crop (pad) less, or give a larger input",
    ),
    (
        lambda: call(stride=2, padding=1, output_size=(8, 9)),
        errors.OutputSizeError,
        "axis 1: output_size 9 cannot be reached from input size 4: output_padding must stay below max(stride 2, "
        "dilation 1), so the range is 7 to 8",
    ),
    (
        lambda: call(stride=2, output_padding=1, output_size=9),
        errors.OutputPaddingError,
        "output_padding 1 and output_size 9 both choose the size; give one of them",
    ),
    (
        lambda: call(output_size=(6,) * 5),
        errors.LengthError,
        "output_size has 5 entries, (6, 6, 6, 6, 6), for 2 spatial axes; give 1 or 2",
    ),
    (
        lambda: call(stride=2**62 + 1, output_padding=2**62),
        errors.SizeOverflowError,
        "axis 0: an output of 18446744073709551622 cells (input 4, kernel 3, stride 4611686018427387905, dilation 1, "
        "crop (0, -4611686018427387904)) does not fit into 64 bits",
    ),
    (
        lambda: call(stride=2**30, dilation=2**29),
        errors.SizeOverflowError,
        "a result of shape (1, 3, 4294967297, 4294967297), dtype float32, has 221360928987593834508 bytes; 64 bits "
        "cannot count them",
    ),
    (
        lambda: tconv.prepare(np.ones((1, 1, 3)), geometry=Geometry(3, 2**63, 2**61, (0, -1))),
        errors.SizeOverflowError,
        "axis 0: kernel 3, stride 9223372036854775808, dilation 2305843009213693952, crop (0, -1), with an extent of "
        "4611686018427387905 cells, does not fit into 64 bits; choose numbers below 2**62",
    ),
    (lambda: Geometry(3).output_size(-1), errors.InputSizeError, "in_size (-1,) must not be negative"),
    # out
    (
        lambda: call(out=np.zeros((1, 3, 5, 6), np.float32)),
        errors.OutError,
        "out has shape (1, 3, 5, 6), the result has (1, 3, 6, 6); give an array of that shape",
    ),
    (
        lambda: call(out=np.zeros((1, 3, 6, 6))),
        errors.OutError,
        "out has dtype float64, the result has float32; give an array of that dtype",
    ),
    (lambda: call(out=READ_ONLY), errors.OutError, "out is read-only; give a writeable array"),
    (lambda: call(out=[1]), errors.OutError, "out must be a NumPy array, not list"),
    (
        lambda: call(out=np.lib.stride_tricks.as_strided(SHARED, (1, 3, 6, 6), (0, 4, 24, 4))),
        errors.OutError,
        "out overlaps itself (shape (1, 3, 6, 6), strides (0, 4, 24, 4)); give one cell per result",
    ),
    (
        lambda: call(SHARED[:32].reshape(1, 2, 4, 4), out=SHARED[20:128].reshape(1, 3, 6, 6)),
        errors.OutError,
        "out shares memory with the input, which is still read while out is written; copy one",
    ),
]


@pytest.mark.parametrize(("broken", "law", "text"), MESSAGES, ids=[text[:48] for *_, text in MESSAGES])
def test_message(broken: Any, law: type[Exception], text: str) -> None:
    with pytest.raises(law, match=f"^{re.escape(text)}$"):
        broken()


def test_the_same_text_on_every_path() -> None:
    """Dtype and rank do not change what is said; PyTorch's answer depends on both."""
    for dtype in (np.float32, np.float64, np.float16, np.int64, complex):
        for ndim, function in enumerate((tconv.conv_transpose1d, tconv.conv_transpose2d, tconv.conv_transpose3d), 1):
            x, w = np.zeros((1, 1, *(1,) * ndim), dtype), np.zeros((1, 1, *(3,) * ndim), dtype)
            with pytest.raises(errors.EmptyOutputError, match=r"^axis 0: output size -1 must be at least 1: "):
                function(x, w, padding=2)


def test_a_cached_answer_does_not_let_a_float_through() -> None:
    call(stride=(2, 2), groups=1)
    for stride in (2.0, (2.0, 2), (True, 2)):
        with pytest.raises(errors.ArgumentTypeError):
            call(stride=stride)
    with pytest.raises(errors.ArgumentTypeError):
        call(groups=True)


def test_refused_before_allocation() -> None:
    memory = (
        r"^a result of shape \(1, 1, 35184372088833\), dtype float32, needs 131072.0 GiB; "
        r"this machine has [0-9.]+ GiB: run it in parts, "
    )
    with pytest.raises(errors.ResultTooLargeError, match=memory) as caught:
        tconv.conv_transpose1d(np.zeros((1, 1, 2), np.float32), np.zeros((1, 1, 1), np.float32), stride=2**45)
    assert isinstance(caught.value, MemoryError)


@pytest.mark.parametrize("error", [ValueError("unrecognized configuration name"), OSError(22, "Invalid argument")])
def test_a_system_that_does_not_say_how_much_memory_it_has(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is refused there before it is tried."""

    def sysconf(name: str) -> int:
        raise error

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert signature._memory.__wrapped__() == sys.maxsize


def test_neighbours_in_one_buffer_are_not_an_overlap() -> None:
    buffer = np.zeros((1, 5, 6, 6), np.float32)
    x, out = buffer[:, :2, 1:5, 1:5], buffer[:, 2:]
    assert call(x, out=out) is out


def test_every_error_is_a_value_error() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(classes) > 15 and all(issubclass(value, ValueError) for value in classes)
