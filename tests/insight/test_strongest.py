"""`top_activations` against a search by hand, for images of every kind; and what it says of those it cannot read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from insight.nets import Net, close, image, seeded
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tconv import errors
from tconv.insight import Sighting, Strongest, nearby, pictures, project, top_activations

SIZES = ((12, 9), (7, 15), (20, 20), (9, 9), (5, 6))
TENSORS = [image(3, *size, seed=n) for n, size in enumerate(SIZES)]


def by_hand(model: nn.Module, channel: int, n: int) -> list[tuple[float, int, tuple[int, ...]]]:
    """(value, image, place) of the highest activation of each image, the strongest first."""
    found = []
    with torch.no_grad():
        for number, x in enumerate(TENSORS):
            y = model(x[None])[0, channel]
            place = tuple(int(k) for k in torch.unravel_index(y.argmax(), y.shape))
            found.append((y.max().item(), number, place))
    return sorted(found, reverse=True)[:n]


def told(found: list[Sighting]) -> list[tuple[float, int, tuple[int, ...]]]:
    return [(each.value, each.image, each.position) for each in found]


@pytest.mark.parametrize("method", ["deconvnet", "gradient_times_input"])
def test_the_strongest_places_what_they_see_and_what_set_them_off(method: str) -> None:
    model = seeded(Net())
    found = top_activations(model, TENSORS, "convs.2", n=3, method=method)
    assert (found.layer, found.kind, found.count, found.images, found.problems) == ("convs.2", "Conv2d", 4, 5, [])
    assert list(found.channels) == [0, 1, 2, 3] and found.method == method
    for channel in range(4):
        assert told(found[channel]) == by_hand(model, channel, 3)
        for each in found[channel]:
            x = TENSORS[each.image][None]
            whole = project(model, x, "convs.2", channel, each.position, method)
            (top, left), where = each.position, each.field.slices
            spans = [(max(0, at - 3), min(n - 1, at + 3)) for at, n in zip((top, left), x.shape[2:], strict=True)]
            assert list(each.field.spans) == spans and each.name == f"image {each.image}"
            assert close(each.projection, whole[(0, slice(None), *where)])
            assert np.array_equal(each.crop, x[(0, slice(None), *where)].movedim(0, -1).numpy())
            whole[(slice(None), slice(None), *where)] = 0
            assert not whole.any()


def same(one: Strongest, other: Strongest) -> bool:
    return all(
        told(one[channel]) == told(other[channel])
        and all(torch.equal(a.projection, b.projection) for a, b in zip(one[channel], other[channel], strict=True))
        for channel in one.channels
    )


def test_lists_iterators_loaders_datasets_and_batches_alike() -> None:
    model, batch = seeded(Net()), image(6, 3, 8, 10)
    expected = top_activations(model, list(batch), "convs.2", [1, 3], 4, per_image=1)
    labelled = TensorDataset(batch, torch.arange(6))
    ways: list[Any] = [
        batch, iter(batch), (x for x in batch), [x[None] for x in batch], DataLoader(batch, 4), DataLoader(labelled, 4),
        [(x, 7) for x in batch], [batch[:2], batch[2:]],
    ]  # fmt: skip
    for way in ways:
        found = top_activations(model, way, "convs.2", [1, 3], 4, per_image=1)
        assert same(found, expected) and found.images == 6


def test_more_places_in_an_image_where_there_are_fewer_images() -> None:
    model = seeded(Net())
    found = top_activations(model, TENSORS[:2], "convs.2", 1, n=6)[1]
    assert len(found) == 6 and {each.image for each in found} == {0, 1}
    for one in found:
        for other in found:
            near = max(abs(a - b) for a, b in zip(one.position, other.position, strict=True)) < 2
            assert one is other or one.image != other.image or not near
    assert [each.value for each in found] == sorted((each.value for each in found), reverse=True)
    assert len(top_activations(model, TENSORS[:2], "convs.2", 1, n=6, per_image=1)[1]) == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, grey and with transparency among them, and three files that are none."""
    rng = np.random.default_rng(0)
    for n, shape in enumerate([(12, 9, 3), (7, 15), (20, 20, 4)]):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / f"{n}.png")
    Image.fromarray(rng.integers(0, 2**16, (9, 9), np.uint16)).save(tmp_path / "3.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_whose_bad_files_are_reported_and_the_rest_done(folder: Path) -> None:
    model, seen = seeded(Net()), list[tuple[int, int | None]]()
    found = top_activations(
        model, folder, "convs.2", [0, 1], mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2), tell=lambda *at: seen.append(at)
    )
    assert found.problems == [
        f"{folder}/broken.png is truncated or damaged; copy or export it again",
        f"{folder}/empty.jpg is empty; copy it again",
    ]
    assert found.images == 4 and seen == [(1, 6), (2, 6), (3, 6), (4, 6)]
    first = next(each for each in found[0] if each.name == f"{folder}/0.png")
    with Image.open(folder / "0.png") as picture:
        pixels = np.asarray(picture)
    assert np.array_equal(first.crop, pixels[first.field.slices])
    x = (
        torch.from_numpy(pixels / 255).float().movedim(-1, 0)[None] - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    ) / 0.2
    whole = project(model, x, "convs.2", 0, first.position)
    assert close(first.projection, whole[(0, slice(None), *first.field.slices)])
    assert same(
        found, top_activations(model, f"{folder}/*.*g", "convs.2", [0, 1], mean=(0.5, 0.4, 0.3), std=(0.2,) * 3)
    )


