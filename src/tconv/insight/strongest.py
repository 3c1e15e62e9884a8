"""`top_activations`: where in many images a channel is strongest, what it sees there, and what of that set it off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv import errors
from tconv.arrays import Array
from tconv.geometry import Sizes
from tconv.insight.fields import Field, widest_field
from tconv.insight.finding import Layer, find
from tconv.insight.nearby import sent_back
from tconv.insight.pictures import Picture, Pictures, Prepare, Reading
from tconv.insight.projecting import checked_channel, observe, wanted
from tconv.insight.rules import checked_method
from tconv.insight.running import Calls, as_input, run, untouched

if TYPE_CHECKING:
    from tconv.insight.drawing import Sheet

POOLS: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


@dataclass(frozen=True, eq=False)
class Sighting:
    """One strong activation.

    Attributes:
        channel: of the layer.
        value: the activation.
        image: number of the image, from 0.
        name: of its file, or "image 3".
        position: in the layer's map of the image, or of the part of a large image that it was found in.
        field: the pixels of the image that the activation depends on.
        crop: these pixels, (*field, channels), as in the file or the tensor.
        projection: the activation sent back, (channels, *field), float32; it is zero outside the field.
    """

    channel: int
    value: float
    image: int
    name: str
    position: Sizes
    field: Field
    crop: Array
    projection: Tensor


@dataclass(frozen=True, eq=False)
class Strongest:
    """What `top_activations` found.

    Attributes:
        layer: its name.
        kind: its class.
        count: channels that it has.
        size: of its map for the last image.
        method: how activations were sent back.
        channels: the sightings of each channel that was asked for, the strongest first.
        images: how many were seen.
        problems: images that could not be, and why.
        field: what an activation sees where no border is near.
        part: of what comes back, lies in the crops; 1 unless they were narrowed by `focused`.
    """

    layer: str
    kind: str
    count: int
    size: Sizes
    method: str
    channels: dict[int, list[Sighting]]
    images: int
    problems: list[str]
    field: Field
    part: float = 1.0

    def __getitem__(self, channel: int) -> list[Sighting]:
        return self.channels[channel]

    def focused(self, part: float = 0.95) -> Strongest:
        """The same, with crops and projections narrowed to where most comes back: deep layers see more than they use.

        Args:
            part: of the sum of squares of a projection, which the new field holds about; above 0 and below 1.

        Raises:
            TconvError: another part.
        """
        if not 0 < part < 1:
            raise errors.TconvError(f"part {part} must be above 0 and below 1, as in 0.95")
        channels = {channel: [_narrowed(each, part) for each in found] for channel, found in self.channels.items()}
        return replace(self, channels=channels, part=part)

    def sheet(self, **options: Any) -> Sheet:
        """As a picture; options as for `tconv.insight.sheet`."""
        from tconv.insight.drawing import sheet

        return sheet(self, **options)

    def _repr_svg_(self) -> str:
        return self.sheet()._repr_svg_()


def top_activations(
    model: nn.Module,
    images: Any,
    layer: Layer,
    channels: int | Iterable[int] | None = None,
    n: int = 9,
    *,
    method: str = "deconvnet",
    per_image: int | None = None,
    call: int = -1,
    mean: Iterable[float] | None = None,
    std: Iterable[float] | None = None,
    prepare: Prepare | None = None,
    tell: Callable[[int, int | None], object] | None = None,
) -> Strongest:
    """For each channel of a layer, the `n` places in many images where it is strongest, and what it sees there.

    Images are gone through one at a time, and only the best places are remembered; a second time, the images that hold
    one are read again, and the activations there sent back (`project`). An image of more than 1,536 pixels per side is
    seen in parts that overlap by 512. An iterator, or a loader of batches, can be read once only: then the images that
    hold a strongest place are kept.

    Args:
        model, layer, method, call: as for `project`.
        images: a file, a folder or a glob; or a sequence or iterable of files, of arrays (height, width, channels), of
            tensors (channels, *size), of batches of those, or of tuples that begin with one; of different sizes.
        channels: which ones; default all.
        n: places per channel, default 9.
        per_image: at most so many places in an image, each the highest among its neighbours; default 1, and more where
            there are fewer images than `n`.
        mean, std: per channel: files and arrays are brought to 0 to 1, then (pixel - mean)/std; default as they are.
        prepare: instead of that: an array (height, width, channels) -> a tensor (channels, *size).
        tell: called with (images done, images in all or None) after each.

    Returns:
        The sightings, by channel. A channel that is nowhere above zero after a ReLU has those at zero.

    Raises:
        TconvError: no image could be read and run; the message has the first problem. And as `project`.
    """
    checked_method(method)
    name, module = find(model, layer)
    if n < 1 or (per_image is not None and per_image < 1):
        raise errors.TconvError(f"n {n} and per_image {per_image} must be at least 1")
    given = tuple(None if each is None else tuple(float(v) for v in each) for each in (mean, std))
    pictures = Pictures(images, Reading(channels_of(model), given[0], given[1], prepare), axes_of(model))
    search = _Search(model, name, module, call, n, _share(per_image, n, pictures.count), channels)
    with untouched(model, gradients=False):
        for picture in pictures:
            search.look(picture, keep=not pictures.rereads)
            if tell is not None:
                tell(picture.number + 1, pictures.count)
    problems = [text for _, text in sorted({**pictures.problems, **search.problems}.items())]
    if search.best is None:
        raise errors.TconvError(f"none of the images could be used; the first: {problems[0]}")
    with untouched(model):
        found = search.sightings(pictures, method)
    assert search.sees is not None
    return Strongest(
        name, type(module).__name__, search.count, search.size, method, found, len(search.seen), problems, search.sees
    )


def _share(per_image: int | None, n: int, images: int | None) -> int:
    """Places per image: as few as give n."""
    return per_image if per_image is not None else 1 if images is None else -(-n // images)


def channels_of(model: nn.Module) -> int | None:
    """How many channels the images of a model have: as many as its first layer takes that says so."""
    found = (getattr(module, "in_channels", None) for module in model.modules())
    return next((count for count in found if isinstance(count, int)), None)


def axes_of(model: nn.Module) -> int:
    """How many spatial axes the images of a model have: those of its first convolution's weights, or 2."""
    for module in model.modules():
        weight = module._parameters.get("weight")
        if hasattr(module, "kernel_size") and weight is not None and weight.dim() > 2:
            return weight.dim() - 2
    return 2


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A place that may be among the strongest."""

    value: float
    image: int
    offset: Sizes
    position: Sizes
    picture: Picture | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """The strongest first; of equals, the one that was found first."""
        return -self.value, self.image, self.offset, self.position


@dataclass
class _Search:
    """The best places so far."""

    model: nn.Module
    name: str
    module: nn.Module
    call: int
    n: int
    per_image: int
    channels: int | Iterable[int] | None
    best: dict[int, list[_Candidate]] | None = None
    count: int = 0
    size: Sizes = ()
    seen: set[int] = field(default_factory=set)
    problems: dict[int, str] = field(default_factory=dict)
    sees: Field | None = None

    def look(self, picture: Picture, keep: bool) -> None:
        """Compare a picture's activations with the best ones so far."""
        try:
            image = as_input(self.model, picture.tensor, picture.name)
            calls = Calls(self.call)
            run(self.model, image, {self.module: calls}, gradients=False)
            output = wanted(calls, self.name, self.call)[0]
        except (errors.ProjectionError, errors.DtypeError, errors.InputSizeError) as error:
            self.problems[picture.number] = f"{picture.name}: {error}"
            return
        if self.best is None:
            self.count = len(output)
            self.best = {channel: [] for channel in _chosen(self.channels, self.count, self.name)}
        output = output if output.dtype == torch.float64 else output.float()
        self.size = tuple(output.shape[1:])
        self.seen.add(picture.number)
        chosen = torch.tensor(list(self.best), dtype=torch.long, device=output.device)
        values, places = _highest(_owned(output[chosen], picture), self.per_image)
        held = picture if keep else None
        for channel, row, at in zip(self.best, values.tolist(), places.tolist(), strict=True):
            new = [
                _Candidate(value, picture.number, picture.offset, _unravelled(place, self.size), held)
                for value, place in zip(row, at, strict=True)
                if np.isfinite(value)
            ]
            self.best[channel] = self._merged(self.best[channel], new)

    def _merged(self, old: list[_Candidate], new: list[_Candidate]) -> list[_Candidate]:
        """The best n, at most `per_image` of an image, which may have come in parts."""
        taken: dict[int, int] = {}
        kept: list[_Candidate] = []
        for each in sorted([*old, *new], key=lambda candidate: candidate.order):
            taken[each.image] = taken.get(each.image, 0) + 1
            if taken[each.image] <= self.per_image and len(kept) < self.n:
                kept.append(each)
        return kept

    def sightings(self, pictures: Pictures, method: str) -> dict[int, list[Sighting]]:
        """Go back from every one of the best places; each picture is run once."""
        assert self.best is not None
        by_part: dict[tuple[int, Sizes], list[tuple[int, _Candidate]]] = {}
        for channel, candidates in self.best.items():
            for each in candidates:
                by_part.setdefault((each.image, each.offset), []).append((channel, each))
        found: dict[int, list[tuple[_Candidate, Sighting]]] = {channel: [] for channel in self.best}
        for (number, offset), wishes in sorted(by_part.items(), key=lambda item: item[0]):
            held = wishes[0][1].picture
            picture = held or next(part for part in pictures.again(number) if part.offset == offset)
            image = as_input(self.model, picture.tensor, picture.name)
            seen = observe(self.model, image, self.name, self.module, self.call)
            if self.sees is None:
                self.sees = widest_field(seen.graph, seen.output.shape)
            for channel, each in wishes:
                place = (channel, *each.position)
                where, back = sent_back(self.model, self.module, self.call, image, seen, place, method)
                found[channel].append((each, _sighting(picture, channel, each, where, back)))
        return {
            channel: [sighting for _, sighting in sorted(pairs, key=lambda pair: pair[0].order)]
            for channel, pairs in found.items()
        }


