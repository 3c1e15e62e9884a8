"""tconv.nn.functional against torch.nn.functional: values, gradients, layouts, errors, fallbacks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.testing._internal.common_methods_invocations import op_db

import tconv
from tconv.nn import StrictError, functional
from tconv.nn.engine import refusal
from tconv.nn.engines.cpu import Cpu

OURS = {n: getattr(functional, f"conv_transpose{n}d") for n in (1, 2, 3)}
THEIRS = {n: getattr(F, f"conv_transpose{n}d") for n in (1, 2, 3)}
SAMPLED = (torch.float32, torch.float64)


def samples(ndim: int, dtype: torch.dtype, requires_grad: bool = False) -> Iterator[tuple[Any, tuple[Any, ...], Any]]:
    """PyTorch's own samples of the operator."""
    (info,) = [op for op in op_db if op.name == f"nn.functional.conv_transpose{ndim}d"]
    for sample in info.sample_inputs("cpu", dtype, requires_grad=requires_grad):
        yield sample.input, sample.args, sample.kwargs


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    scale = expected.abs().max().item() if expected.numel() else 1
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", SAMPLED)
def test_values_of_pytorchs_samples(ndim: int, dtype: torch.dtype, engine: None) -> None:
    count = 0
    for x, args, kwargs in samples(ndim, dtype):
        close(OURS[ndim](x, *args, **kwargs), THEIRS[ndim](x, *args, **kwargs))
        count += 1
    assert count >= 10


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.complex128])
def test_other_dtypes_are_pytorchs_to_the_bit(ndim: int, dtype: torch.dtype) -> None:
    for x, args, kwargs in samples(ndim, dtype):
        assert torch.equal(OURS[ndim](x, *args, **kwargs), THEIRS[ndim](x, *args, **kwargs))


@torch.no_grad()
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(ndim: int, dtype: torch.dtype) -> None:
    """The engine's, in either layout: within one rounding of the sum in double precision; PyTorch's may round twice."""
    step = torch.finfo(dtype).eps / 2
    for x, args, kwargs in samples(ndim, dtype):
        tensors = [t for t in (x, *args) if isinstance(t, torch.Tensor)]
        assert refusal(**{f"tensor {i}": t for i, t in enumerate(tensors)}) is None
        wide = [t.double() if isinstance(t, torch.Tensor) else t for t in (x, *args)]
        wide_kwargs = {name: t.double() if isinstance(t, torch.Tensor) else t for name, t in kwargs.items()}
        expected = THEIRS[ndim](*wide, **wide_kwargs)
        y = OURS[ndim](x, *args, **kwargs)
        assert y.dtype is dtype
        largest = float(expected.abs().max()) if expected.numel() else 0.0
        torch.testing.assert_close(
            y.double(), expected, rtol=step, atol=1e-6 * largest + torch.finfo(dtype).tiny * step
        )


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_first_and_second_derivatives(ndim: int, engine: None) -> None:
    for x, args, kwargs in samples(ndim, torch.float64, requires_grad=True):
        tensors = [t for t in (x, *args) if isinstance(t, torch.Tensor)]
        rest = args[len(tensors) - 1 :]

        def f(*tensors: torch.Tensor, rest: Any = rest, kwargs: Any = kwargs) -> torch.Tensor:
            y = OURS[ndim](*tensors, *rest, **kwargs)
            return y.sum(tuple(range(2, y.dim()))) if y.numel() > 400 else y  # gradcheck tabulates every output

        assert gradcheck(f, tensors, fast_mode=True)
        assert gradgradcheck(f, tensors, fast_mode=True)


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
@pytest.mark.parametrize("batched", [True, False])
def test_gradients_exist_independently(wanted: tuple[bool, ...], batched: bool, engine: None) -> None:
    shapes = ((2, 4, 5, 3) if batched else (4, 5, 3), (4, 3, 3, 3), (6,))
    tensors = [torch.randn(s, requires_grad=g) for s, g in zip(shapes, wanted, strict=True)]
    ours = OURS[2](*tensors, 2, 1, 1, 2)
    theirs = THEIRS[2](*tensors, 2, 1, 1, 2)
    (leaf,) = [t for t in tensors if t.requires_grad]
    grad = torch.randn_like(ours)
    close(torch.autograd.grad(ours, leaf, grad)[0], torch.autograd.grad(theirs, leaf, grad)[0])


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("case", ["grad", "no_grad", "inference_mode"])
def test_empty_batch_channels_last_and_strides(ndim: int, case: str, engine: None) -> None:
    w, b = torch.randn(4, 2, *[3] * ndim), torch.randn(2)
    x = torch.randn(3, *[5] * ndim, 4).movedim(-1, 1)
    context = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference_mode": torch.inference_mode}[case]
    with context():
        w.requires_grad_(case == "grad")
        for y in (x, x[:0], x[:, :, ::2], x.flip(2), x[:1].expand_as(x), x.contiguous()):
            ours, theirs = OURS[ndim](y, w, b, 2, 1), THEIRS[ndim](y, w, b, 2, 1)
            close(ours, theirs)
            assert ours.is_inference() == theirs.is_inference()
            assert ours.requires_grad == theirs.requires_grad
        assert OURS[ndim](x, w, b).movedim(1, -1).is_contiguous()