def test_a_preparation_of_ones_own(folder: Path) -> None:
    def prepare(pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels[:6, :6, :1].astype(np.float32).repeat(3, axis=2).transpose(2, 0, 1).copy())

    found = top_activations(seeded(Net()), folder / "0.png", "convs.2", 0, 1, prepare=prepare)[0]
    assert found[0].crop.shape == (*found[0].field.sizes, 3) and max(last for _, last in found[0].field.spans) < 6


def test_images_that_the_model_cannot_take_are_problems() -> None:
    images = [
        TENSORS[0],
        image(2, 9, 9),
        torch.full((3, 9, 9), torch.nan),
        TENSORS[1],
        torch.ones(3, 9, 9, dtype=torch.int64),
    ]
    found = top_activations(seeded(Net()), images, "convs.2", 0)
    assert found.images == 2 and len(found.problems) == 3
    assert found.problems[0].startswith("image 1: the model cannot compute an image of shape (1, 2, 9, 9), float32: ")
    assert found.problems[1] == "image 2 has 243 values that are NaN or infinite; replace them"
    assert found.problems[2].startswith("image 4: image 4 has dtype int64; give floats")


def test_images_smaller_than_the_field_are_seen_whole_and_those_too_small_for_the_model_reported() -> None:
    model = seeded(
        nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(4, 2, 3, padding=1))
    )
    found = top_activations(model, [image(3, 5, 6), image(3, 3, 3)], "3", 0)
    assert found.images == 1 and found[0][0].field.spans == ((0, 4), (0, 5))
    assert "output size" in found.problems[0].lower() or "too small" in found.problems[0].lower()


def test_a_huge_image_is_seen_in_parts_that_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = seeded(Net()), image(3, 70, 90)
    whole = top_activations(model, [x], "convs.2", n=8)
    monkeypatch.setattr(pictures, "PART", 32)
    monkeypatch.setattr(pictures, "OVERLAP", 16)
    parts = top_activations(model, [x], "convs.2", n=8)
    for channel in range(4):
        for a, b in zip(whole[channel], parts[channel], strict=True):
            assert a.value == pytest.approx(b.value, rel=1e-5) and a.field == b.field
            assert np.array_equal(a.crop, b.crop) and close(a.projection, b.projection)


def test_an_iterator_is_read_once_and_what_it_gives_is_kept_only_while_needed() -> None:
    alive: list[Any] = []

    def images() -> Iterator[Tensor]:
        import weakref

        for n in range(30):
            x = image(3, 8, 8, seed=n) * (1 + n)
            alive.append(weakref.ref(x))
            assert sum(ref() is not None for ref in alive) <= 6
            yield x

    found = top_activations(seeded(Net()), images(), "convs.2", 0, n=2)
    assert len(found[0]) == 2 and found.images == 30


def test_a_signal_and_a_volume() -> None:
    for ndim, conv in ((1, nn.Conv1d), (3, nn.Conv3d)):
        model = seeded(nn.Sequential(conv(2, 3, 3, padding=1), nn.ReLU(), conv(3, 2, 3)))
        found = top_activations(model, [image(2, *(7,) * ndim, seed=n) for n in range(3)], "2", n=2)
        each = found[1][0]
        assert each.projection.shape == (2, *each.field.sizes) and each.crop.shape == (*each.field.sizes, 2)
        assert found.sheet().svg().count("<image") == 8


