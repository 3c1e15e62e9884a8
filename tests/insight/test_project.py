"""`project` against its definition, for every way in which people write a model."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from insight.nets import Net, close, image, rule, seeded, strongest, written_out
from torch import Tensor, nn

from tconv import errors
from tconv import nn as tnn
from tconv.insight import project
from tconv.nn import functional as tf

RULED = ("deconvnet", "guided", "gradient")
X = image(1, 3, 9, 11)


def plain_relu(x: Tensor) -> Tensor:
    return torch.relu(x)


with warnings.catch_warnings():  # PyTorch advises against TorchScript, which models out there use all the same
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted_relu = torch.jit.script(plain_relu)


RELUS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "nn.ReLU": nn.ReLU,
    "nn.ReLU in place": lambda: nn.ReLU(inplace=True),
    "F.relu": lambda: F.relu,
    "F.relu in place": lambda: lambda x: F.relu(x, inplace=True),
    "F.relu_": lambda: F.relu_,
    "torch.relu": lambda: torch.relu,
    "torch.relu_": lambda: torch.relu_,
    "x.relu()": lambda: lambda x: x.relu(),
    "x.relu_()": lambda: lambda x: x.relu_(),
    "clamp": lambda: lambda x: x.clamp(min=0),
    "clamp_": lambda: lambda x: x.clamp_(min=0.0),
    "clamp to a tensor": lambda: lambda x: x.clamp(min=torch.zeros(())),
    "clamp_min": lambda: lambda x: torch.clamp_min(x, 0),
    "clip": lambda: lambda x: torch.clip(x, 0, 1e6),
    "threshold": lambda: lambda x: F.threshold(x, 0.0, 0.0),
    "nn.Threshold": lambda: nn.Threshold(0.0, 0.0, inplace=True),
    "hardtanh": lambda: lambda x: F.hardtanh(x, 0.0, 1e6),
    "maximum": lambda: lambda x: torch.maximum(x, torch.zeros_like(x)),
    "maximum, the other way": lambda: lambda x: torch.maximum(torch.zeros(()), x),
    "max": lambda: lambda x: torch.max(x, torch.tensor(0.0)),
    "nn.LeakyReLU(0)": lambda: nn.LeakyReLU(0.0),
    "aten.relu": lambda: torch.ops.aten.relu.default,
    "aten.relu_": lambda: torch.ops.aten.relu_.default,
    "TorchScript": lambda: scripted_relu,
}


@pytest.mark.parametrize("method", RULED)
@pytest.mark.parametrize("name", RELUS)
def test_every_spelling_of_relu(name: str, method: str) -> None:
    model = seeded(Net(RELUS[name]()))
    at = (2, 4, 5)
    expected = written_out(seeded(Net()), X, at, method)
    for _ in range(2):  # TorchScript optimises what runs a second time
        assert close(project(model, X, "convs.2", 2, at[1:], method), expected)


@pytest.mark.parametrize("method", RULED)
def test_relu6_is_a_relu_on_the_way_back(method: str) -> None:
    for act in (F.relu6, nn.ReLU6(inplace=True), lambda x: x.clamp(0, 6)):
        model, x = seeded(Net(act)), 0.1 * X
        assert close(project(model, x, "convs.2", 1, (3, 3), method), written_out(model, x, (1, 3, 3), method))
        saturated = project(model, 1000 * X, "convs.2", 1, (3, 3), method)
        assert bool(saturated.any()) == (method != "gradient")  # what is cut off above is open all the same


@pytest.mark.parametrize("act", [nn.ReLU6(), nn.ReLU6(inplace=True), lambda x: x.clamp(0, 6)])
def test_where_a_relu6_ends_it_is_open_on_the_way_back(act: Any) -> None:
    model = seeded(Net(act, (3, 6, 4)))
    for method in ("deconvnet", "guided"):
        found = project(model, 1000 * X, "convs.1", 1, (3, 3), method)
        assert close(found, written_out(model, 1000 * X, (1, 3, 3), method))
    assert not project(model, 1000 * X, "convs.1", 1, (3, 3), "gradient").any()


@pytest.mark.parametrize("method", RULED)
@pytest.mark.parametrize(
    ("slope", "act"),
    [
        (0.2, nn.LeakyReLU(0.2)),
        (0.2, nn.LeakyReLU(0.2, inplace=True)),
        (0.3, lambda x: F.leaky_relu_(x, 0.3)),
        (0.25, nn.RReLU(0.2, 0.3)),
        (0.25, nn.PReLU()),
    ],
)
def test_leaky_activations_let_the_same_part_through_on_the_way_back(slope: float, act: Any, method: str) -> None:
    model = Net(act)
    for conv, other in zip(model.convs, seeded(Net()).convs, strict=True):
        conv.load_state_dict(other.state_dict())
    assert close(project(model, X, "convs.2", 0, (4, 4), method), written_out(model, X, (0, 4, 4), method, slope))


def test_prelu_has_a_slope_per_channel() -> None:
    conv, act, last = nn.Conv2d(1, 3, 1, bias=False), nn.PReLU(3), nn.Conv2d(3, 1, 1, bias=False)
    with torch.no_grad():
        act.weight.copy_(torch.tensor([0.1, 0.5, -0.3]))
        last.weight.copy_(torch.tensor([-1.0, -2.0, -4.0]).view(1, 3, 1, 1))
        conv.weight.copy_(torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1))
    found = project(nn.Sequential(conv, act, last), torch.ones(1, 1, 2, 2), "2", position=(1, 0))
    assert found[0, 0, 1, 0].item() == pytest.approx(-0.1 * 1 - 0.5 * 20 + 0.3 * 400)


SMOOTH = (F.elu, F.celu, F.selu, F.gelu, F.silu, F.mish, F.softplus, F.hardswish, nn.ELU(inplace=True), nn.SiLU(True))


@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: getattr(act, "__name__", str(act)))
def test_smooth_activations_count_as_the_relu_they_stand_for(act: Any) -> None:
    model = seeded(Net(act))
    at = (3, 2, 7)
    inputs, y = [], X
    for conv in model.convs[:-1]:
        inputs.append(conv(y).detach().requires_grad_())
        y = act(inputs[-1].clone())
    for method in ("deconvnet", "guided"):
        g = torch.zeros(1, 4, 9, 11)
        g[(0, *at)] = 1
        for conv, a in zip(reversed(model.convs), [*reversed(inputs), None], strict=True):
            g = tf.conv_transpose2d(g, conv.weight, padding=1)
            if a is not None:
                (slope,) = torch.autograd.grad(act(a.clone()).sum(), a)
                g = g.clamp(min=0) * (slope if method == "guided" else 1)
        assert close(project(model, X, "convs.2", 3, (2, 7), method), g.detach())


@pytest.mark.parametrize(
    "act", [torch.sigmoid, torch.tanh, F.softsign, F.hardtanh, F.logsigmoid, lambda x: x.softmax(1)]
)
def test_what_does_not_rectify_goes_back_by_its_derivative(act: Any) -> None:
    model = seeded(Net(act))
    gradient = project(model, X, "convs.2", 1, (1, 1), "gradient")
    leaf = X.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf)[0, 1, 1, 1], leaf)
    assert torch.equal(gradient, expected)
    for method in ("deconvnet", "guided"):
        assert torch.equal(project(model, X, "convs.2", 1, (1, 1), method), gradient)


def linear() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 1), nn.BatchNorm2d(8), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.AvgPool2d(2), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.Conv2d(4, 4, 3, dilation=2, padding=2),
    )  # fmt: skip


def test_without_relus_all_methods_are_the_gradient() -> None:
    model, x = seeded(linear()), image(2, 3, 33, 30)
    gradient = project(model, x, "6", 2, method="gradient")
    assert gradient.any()
    for method in ("deconvnet", "guided"):
        assert torch.equal(project(model, x, "6", 2, method=method), gradient)
    assert torch.equal(project(model, x, "6", 2, method="gradient_times_input"), gradient * x)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_single_linear_layer_returns_its_kernel_stamped(ndim: int) -> None:
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1](2, 3, 3, stride=2, padding=1)
    for method in RULED:
        found = project(conv, image(1, 2, *(9,) * ndim), conv, 1, (2,) * ndim, method)
        where = (slice(3, 6),) * ndim
        assert torch.equal(found[(0, slice(None), *where)], conv.weight[1].detach())
        found[(0, slice(None), *where)] = 0
        assert not found.any()
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[ndim - 1](2, 3, 2, stride=2)
    found = project(transposed, image(1, 2, *(4,) * ndim), transposed, 1, (3,) * ndim)
    assert torch.equal(
        found[(0, slice(None), *(1,) * ndim)], transposed.weight[(slice(None), 1, *(1,) * ndim)].detach()
    )


class ZFNet(nn.Module):
    """Convolutions, ReLUs and max pooling as in Zeiler and Fergus, figure 3, only smaller."""

    def __init__(self, window: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(3, 8, 7, 2, 1),
            nn.Conv2d(8, 12, 5, 2),
            nn.Conv2d(12, 16, 3, 1, 1),
        )
        self.pool = window, stride

    def forward(self, x: Tensor) -> Tensor:
        x, _ = F.max_pool2d(F.relu(self.conv1(x), inplace=True), *self.pool, return_indices=True)
        x = F.max_pool2d(torch.relu(self.conv2(x)), *self.pool)
        return F.relu(self.conv3(x))


def up(g: Tensor, conv: nn.Conv2d, size: torch.Size) -> Tensor:
    """A convolution's own weights in tconv's transposed layer, back to a given size."""
    layer = tnn.ConvTranspose2d(
        conv.out_channels, conv.in_channels, conv.kernel_size, conv.stride, conv.padding, bias=False
    )
    layer.weight = conv.weight
    return layer(g, output_size=size[2:])


def unpooled(g: Tensor, switches: Tensor, size: torch.Size, pool: tuple[int, int]) -> Tensor:
    """By `max_unpool2d`; where windows overlap, what two of them put in one place is added up."""
    if pool[0] == pool[1]:
        return F.max_unpool2d(g, switches, *pool, output_size=size)
    flat = torch.zeros(size).flatten(2)
    return flat.scatter_add(2, switches.flatten(2), g.flatten(2)).view(size)


@pytest.mark.parametrize("pool", [(2, 2), (3, 2)], ids=["apart", "overlapping"])
@pytest.mark.parametrize("method", ["deconvnet", "guided"])
@torch.no_grad()
def test_a_zfnet_equals_the_construction_by_unpooling_relu_and_transposed_layers(pool: Any, method: str) -> None:
    model, x = seeded(ZFNet(*pool)), image(1, 3, 61, 67)
    a1 = model.conv1(x)
    p1, switches1 = F.max_pool2d(F.relu(a1), *pool, return_indices=True)
    a2 = model.conv2(p1)
    p2, switches2 = F.max_pool2d(F.relu(a2), *pool, return_indices=True)
    a3 = model.conv3(p2)
    for channel in range(0, 16, 3):
        at = strongest(F.relu(a3), channel)
        g = torch.zeros_like(a3)
        g[(0, *at)] = 1
        g = up(rule(method, g, a3), model.conv3, p2.shape)
        g = up(rule(method, unpooled(g, switches2, a2.shape, pool), a2), model.conv2, p1.shape)
        g = up(rule(method, unpooled(g, switches1, a1.shape, pool), a1), model.conv1, x.shape)
        assert close(project(model, x, model, channel, method=method), g)


def test_guided_is_zero_where_the_forward_mask_is() -> None:
    act = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 5, 1), act, nn.Conv2d(5, 4, 3, padding=1))
    seeded(model)
    shown = nn.Sequential(
        nn.Conv2d(5, 5, 1, bias=False), *list(model)[1:]
    )  # the first layer hands on the signal itself
    with torch.no_grad():
        shown[0].weight.copy_(torch.eye(5).view(5, 5, 1, 1))
    x = image(1, 5, 8, 8)
    found = project(shown, x, "2", 0, (4, 4), "guided")
    assert not found[x <= 0].any() and found[x > 0].any() and (found >= 0).all()
    assert project(shown, x, "2", 0, (4, 4), "deconvnet")[x <= 0].any()


class Branching(nn.Module):
    """Residual sums, concatenations, one ReLU for all, one convolution twice, upsampling, a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.twice = (
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.Conv2d(6, 6, 3, padding=1),
        )
        self.up, self.last, self.relu = (
            nn.ConvTranspose2d(6, 6, 2, 2),
            nn.Conv2d(12, 5, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        y = self.relu(self.twice(x)) + x
        y = self.relu(self.twice(F.max_pool2d(y, 2)))
        y = torch.cat((x, self.relu(self.up(y))), dim=1)
        return self.relu(self.last(y))


class Rectified(torch.autograd.Function):
    """The deconvnet's ReLU, by itself."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return a.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g.clamp(min=0)


def test_branches_reuse_and_batch_norm() -> None:
    model = seeded(Branching())
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2)
    x = image(2, 3, 12, 14)
    found = project(model, x, "last", 3)
    del model.relu
    model.__dict__["relu"] = Rectified.apply
    leaf = x.clone().requires_grad_()
    y = model.eval()(leaf)[:, 3]
    (expected,) = torch.autograd.grad(y.flatten(1).max(dim=1).values.sum(), leaf)
    assert close(found, expected)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu_ of a view": lambda x: x.view(x.shape).relu_(),
    "F.relu in place": lambda x: F.relu(x.flatten(2), inplace=True).view(x.shape),
    "nn.ReLU in place": lambda x: nn.ReLU(inplace=True)(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    "clamp_": lambda x: torch.clamp_(x[:, :], min=0),
    "threshold, in place by position": lambda x: F.threshold(x[:, :], 0.0, 0.0, True),
    "leaky_relu_": lambda x: F.leaky_relu_(x.transpose(2, 3), 0.0).transpose(2, 3),
    "aten.relu_": lambda x: torch.ops.aten.relu_.default(x.squeeze(0)).unsqueeze(0),
}


@pytest.mark.parametrize("method", RULED)
@pytest.mark.parametrize("name", VIEWS)
def test_activations_in_place_on_views(name: str, method: str) -> None:
    model = seeded(Net(VIEWS[name]))
    assert close(project(model, X, "convs.2", 2, (4, 5), method), written_out(seeded(Net()), X, (2, 4, 5), method))


@pytest.mark.parametrize("method", RULED)
def test_an_activation_of_a_part_of_the_channels(method: str) -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.one(x)
            F.relu(y[:, :4], inplace=True)
            y[:, 5:] = 2 * y[:, 5:]
            z: Tensor = self.two(y)
            return z

    model = seeded(Partly())
    g = torch.zeros(1, 2, 9, 11)
    g[0, 1, 4, 4] = 1
    g = tf.conv_transpose2d(g, model.two.weight, padding=1)
    g = torch.cat((rule(method, g[:, :4], model.one(X)[:, :4]), g[:, 4:5], 2 * g[:, 5:]), dim=1)
    expected = tf.conv_transpose2d(g, model.one.weight, padding=1).detach()
    assert close(project(model, X, "two", 1, (4, 4), method), expected)


def test_without_max_pooling_the_deconvnet_does_not_depend_on_the_image() -> None:
    model, other = seeded(Net()), image(1, 3, 9, 11, seed=5)
    one, two = (project(model, x, "convs.2", 1, (4, 4)) for x in (X, other))
    assert torch.equal(one, two)
    assert not torch.equal(*(project(model, x, "convs.2", 1, (4, 4), "guided") for x in (X, other)))


def test_the_call_of_a_layer_that_is_used_many_times() -> None:
    model, x = seeded(Branching()), image(1, 3, 12, 14)
    first, last = project(model, x, "twice", 0, (2, 2), call=0), project(model, x, "twice", 0, (2, 2))
    assert torch.equal(last, project(model, x, "twice", 0, (2, 2), call=1))
    assert torch.equal(first, project(model, x, "twice", 0, (2, 2), call=-2)) and not torch.equal(first, last)
    assert first[:, :, :5, :5].any() and not first[:, :, 5:].any()  # it sees 5 x 5 pixels, the second call more
    assert last[:, :, 5:].any()


def test_what_follows_in_place_does_not_change_what_a_layer_gave() -> None:
    """The convolution's own activation is shown, not that of the ReLU that overwrites it."""
    conv = seeded(nn.Conv2d(1, 1, 1))
    with torch.no_grad():
        conv.weight.fill_(-2)
    model = nn.Sequential(conv, nn.ReLU(inplace=True))
    assert project(model, torch.ones(1, 1, 2, 2), "0", 0, (0, 0), "gradient")[0, 0, 0, 0] == -2
    assert not project(model, torch.ones(1, 1, 2, 2), "1", 0, (0, 0), "gradient").any()


@pytest.mark.parametrize("ndim", [1, 3])
def test_one_and_three_axes(ndim: int) -> None:
    conv, pool = (nn.Conv1d, nn.MaxPool1d) if ndim == 1 else (nn.Conv3d, nn.MaxPool3d)
    model = nn.Sequential(conv(2, 4, 3, padding=1), nn.ReLU(), pool(2), conv(4, 3, 3, padding=1), nn.ReLU())
    seeded(model)
    x = image(2, 2, *(8,) * ndim)
    found = project(model, x, "4", 1)
    with torch.no_grad():
        a = model[0](x)
        p, switches = (F.max_pool1d if ndim == 1 else F.max_pool3d)(F.relu(a), 2, return_indices=True)
        b = model[3](p)
        g = torch.zeros_like(b)
        for n in range(2):
            g[n, 1].view(-1)[F.relu(b[n, 1]).argmax()] = 1
        back, unpool = ((F.conv_transpose1d, F.max_unpool1d), None, (F.conv_transpose3d, F.max_unpool3d))[ndim - 1]
        g = unpool(back(g.clamp(min=0), model[3].weight, padding=1), switches, 2)
        expected = back(g.clamp(min=0), model[0].weight, padding=1)
    assert close(found, expected)


def test_the_strongest_channel_and_place_are_chosen_image_by_image() -> None:
    model, x = seeded(Net()), image(3, 3, 9, 11)
    found = project(model, x, "convs.2")
    with torch.no_grad():
        y = model(x)
    for n in range(3):
        channel = int(y[n].flatten(1).max(dim=1).values.argmax())
        at = strongest(y[n : n + 1], channel)
        assert close(found[n : n + 1], written_out(model, x[n : n + 1], at, "deconvnet"))
    at_place = project(model, x[:1], "convs.2", None, (0, -1))
    assert close(at_place, written_out(model, x[:1], (int(y[0, :, 0, -1].argmax()), 0, 10), "deconvnet"))


def test_layouts_and_dtypes() -> None:
    model, at = seeded(Net()), (4, 5)
    expected = project(model, X, "convs.2", 2, at)
    last = X.to(memory_format=torch.channels_last)
    model.to(memory_format=torch.channels_last)
    assert close(project(model, last, "convs.2", 2, at), expected)
    double = project(model.double(), X, "convs.2", 2, at)
    assert double.dtype == torch.float64 and close(double, expected.double())
    for dtype, tolerance in ((torch.bfloat16, 3e-2), (torch.float16, 4e-3)):
        half = project(model.to(dtype), X, "convs.2", 2, at)
        assert half.dtype == torch.float32 and close(half, expected, tolerance)


def test_numpy_and_the_callers_modes() -> None:
    model = seeded(Net())
    expected = project(model, X, "convs.2", 2)
    assert torch.equal(project(model, X.numpy(), "convs.2", 2), expected)
    with torch.no_grad():
        assert torch.equal(project(model, X, "convs.2", 2), expected)
    with torch.inference_mode():
        inside = X.clone()
        assert torch.equal(project(model, inside, "convs.2", 2).clone(), expected)


def test_a_layer_by_module_name_pattern_and_as_a_whole() -> None:
    model = seeded(Net())
    expected = project(model, X, model.convs[2], 1)
    for layer in ("convs.2", "*.2", "conv?.2", "", model):
        assert torch.equal(project(model, X, layer, 1), expected)


class Several(nn.Module):
    """Gives more than a tensor."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.conv, self.kind = nn.Conv2d(3, 2, 3), kind

    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        return {"tuple": (y.argmax(1), y), "dict": {"out": y, "aux": y * 2}, "nested": [(None, y)]}[self.kind]


@pytest.mark.parametrize("kind", ["tuple", "dict", "nested"])
def test_the_first_tensor_of_floats_is_taken(kind: str) -> None:
    model = Several(kind)
    assert torch.equal(project(model, X, model, 0, (1, 1)), project(model, X, model.conv, 0, (1, 1)))


def test_a_layer_without_places() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    found = project(seeded(model), X, "4", 1)
    assert found.shape == X.shape and found.any()
    assert torch.equal(found, project(model, X, "4", 1, ()))


# models in other shapes


@pytest.mark.parametrize("method", RULED)
def test_exported_traced_compiled_and_accelerated(method: str) -> None:
    model = seeded(Branching()).eval()
    x = image(1, 3, 12, 14)
    expected = project(model, x, "last", 1, (6, 6), method)
    with warnings.catch_warnings():  # PyTorch's own of itself
        warnings.simplefilter("ignore")
        stream = io.BytesIO()
        torch.export.save(torch.export.export(model, (x,), strict=False), stream)
        stream.seek(0)
        program = torch.export.load(stream)
        modules = torch.export.unflatten(program)
    assert close(project(modules, x, "last", 1, (6, 6), method), expected)
    assert close(
        project(nn.Sequential(program.module()), x, "", 1, (6, 6), method), rectified(expected, model, x, method)
    )
    assert close(project(torch.fx.symbolic_trace(model), x, "last", 1, (6, 6), method), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(model, x)
    for _ in range(3):
        found = project(nn.Sequential(traced), x, "0", 1, (6, 6), method)
        assert close(found, rectified(expected, model, x, method))
    assert close(project(torch.compile(model, backend="eager"), x, "*last", 1, (6, 6), method), expected)
    tnn.fold(model)
    with torch.no_grad():
        model(x)
    assert close(project(model, x, "last", 1, (6, 6), method), expected)
    tnn.restore(model)


def rectified(expected: Tensor, model: nn.Module, x: Tensor, method: str) -> Tensor:
    """The whole ends with a ReLU behind `last`, which the gradient notices."""
    return project(model, x, "", 1, (6, 6), method)


def test_activations_within_a_checkpoint_are_found_or_refused() -> None:
    from torch.utils.checkpoint import checkpoint

    model = seeded(Net())
    expected = project(model, X, "", 0, (3, 3))

    class Saving(nn.Module):
        def __init__(self, reentrant: bool) -> None:
            super().__init__()
            self.inner, self.reentrant = model, reentrant

        def forward(self, x: Tensor) -> Any:
            return checkpoint(self.inner, x, use_reentrant=self.reentrant)

    assert close(project(Saving(False), X, "", 0, (3, 3)), expected)
    with pytest.raises(
        errors.ProjectionError,
        match=r"^a part of the model hides its activations from method 'deconvnet' \(CheckpointFunction\); run the "
        r"model as plain Python, or choose method 'gradient'$",
    ):
        project(Saving(True), X, "", 0, (3, 3))
