"""What `project` refuses, word by word."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from insight.nets import Net, image, seeded
from torch import Tensor, nn

from tconv import errors
from tconv.insight import METHODS, project

X = image(1, 3, 9, 11)


class Blind(nn.Module):
    """Layers that cannot be seen, each for a reason of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.unused, self.bias, self.by_hand = (nn.Conv2d(3, 4, 3) for _ in range(4))
        self.round, self.ids = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.by_hand.forward(x) + self.conv(x)
        with torch.no_grad():
            y = y + self.round(y)
        self.ids(y.argmax(1))
        return y + self.bias(torch.zeros_like(x))


class Overwriting(nn.Module):
    """Writes over what its own gradient needs, and gives a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.sum = nn.Conv2d(3, 2, 3), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).sigmoid()
        y.mul_(2)
        self.sum(y.sum())
        return y


def test_what_autograd_cannot_follow_is_said() -> None:
    said = (
        r"^layer '' cannot be followed back to the image: one of the variables needed for gradient computation has been"
    )
    with pytest.raises(errors.ProjectionError, match=said):
        project(Overwriting(), X, "", 0, (1, 1))


SEEN = "choose one that gives (batch, channels, *size)"
REFUSALS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: project(Net(), X, "conv.2"), errors.LayerError,
     "there is no layer 'conv.2' in this Net; did you mean convs.2 or convs.1 or convs.0?"),
    (lambda: project(Net(), X, "encoder"), errors.LayerError,
     "there is no layer 'encoder' in this Net; there are convs, convs.0, convs.1, convs.2"),
    (lambda: project(nn.ReLU(), X, "x"), errors.LayerError,
     "there is no layer 'x' in this ReLU; it has no parts; '' is the whole"),
    (lambda: project(Net(), X, "convs.*"), errors.LayerError,
     "layer 'convs.*' stands for 3 layers, convs.0, convs.1, convs.2; name one"),
    (lambda: project(Net(), X, nn.Conv2d(3, 3, 3)), errors.LayerError,
     "the layer Conv2d is not a part of this Net; take it from the model itself, or name it"),
    (lambda: project(Net(), X, 3), errors.ArgumentTypeError, "layer must be a module or its name, not 3 (int)"),
    (lambda: project(Net, X, "convs.2"), errors.ArgumentTypeError,
     "the model must be a torch.nn.Module, not the class Net; call it"),
    (lambda: project(F.relu, X, "convs.2"), errors.ArgumentTypeError,
     "the model must be a torch.nn.Module, not function"),
    (lambda: project(type("ExportedProgram", (), {})(), X, ""), errors.ArgumentTypeError,
     "the model must be a torch.nn.Module, not ExportedProgram; torch.export.unflatten(program) is one"),
    (lambda: project(Overwriting(), X, "sum"), errors.LayerError, f"layer 'sum' gives a tensor of shape (); {SEEN}"),
    (lambda: project(Net(), X, "convs.2", 4), errors.ChannelError,
     "channel 4 is not there: layer 'convs.2' has 4, 0 to 3"),
    (lambda: project(Net(), X, "convs.2", 1.5), errors.ArgumentTypeError,
     "channel must be an integer, not 1.5 (float)"),
    (lambda: project(Net(), X, "convs.2", 1, (3, 11)), errors.InputSizeError,
     "position (3, 11) lies outside layer 'convs.2', which has the size (9, 11)"),
    (lambda: project(Net(), X, "convs.2", 1, 3), errors.LengthError,
     "position (3,) has 1 entries; layer 'convs.2' has the size (9, 11)"),
    (lambda: project(Net(), X, "convs.2", 1, "mean"), errors.TconvError,
     "position 'mean' is unknown; give 'max', or an index on each of 2 axes"),
    (lambda: project(Net(), X, "convs.2", method="lrp"), errors.TconvError,
     "method 'lrp' is unknown; choose one of deconvnet, guided, gradient, gradient_times_input"),
    (lambda: project(Net(), X, "convs.2", call=1), errors.LayerError,
     "layer 'convs.2' is called 1 times; call 1 must be one of them"),
    (lambda: project(Net(), (255 * X).to(torch.uint8), "convs.2"), errors.DtypeError,
     "x has dtype uint8; give floats, scaled as those that the model was trained on, such as x / 255"),
    (lambda: project(Net(), X / 0, "convs.2"), errors.TconvError,
     "x has 297 values that are NaN or infinite; replace them"),
    (lambda: project(Net(), X[0, 0], "convs.2"), errors.RankError,
     "x has shape (9, 11); it must be (batch, channels, *size)"),
    (lambda: project(Net(), X[:, :, :0], "convs.2"), errors.InputSizeError,
     "x has shape (1, 3, 0, 11), without a single number; give an image"),
    (lambda: project(Net(), "photo.jpg", "convs.2"), errors.ArgumentTypeError,
     "x must be a tensor or an array, not str"),
    (lambda: project(Blind(), X, "unused"), errors.LayerError,
     "layer 'unused' is not called when the model runs: it may be unused, its forward called by hand, or run within "
     "TorchScript or an exported graph, whose parts are not modules any more (torch.export.unflatten makes them so)"),
    (lambda: project(Blind(), X, "round"), errors.ProjectionError,
     "layer 'round' is computed without a way back to the image; leave no_grad, detach and rounding out of the model, "
     "and parameters made in inference mode"),
    (lambda: project(Blind(), X, "bias"), errors.ProjectionError,
     "layer 'bias' does not depend on the image; choose another one"),
    (lambda: project(Blind(), X, "ids"), errors.LayerError, f"layer 'ids' gives no tensor of floats; {SEEN}"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "law", "text"), REFUSALS, ids=[text[:50] for *_, text in REFUSALS])
def test_refusal(broken: Callable[[], object], law: type[Exception], text: str) -> None:
    with pytest.raises(law, match=f"^{re.escape(text)}$"):
        broken()


def test_a_layer_error_is_a_lookup_error_and_all_are_tconv_errors() -> None:
    with pytest.raises(LookupError):
        project(Net(), X, "nothing")
    assert issubclass(errors.LayerError, errors.TconvError) and issubclass(errors.ProjectionError, errors.TconvError)


def test_what_the_model_cannot_compute_is_said_in_one_line() -> None:
    start = r"^the model cannot compute an image of shape \(1, 2, 9, 11\), float32: "
    with pytest.raises(errors.ProjectionError, match=start + ".*expected input.*to have 3 channels") as caught:
        project(Net(), X[:, :2], "convs.2")
    assert "\n" not in str(caught.value) and isinstance(caught.value.__cause__, RuntimeError)


def test_a_map_without_a_finite_number() -> None:
    model = seeded(Net())
    with torch.no_grad():
        model.convs[0].weight.fill_(torch.nan)
    said = r"^layer 'convs.2' gives no finite number for this image; look at the model's weights$"
    with pytest.raises(errors.ProjectionError, match=said):
        project(model, X, "convs.2")


def test_the_methods_are_those_of_the_docstring() -> None:
    assert all(f'* "{method}"' in (project.__doc__ or "") for method in METHODS)