def test_a_layer_without_places_sees_what_its_field_says() -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    found = top_activations(model, TENSORS, "4", n=2)
    assert found.size == () and found[0][0].position == ()
    assert all(each.field.spans == tuple((0, n - 1) for n in SIZES[each.image]) for each in found[0])


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_focused_crops_hold_most_of_what_comes_back(part: float) -> None:
    found = top_activations(seeded(Net()), TENSORS, "convs.2", n=3)
    narrow = found.focused(part)
    assert (narrow.part, narrow.field, found.part) == (part, found.field, 1.0)
    for channel in range(4):
        for before, after in zip(found[channel], narrow[channel], strict=True):
            x = TENSORS[after.image]
            assert np.array_equal(after.crop, x[(slice(None), *after.field.slices)].movedim(0, -1).numpy())
            whole = project(seeded(Net()), x[None], "convs.2", channel, after.position)[0]
            assert close(after.projection, whole[(slice(None), *after.field.slices)])
            least = 1 - 2 * (1 - part)  # each axis leaves out that much at most
            assert after.projection.square().sum() >= least * before.projection.square().sum()
            assert all(a <= b for a, b in zip(after.field.sizes, before.field.sizes, strict=True))
    with pytest.raises(errors.TconvError, match=r"^part 1 must be above 0 and below 1, as in 0\.95$"):
        found.focused(1)


REFUSALS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: top_activations(Net(), TENSORS, "convs.2", n=0), errors.TconvError,
     "n 0 and per_image None must be at least 1"),
    (lambda: top_activations(Net(), TENSORS, "convs.2", [0, 4]), errors.ChannelError,
     "channel 4 is not there: layer 'convs.2' has 4, 0 to 3"),
    (lambda: top_activations(Net(), [], "convs.2"), errors.TconvError, "there are no images; give at least one"),
    (lambda: top_activations(Net(), iter([]), "convs.2"), errors.TconvError, "there are no images; give at least one"),
    (lambda: top_activations(Net(), 3, "convs.2"), errors.ArgumentTypeError,
     "images must be a file, a folder, a glob, or images one after the other, not int"),
    (lambda: top_activations(Net(), [None], "convs.2"), errors.TconvError,
     "none of the images could be used; the first: image 0 is of type NoneType; give a file, an array or a tensor"),
    (lambda: top_activations(Net(), [TENSORS[0][0]], "convs.2"), errors.TconvError,
     "none of the images could be used; the first: image 0 has shape (12, 9); it must be (channels, height, width)"),
    (lambda: top_activations(Net(), [np.zeros((9, 9, 3), np.int64)], "convs.2"), errors.TconvError,
     "none of the images could be used; the first: image 0 has dtype int64; give uint8, uint16 or floats"),
    (lambda: top_activations(Net(), TENSORS, "conv"), errors.LayerError,
     "there is no layer 'conv' in this Net; did you mean convs or convs.2 or convs.1?"),
    (lambda: top_activations(Net(), TENSORS, "convs.2", method="lrp"), errors.TconvError,
     "method 'lrp' is unknown; choose one of deconvnet, guided, gradient, gradient_times_input"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "law", "text"), REFUSALS, ids=[text[:50] for *_, text in REFUSALS])
def test_refusal(broken: Callable[[], object], law: type[Exception], text: str) -> None:
    with pytest.raises(law, match=f"^{re.escape(text)}$"):
        broken()


def test_an_empty_folder_and_one_without_a_single_image_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no image there; give a file, a folder or a glob of"):
        top_activations(Net(), tmp_path, "convs.2")
    (tmp_path / "a.png").touch()
    said = rf"^none of the images could be used; the first: {re.escape(str(tmp_path))}/a\.png is empty; copy it again$"
    with pytest.raises(errors.TconvError, match=said):
        top_activations(Net(), tmp_path, "convs.2")


class Striding(nn.Module):
    """Down to an eighth and up again, with a border that shows, and whatever is asked for at the end."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.up, self.last = nn.ConvTranspose2d(4, 4, 2, 2), last

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.up(self.down(x)))
        return y


@pytest.mark.parametrize(
    ("layer", "last", "pieces"),
    [
        ("down", nn.Identity(), True),
        ("last", nn.Conv2d(4, 3, 3, padding=1), True),
        ("last", nn.InstanceNorm2d(4), False),  # it sees everything
        ("last", nn.Upsample(size=(60, 61)), False),  # it falls on other pixels in a piece
        ("last", nn.Conv2d(4, 3, 3, stride=3), None),  # 12 does not divide 64, so that only some do
    ],
)
@pytest.mark.parametrize("method", ["deconvnet", "guided", "gradient_times_input"])
def test_a_piece_of_the_image_gives_what_the_whole_gives(
    layer: str, last: nn.Module, pieces: bool | None, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = seeded(Striding(last)), image(3, 250, 219)
    used = list[bool]()
    honest = nearby._from_piece
    monkeypatch.setattr(nearby, "_from_piece", lambda *a: (found := honest(*a), used.append(found is not None))[0])
    found = top_activations(model, [x], layer, [0, 2], n=6, method=method)
    assert pieces is None or any(used) == pieces
    for channel in (0, 2):
        for each in found[channel]:
            whole = project(model, x[None], layer, channel, each.position, method)[0]
            assert close(each.projection, whole[(slice(None), *each.field.slices)])