BAD: dict[str, tuple[Any, ...]] = {
    "channels": (torch.ones(1, 3, 4, 4), torch.ones(4, 2, 3, 3)),
    "rank of the input": (torch.ones(4, 4), torch.ones(4, 2, 3, 3)),
    "one axis": (torch.ones(4), torch.ones(4, 2, 3, 3).contiguous(memory_format=torch.channels_last)),
    "rank of the weight": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3)),
    "bias": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), torch.ones(3)),
    "output_padding": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 2, 1, 2),
    "negative padding": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 1, -1),
    "stride 0": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 0),
    "dilation 0": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 1, 0, 0, 1, 0),
    "float stride": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 2.0),
    "string padding": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 1, "same"),
    "entries": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, (1, 1, 1)),
    "groups": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 1, 0, 0, 3),
    "groups 0": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3), None, 1, 0, 0, 0),
    "dtypes": (torch.ones(1, 4, 4, 4), torch.ones(4, 2, 3, 3).double()),
    "empty output": (torch.ones(1, 4, 1, 1), torch.ones(4, 2, 3, 3), None, 1, 2),
    "no tensor": (None, torch.ones(4, 2, 3, 3)),
    "list": ([1.0], torch.ones(4, 2, 3, 3)),
    "no weight": (torch.ones(1, 4, 4, 4), None),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("grad", [True, False])
def test_errors_are_pytorchs(name: str, grad: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cpu, "pays_with_gradients", lambda *_: True)
    arguments = [
        a.clone().requires_grad_(grad) if isinstance(a, torch.Tensor) and a.dtype.is_floating_point else a
        for a in BAD[name]
    ]
    with pytest.raises(Exception) as theirs:
        THEIRS[2](*arguments)
    with pytest.raises(type(theirs.value)) as ours:
        OURS[2](*arguments)
    assert str(ours.value) == str(theirs.value)


def test_what_pytorch_tolerates_is_tolerated() -> None:
    x, w, b = torch.randn(1, 4, 4, 4), torch.randn(4, 2, 3, 3), torch.randn(2).double()
    assert torch.equal(OURS[2](x, w, b), THEIRS[2](x, w, b))  # a bias of another dtype
    assert OURS[2](x, w, None, [2], (1,), 0).shape == THEIRS[2](x, w, None, [2], (1,), 0).shape


class Logged(torch.Tensor):
    """A subclass that notes what is called on it."""

    calls: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls.append(getattr(func, "__name__", str(func)))
        return super().__torch_function__(func, types, args, kwargs or {})


