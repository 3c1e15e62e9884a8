"""`sheet`: what features see, beside what of it set them off; one row a channel, layer by layer, as SVG or PNG.

The arrangement is that of figure 2 of Zeiler and Fergus, arXiv:1311.2901; letters and colours are those of
`tconv.explorer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tconv import errors, outputs
from tconv.explorer.raster import png
from tconv.explorer.scene import Block, Mark, Picture, Role, Scene, Words, above
from tconv.explorer.svg import still
from tconv.insight.evolving import Evolution
from tconv.insight.strongest import Sighting, Strongest
from tconv.insight.tiles import Tile, of_crop, of_projection

TILE, GAP, BETWEEN = 1.62, 0.1, 0.55  # cells: a tile, the space between two, and between the two halves
SIDE, MARGIN, LINE = 2.3, 0.6, 0.55
SAYS = {
    "deconvnet": "sent back by the deconvnet",
    "guided": "sent back by guided backpropagation",
    "gradient": "its gradient",
    "gradient_times_input": "its gradient times the image",
}


@dataclass(frozen=True, eq=False)
class Sheet:
    """A picture of features. Made by `sheet`; save it, or leave it as a notebook's last line.

    Attributes:
        scene: its marks.
    """

    scene: Scene

    def svg(self) -> str:
        """As SVG, in the reader's colour scheme; the images are within it."""
        return still(self.scene)

    def png(self) -> bytes:
        """As PNG, at twice the size of the SVG."""
        return png(self.scene)

    def save(self, path: str | Path) -> None:
        """Write the file that the suffix says: .svg or .png; it appears whole or not at all.

        Raises:
            TconvError: another suffix.
            ImageFileError: it cannot be written.
        """
        path = checked_suffix(path)
        written = self.svg().encode() if path.suffix.lower() == ".svg" else self.png()
        outputs.write(path, written)

    def __repr__(self) -> str:
        return f"<Sheet: {self.scene.says}>"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return f'<div style="max-width:100%;overflow-x:auto">{self.svg()}</div>'


def checked_suffix(path: str | Path) -> Path:
    """A path that ends in .svg or .png."""
    path = Path(path)
    if path.suffix.lower() not in (".svg", ".png"):
        raise errors.TconvError(f"{path.name!r} must end in .svg or .png, which says what is written")
    return path


def sheet(*found: Strongest | Evolution, title: str = "", note: str = "") -> Sheet:
    """Draw what `top_activations` or `evolution` found.

    On the left the projections, on the right, place by place, what the image looks like there: the receptive field, as
    far as it lies in the image. Mid-grey is zero in a projection; each is stretched by its own largest value, as the
    magnitudes of different places are not to be compared by eye. Of volumes the middle slice is drawn, of signals the
    curve. For an `Evolution` there is a column per checkpoint.

    Args:
        found: one per layer, in the order in which they shall stand.
        title: above all.
        note: below all, such as whose pictures these are.

    Raises:
        TconvError: nothing to draw.
    """
    blocks = []
    for each in found:
        if not isinstance(each, Strongest | Evolution):
            raise errors.ArgumentTypeError(
                f"a sheet draws what top_activations or evolution returns, not {type(each).__name__}"
            )
        blocks.append(_stages(each) if isinstance(each, Evolution) else _layer(each))
    if not blocks:
        raise errors.TconvError("a sheet needs something to draw; give what top_activations or evolution returns")
    return Sheet(_scene(above(*blocks, gap=0.7), title, note, found))


def _scene(block: Block, title: str, note: str, found: Sequence[Strongest | Evolution]) -> Scene:
    head = 1.2 if title else 0.0
    foot = 0.9 if note else 0.0
    marks: list[Mark] = [Words(MARGIN, MARGIN + 0.3, title, 0.66, bold=True)] if title else []
    marks += block.at(MARGIN, MARGIN + head)
    if note:
        marks.append(Words(MARGIN, MARGIN + head + block.height + 0.6, note, 0.34))
    width = max(block.width, 0.33 * len(title), 0.17 * len(note)) + 2 * MARGIN
    says = f"features of {', '.join(each.layer or 'the model' for each in found)}"
    return Scene(width, block.height + head + foot + 2 * MARGIN, tuple(marks), says)


