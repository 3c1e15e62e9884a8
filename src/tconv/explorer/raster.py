"""Scenes as pixels: PNG and GIF, drawn by Pillow with the font that it brings. No LaTeX, no browser."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from tconv.explorer.palette import LIGHT, Theme
from tconv.explorer.scene import Arrow, Box, Edge, Film, Frame, Picture, Role, Scene, Words

CELL = 36  # pixels
FINER = 2  # drawn larger and scaled down, which smooths the letters


def png(scene: Scene, theme: Theme = LIGHT, clear: bool = False) -> bytes:
    """One scene, at twice the size of the SVG, for fine screens; `clear`: nothing lies behind the cells."""
    return _encoded(_drawn(scene, (scene.width, scene.height), theme, FINER, clear), "PNG")


def gif(film: Film, seconds: float = 1.0, theme: Theme = LIGHT) -> bytes:
    """All scenes of a film, each for `seconds`, again and again."""
    frames = []
    for scene in film.scenes:
        large = _drawn(scene, film.size, theme, FINER)
        frames.append(large.resize((large.width // FINER, large.height // FINER), Image.Resampling.LANCZOS))
    palette = _palette(frames[:8])
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    stream = BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=int(1000 * seconds), loop=0, optimize=True)
    return stream.getvalue()


def _palette(frames: list[Image.Image]) -> Image.Image:
    """One palette for all frames, so that nothing flickers."""
    strip = Image.new("RGB", (frames[0].width, sum(frame.height for frame in frames)))
    for n, frame in enumerate(frames):
        strip.paste(frame, (0, n * frame.height))
    return strip.quantize(128, dither=Image.Dither.NONE)


def _encoded(image: Image.Image, kind: str) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, optimize=True)
    return stream.getvalue()


def _drawn(scene: Scene, size: tuple[float, float], theme: Theme, finer: int, clear: bool = False) -> Image.Image:
    unit = CELL * finer
    # where nothing lies behind, smooth edges of letters need the paper's colour under their transparency
    mode, paper = ("RGBA", f"{theme.paper}00") if clear else ("RGB", theme.paper)
    image = Image.new(mode, (round(size[0] * unit), round(size[1] * unit)), paper)
    pen = ImageDraw.Draw(image)
    for mark in scene.marks:
        if isinstance(mark, Box):
            _box(pen, mark, theme, unit)
        elif isinstance(mark, Words):
            _words(pen, mark, theme, unit)
        elif isinstance(mark, Frame):
            corners = (mark.x * unit, mark.y * unit, (mark.x + mark.width) * unit, (mark.y + mark.height) * unit)
            pen.rounded_rectangle(corners, radius=3 * finer, outline=theme.of(mark.role).edge, width=3 * finer)
        elif isinstance(mark, Picture):
            _paste(image, mark, unit)
        elif isinstance(mark, Edge):
            ends = (mark.x * unit, mark.y * unit, mark.to_x * unit, mark.to_y * unit)
            pen.line(ends, fill=theme.of(mark.role, mark.tint).edge, width=(3 if mark.lit else 1) * finer)
        else:
            _arrow(pen, mark, theme, unit)
    return image


def _paste(page: Image.Image, picture: Picture, unit: int) -> None:
    with Image.open(BytesIO(picture.png)) as image:
        how = Image.Resampling.NEAREST if picture.sharp else Image.Resampling.LANCZOS
        size = max(1, round(picture.width * unit)), max(1, round(picture.height * unit))
        page.paste(image.convert("RGB").resize(size, how), (round(picture.x * unit), round(picture.y * unit)))


def _box(pen: ImageDraw.ImageDraw, box: Box, theme: Theme, unit: int) -> None:
    colours = theme.of(box.role, box.tint)
    corners = (box.x * unit, box.y * unit, (box.x + box.width) * unit, (box.y + 1) * unit)
    fill = colours.lit if box.lit else colours.fill
    pen.rectangle(corners, fill=fill, outline=colours.edge, width=max(1, unit // CELL) * (2 if box.lit else 1))
    middle = ((box.x + box.width / 2) * unit, (box.y + 0.5) * unit)
    pen.text(middle, box.text, colours.ink, _font(round(box.size * unit)), anchor="mm")


def _words(pen: ImageDraw.ImageDraw, words: Words, theme: Theme, unit: int) -> None:
    plain = theme.ink if words.size >= 0.4 else theme.soft
    ink = theme.of(words.role).edge if words.role != Role.PLAIN else plain
    anchor = {"start": "lm", "middle": "mm", "end": "rm"}[words.anchor]
    pen.text((words.x * unit, words.y * unit), words.text, ink, _font(round(words.size * unit)), anchor=anchor)


def _arrow(pen: ImageDraw.ImageDraw, arrow: Arrow, theme: Theme, unit: int) -> None:
    x, y, step = arrow.to_x * unit, arrow.to_y * unit, unit / 9
    pen.line((arrow.x * unit, arrow.y * unit, x, y), theme.soft, width=unit // 24)
    pen.line((x - step * 1.5, y - step, x, y, x - step * 1.5, y + step), theme.soft, width=unit // 24)


@lru_cache(maxsize=16)
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(pixels)