def test_what_the_engine_does_not_take_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = torch.randn(2, 4, 5, 5), torch.randn(4, 3, 2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparse, quantised = x.to_sparse(), torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
    lazy = torch.complex(torch.zeros(2, 4, 5, 5), x).conj().imag
    refused = {
        "has layout torch.sparse_coo": sparse,
        "has dtype torch.quint8": quantised,
        "has dtype torch.complex64": x.to(torch.complex64),
        "has dtype torch.float8_e4m3fn": x.to(torch.float8_e4m3fn),
        "is on meta": x.to("meta"),
        "is a Logged": x.as_subclass(Logged),
        "is a lazy negation": lazy,
    }
    for reason, tensor in refused.items():
        weight = w.to(tensor.device, tensor.dtype) if "complex" in reason else w.to(tensor.device)
        results = []
        for f in (THEIRS[2], OURS[2]):
            try:
                y = f(tensor, weight, None, 2)
                results.append(y.tolist() if y.device.type == "cpu" else y.shape)
            except RuntimeError as error:
                results.append(str(error))
        assert results[0] == results[1], reason
        assert f"the input {reason}" in str(refusal(input=tensor))
    assert Logged.calls.count("conv_transpose2d") == 2
    monkeypatch.setenv("TCONV_STRICT", "1")
    with pytest.raises(
        StrictError, match=r"^TCONV_STRICT is set, and PyTorch's own operator would run: the input is a"
    ):
        OURS[2](x.as_subclass(Logged), w)
    with pytest.raises(StrictError, match=r"has dtype torch.complex64; the engine takes torch.float32, "):
        OURS[2](x.to(torch.complex64), w.to(torch.complex64))


@torch.no_grad()
def test_small_tensors_whose_memory_does_not_hold_their_values() -> None:
    x, w = torch.randn(1, 4, 5, 5), torch.randn(4, 3, 2, 2)
    negated, zeros = torch._neg_view(x), torch._efficientzerotensor((1, 4, 5, 5))
    assert negated.is_contiguous() and negated.is_neg() and zeros.is_contiguous()
    for tensor in (negated, zeros):
        close(OURS[2](tensor, w), THEIRS[2](tensor, w))


@torch.no_grad()
def test_a_small_result_owns_its_memory(engine: None) -> None:
    w, x = torch.randn(4, 3, 2, 2), torch.randn(1, 4, 3, 3)
    y = OURS[2](x, w, None, 2)
    kept, expected = y[0, 1].numpy(), y.tolist()
    del w
    x.zero_()
    assert y.is_contiguous() and y.storage_offset() == 0 and not y.requires_grad and y.tolist() == expected
    del y
    others = [torch.ones(1, 3, 6, 6) for _ in range(64)]
    assert kept.tolist() == expected[0][1] and len(others) == 64


@pytest.mark.filterwarnings("ignore:`torch.jit.script")  # PyTorch's own, when first used
def test_forward_mode_and_transforms() -> None:
    x, w, t = torch.randn(2, 4, 5, 5), torch.randn(4, 3, 2, 2), torch.randn(2, 4, 5, 5)
    with forward_ad.dual_level():
        y = OURS[2](forward_ad.make_dual(x, t), w, None, 2)
        close(forward_ad.unpack_dual(y).tangent, THEIRS[2](t, w, None, 2))
    close(torch.func.jvp(lambda x: OURS[2](x, w, None, 2), (x,), (t,))[1], THEIRS[2](t, w, None, 2))
    close(torch.vmap(lambda x: OURS[2](x, w))(x), THEIRS[2](x, w))
    close(torch.vmap(lambda w: OURS[2](x, w))(w[None].expand(3, -1, -1, -1, -1)), THEIRS[2](x, w).expand(3, 2, 3, 6, 6))
    ours = torch.func.hessian(lambda w: OURS[2](x, w).square().sum())(w)
    close(ours, torch.func.hessian(lambda w: THEIRS[2](x, w).square().sum())(w))


def test_modes_and_profilers_see_the_operator() -> None:
    x, w = torch.randn(2, 4, 5, 5), torch.randn(4, 3, 2, 2)
    with torch.profiler.profile() as profile:
        OURS[2](x, w)
    assert "tconv::conv_transpose" in {event.key for event in profile.key_averages()}
    with torch.device("cpu"):
        close(OURS[2](x, w), THEIRS[2](x, w))


def test_threads_are_pytorchs(engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = torch.get_num_threads(), []
    exchange = tconv.Layer.exchange
    monkeypatch.setattr(tconv.Layer, "exchange", lambda *a: seen.append(a[-1]) or exchange(*a))
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            OURS[1](torch.ones(1, 1, 4), torch.ones(1, 1, 2))
            assert seen.pop() == (count, True) and not seen
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(2, 6, 1, 1), (2, 6, 5, 4), (6, 5, 4), (2, 6, 3, 4, 5)])
def test_a_channels_last_weight_makes_the_result_channels_last_as_pytorch_does(
    shape: tuple[int, ...], engine: None
) -> None:
    """And in graphs alike, whose strides are promised before anything is computed."""
    ndim = 3 if len(shape) == 5 else 2
    memory_format = torch.channels_last if ndim == 2 else torch.channels_last_3d
    weight = torch.randn(6, 4, *(3,) * ndim).contiguous(memory_format=memory_format)
    x, bias = torch.randn(shape), torch.randn(4)
    theirs, ours = (getattr(f, f"conv_transpose{ndim}d") for f in (F, functional))
    expected = theirs(x, weight, bias, 2)
    for y in (ours(x, weight, bias, 2), torch.compile(ours, fullgraph=True, backend="aot_eager")(x, weight, bias, 2)):
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
        assert y.stride() == expected.stride()