def _layer(found: Strongest) -> Block:
    """A heading, the heads of the two halves, and a row per channel."""
    across = max([1, *(len(sightings) for sightings in found.channels.values())])
    half = across * (TILE + GAP) - GAP
    right = SIDE + half + BETWEEN
    marks: list[Mark] = [
        Words(0, 0.25, found.layer or "the model", 0.5, bold=True),
        Words(0, 0.85, heading(found), 0.36),
        Words(SIDE, 1.5, f"Projections: {SAYS[found.method]}", 0.36, Role.KERNEL),
        Words(right, 1.5, "What the image looks like there", 0.36, Role.INPUT),
    ]
    y = 1.85
    for channel, sightings in found.channels.items():
        tiles = [(of_projection(each), of_crop(each)) for each in sightings]
        tall = max([0.5 * TILE, *(TILE * min(1.0, crop.shape[0] / crop.shape[1]) for _, crop in tiles)])
        strongest = f"{sightings[0].value:.3g}" if sightings else "nothing"
        marks.append(Words(0, y + tall / 2 - 0.2, f"channel {channel}", 0.4))
        marks.append(Words(0, y + tall / 2 + 0.25, f"up to {strongest}", 0.3))
        for n, (each, (projection, crop)) in enumerate(zip(sightings, tiles, strict=True)):
            x = n * (TILE + GAP)
            marks.append(_placed(projection, SIDE + x, y, tall, f"{_where(each)}, projection"))
            marks.append(_placed(crop, right + x, y, tall, _where(each)))
        y += tall + GAP
    return Block(right + half, y, tuple(marks))


def _stages(found: Evolution) -> Block:
    """A column per checkpoint: of every channel the strongest projection, and below it what the image looks like."""
    marks: list[Mark] = [
        Words(0, 0.25, found.layer or "the model", 0.5, bold=True),
        Words(0, 0.85, heading(next(iter(found.stages.values()))), 0.36),
    ]
    for n, label in enumerate(found.stages):
        marks.append(Words(SIDE + n * (TILE + GAP) + TILE / 2, 1.5, label[:12], 0.34, anchor="middle"))
    y = 1.85
    channels = list(next(iter(found.stages.values())).channels)
    for channel in channels:
        marks.append(Words(0, y + TILE - 0.2, f"channel {channel}", 0.4))
        for n, stage in enumerate(found.stages.values()):
            for each in stage[channel][:1]:
                x = SIDE + n * (TILE + GAP)
                marks.append(_placed(of_projection(each), x, y, TILE, f"{_where(each)}, projection"))
                marks.append(_placed(of_crop(each), x, y + TILE + GAP / 2, TILE, _where(each)))
        y += 2 * TILE + 3 * GAP
    return Block(max(SIDE + len(found.stages) * (TILE + GAP), 8.0), y, tuple(marks))


def heading(found: Strongest) -> str:
    """A layer in a line: its class, its map, and what one activation sees."""
    size = " x ".join(map(str, found.size))
    what = f"{found.kind}: {found.count} channels" + (f" of {size}" if size else "")
    if found.field.through:
        return f"{what}; one activation sees everything, through {', '.join(found.field.through)}"
    shown = f", of which those are shown where {found.part:.0%} of it comes back" if found.part < 1 else ""
    return f"{what}; one activation sees {' x '.join(map(str, found.field.sizes))} pixels{shown}"


def _placed(tile: Tile, x: float, y: float, tall: float, says: str) -> Picture:
    """A tile in its cell, in its own proportions and in the middle."""
    height, width = tile.shape
    scale = min(TILE / width, tall / height)
    w, h = width * scale, height * scale
    return Picture(x + (TILE - w) / 2, y + (tall - h) / 2, w, h, tile.png, tile.sharp, says)


def _where(each: Sighting) -> str:
    spans = ", ".join(f"{first} to {last}" for first, last in each.field.spans)
    return f"channel {each.channel}: {each.value:.4g} in {each.name}, pixels {spans}"