def _sighting(picture: Picture, channel: int, each: _Candidate, where: Field, back: Tensor) -> Sighting:
    spans = tuple((a + o, b + o) for (a, b), o in zip(where.spans, picture.offset, strict=True))
    return Sighting(
        channel, each.value, each.image, picture.name, each.position, replace(where, spans=spans),
        picture.pixels[where.slices].copy(), back.detach().to("cpu", torch.float32).clone(),
    )  # fmt: skip


def _narrowed(each: Sighting, part: float) -> Sighting:
    """A sighting cut to the smallest box, as long on every axis as its field allows, that holds most of it."""
    energy = np.square(each.projection.double().numpy()).sum(axis=0)
    if not energy.sum():
        return each
    ends = []
    for axis in range(energy.ndim):
        share = energy.sum(axis=tuple(n for n in range(energy.ndim) if n != axis)).cumsum() / energy.sum()
        ends.append((int((share <= (1 - part) / 2).sum()), int((share < (1 + part) / 2).sum())))
    side = max(last - first + 1 for first, last in ends) + 2
    spans = []
    for (first, last), n in zip(ends, energy.shape, strict=True):
        start = max(0, min((first + last + 1 - side) // 2, n - side))
        spans.append((start, min(start + side, n) - 1))
    inside = tuple(slice(first, last + 1) for first, last in spans)
    moved = tuple((a + first, b + first) for (a, b), (first, _) in zip(spans, each.field.spans, strict=True))
    projection = each.projection[(slice(None), *inside)]
    return replace(each, field=replace(each.field, spans=moved), crop=each.crop[inside], projection=projection)


def _chosen(channels: int | Iterable[int] | None, count: int, name: str) -> list[int]:
    if channels is None:
        return list(range(count))
    numbers = channels if isinstance(channels, Iterable) else [channels]
    return list(dict.fromkeys(checked_channel(each, count, name) for each in numbers))


def _owned(output: Tensor, picture: Picture) -> Tensor:
    """Activations, those of them below everything whose middle lies in the part of a neighbour."""
    pixels = picture.tensor.shape[2:]
    if output.dim() - 1 != len(pixels) or all(own == (0, n) for own, n in zip(picture.own, pixels, strict=True)):
        return output
    for axis, ((first, last), n) in enumerate(zip(picture.own, pixels, strict=True), 1):
        cells = output.shape[axis]
        middles = (torch.arange(cells, device=output.device) + 0.5) * n / cells
        ours = (middles >= first) & (middles < last)
        output = output.masked_fill(~ours.view([-1 if d == axis else 1 for d in range(output.dim())]), -torch.inf)
    return output


def _highest(output: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Values and flat places of the highest activations per channel of (channels, *size); not-a-numbers never count."""
    output = torch.nan_to_num(output, nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
    pool = POOLS.get(output.dim() - 1)
    if most > 1 and pool is not None:
        among = pool(output[None], 3, 1, 1)[0]
        output = output.masked_fill(output < among, -torch.inf)
    flat = output.reshape(len(output), -1)
    values, places = flat.topk(min(most, flat.shape[1]), dim=1)
    return values, places


def _unravelled(place: int, size: Sizes) -> Sizes:
    return tuple(int(n) for n in np.unravel_index(place, size)) if size else ()