@pytest.mark.parametrize(
    ("shape", "weight", "frozen", "last", "ours", "in_graph"),
    [
        ((4, 128, 32, 32), (128, 64, 2, 2), False, False, "ConvTranspose", True),
        ((4, 128, 32, 32), (128, 64, 2, 2), False, True, "ConvTranspose", False),  # PyTorch's forward is as fast there
        ((4, 128, 32, 32), (128, 64, 2, 2), True, True, "ConvTranspose", True),
        ((8, 512, 8, 8), (512, 256, 4, 4), False, False, "Gradients", False),  # two million weights to pack
        ((8, 512, 8, 8), (512, 256, 4, 4), True, False, "ConvTranspose", True),
        ((1, 16, 16, 16), (16, 8, 2, 2), False, False, "Gradients", False),  # small
        ((1, 16, 4, 4), (16, 8, 2, 2), False, False, "", False),  # very small
        ((1, 64, 16, 16), (64, 1, 4, 4), False, False, "ConvTranspose", True),  # depthwise
        ((1, 8, 4, 4), (8, 1, 4, 4), False, True, "ConvTranspose", False),  # depthwise and small
    ],
)
def test_who_computes_a_call_with_gradients(
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    frozen: bool,
    last: bool,
    ours: str,
    in_graph: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways, the backward alone, or none; a graph's backward is PyTorch's."""
    settings = {"stride": 2, "groups": shape[1] if weight[1] == 1 else 1}
    x, w = torch.randn(shape), torch.randn(weight).requires_grad_(not frozen)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    y = functional.conv_transpose2d(x.requires_grad_(), w, **settings)
    assert type(y.grad_fn).__name__ == (f"{ours}Backward" if ours else "ConvolutionBackward0")
    targets: list[str] = []

    def backend(module: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        targets.extend(str(node.target) for node in module.graph.nodes)
        return module.forward

    torch.compile(lambda x, w: functional.conv_transpose2d(x, w, **settings), backend=backend)(x, w)
    assert ("tconv.conv_transpose" in "".join(targets)) == in_graph, targets
    targets.clear()
    torch._dynamo.reset()
    monkeypatch.setenv("TCONV_STRICT", "1")
    torch.compile(lambda x, w: functional.conv_transpose2d(x, w, **settings), backend=backend)(x, w)
    assert "tconv.conv_transpose" in "".join(targets)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_backward_of_large_layers(dtype: torch.dtype, last: bool) -> None:
    """As PyTorch's, in values, layout and what is not finite; without fixtures, in both classes of the graph."""
    layout = torch.channels_last if last else torch.contiguous_format
    for shape, weight, groups in (
        ((2, 128, 32, 32), (128, 64, 4, 4), 1),
        ((2, 256, 8, 8), (256, 128, 4, 4), 1),
        ((2, 48, 9, 20), (48, 1, 4, 4), 48),
    ):
        settings = {"stride": 2, "padding": 1, "groups": groups}
        x = torch.randn(shape, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
        w = (torch.randn(weight, dtype=dtype) / 50).contiguous(memory_format=layout).requires_grad_()
        b = torch.randn(weight[1] * groups, dtype=dtype, requires_grad=True)
        ours, theirs = (f(x, w, b, **settings) for f in (functional.conv_transpose2d, F.conv_transpose2d))
        assert type(ours.grad_fn).__name__ in ("ConvTransposeBackward", "GradientsBackward")
        grad = torch.randn_like(theirs)
        for mine, right in zip(*(torch.autograd.grad(y, (x, w, b), grad) for y in (ours, theirs)), strict=True):
            assert (mine - right).abs().max() <= 1e-5 * right.abs().max()
            assert mine.shape == right.shape and mine.dtype is dtype
        (of_x,) = torch.autograd.grad(functional.conv_transpose2d(x, w, b, **settings), x, grad)
        assert of_x.is_contiguous(memory_format=layout)
        with torch.no_grad():
            x[0, 3, 0, 0] = torch.inf  # of which a tap reaches beyond the border
        (mine,), (right,) = (torch.autograd.grad(f(x, w, b, **settings), w, grad)
                             for f in (functional.conv_transpose2d, F.conv_transpose2d))  # fmt: skip
        assert mine.isfinite().equal(right.isfinite())


def test_a_backward_that_is_differentiated() -> None:
    """PyTorch's own is taken then."""
    x = torch.randn(1, 64, 8, 8, dtype=torch.float64, requires_grad=True)
    w = torch.randn(64, 64, 2, 2, dtype=torch.float64, requires_grad=True)

    def second(f: Callable[..., torch.Tensor]) -> tuple[torch.Tensor, ...]:
        (of_x,) = torch.autograd.grad(f(x, w, stride=2).square().sum(), x, create_graph=True)
        return torch.autograd.grad(of_x.square().sum(), (x, w))

    for mine, right in zip(second(functional.conv_transpose2d), second(F.conv_transpose2d), strict=True):
        close(mine, right)


def test_training_with_a_backend_that_is_not_here_is_pytorchs_as_inference_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_BACKEND", "nonsense")
    x, w = torch.randn(4, 64, 40, 40, requires_grad=True), torch.randn(64, 64, 2, 2, requires_grad=True)
    gradients = [torch.autograd.grad(f(x, w, stride=2).square().sum(), (x, w)) for f in (OURS[2], THEIRS[2])]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    monkeypatch.setenv("TCONV_STRICT", "1")
    with pytest.raises(StrictError, match="TCONV_BACKEND=nonsense is not available here"):
        OURS[2](x, w, stride=2)
