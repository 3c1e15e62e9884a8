"""`tconv see`: what a network sees, as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress, TaskID

from tconv import errors, outputs
from tconv.cli.options import integers
from tconv.cli.segment import need_segmentation
from tconv.names import shown

if TYPE_CHECKING:  # it would load PyTorch
    from tconv.insight.loading import Loaded
    from tconv.insight.overview import LayerView
    from tconv.insight.pictures import Pictures


def see(
    model: str,
    images: str,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    layer: str = "all",
    channels: str = "0..8",
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 9,
    method: str = "deconvnet",
    mean: str | None = None,
    std: str | None = None,
    title: str | None = None,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    again: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Draw what sets off the features of a network, beside what the images look like there.

    For each channel of a layer the images are searched for the places where it is strongest. Each is shown twice: what
    of the image the feature is made of, found by sending the activation back through the network, and the pixels that
    it depends on. Status 1 if images had to be left out.

        tconv see run photos --list
        tconv see run photos -o sheet.png
        tconv see model.pt2 'photos/*.jpg' -o sheet.svg --layer 'downs.*' --channels 0,3,5
        tconv see mynets:build photos -o sheet.png --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225

    Args:
        model: A run folder or checkpoint of `tconv segment train`; a torch.export program (.pt2); or MODULE:CALLABLE,
            your own code, which is imported and gives a torch.nn.Module. Name only programs and code that you trust.
        images: A file, a folder, or a glob in quotes.
        out: File to write, .png or .svg.
        layer: A name, a pattern, several with commas between them, or all, which takes the main blocks.
        channels: As in 0..8, 0,3,5 or all; a range ends where the layer does.
        number: Places per channel.
        method: deconvnet, guided, gradient or gradient_times_input.
        mean: Of the images that the model was trained on, per channel, of pixels from 0 to 1; a run knows its own.
        std: Likewise.
        title: Above the picture.
        list: Print the layers, their maps and how much of the image they see, and draw nothing.
        again: Replace a picture that is there.
    """
    need_segmentation()
    from tconv.insight import load_model
    from tconv.insight.drawing import checked_suffix
    from tconv.insight.pictures import Pictures, Reading
    from tconv.insight.rules import checked_method
    from tconv.insight.strongest import axes_of, channels_of
    from tconv.segmentation.predict.files import find_images

    if out is None and not list_:
        raise errors.TconvError("say where to write, as in -o sheet.png; or --list, to see which layers there are")
    if out is not None:
        checked_suffix(out)
        outputs.check_file(out, find_images(images), again, apart=True)
    checked_method(method)
    loaded = load_model(model)
    how = _numbers("--mean", mean) or loaded.mean, _numbers("--std", std) or loaded.std
    pictures = Pictures(images, Reading(channels_of(loaded.model), *how), axes_of(loaded.model))
    views = _views(loaded, pictures)
    if list_ or out is None:
        print("\n".join(_table(views)))
        return _told(pictures.problems.values())
    return _drawn(loaded, images, views, out, (layer, channels, number, method, title), how)


def _views(loaded: Loaded, pictures: Pictures) -> list[LayerView]:
    """What the first image that can be used shows of the model."""
    from tconv.insight.overview import layers

    for picture in pictures:
        try:
            return layers(loaded.model, picture.tensor)
        except errors.ProjectionError as error:
            pictures.problems[picture.number] = f"{picture.name}: {error}"
    raise errors.TconvError(f"none of the images could be used; the first: {next(iter(pictures.problems.values()))}")


def _drawn(
    loaded: Loaded,
    images: str,
    views: list[LayerView],
    out: Path,
    wish: tuple[str, str, int, str, str | None],
    how: tuple[tuple[float, ...] | None, ...],
) -> int:
    """The picture, and a line for each layer."""
    from tconv.insight import sheet, top_activations
    from tconv.insight.drawing import heading

    layer, channels, number, method, title = wish
    found = []
    console = Console(stderr=True)
    chosen = _chosen(loaded, views, layer)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for place, view in enumerate(chosen, 1):
            bar = progress.add_task(f"{view.name} ({place} of {len(chosen)})", total=None)
            found.append(
                top_activations(
                    loaded.model, images, view.name, _channels(channels, view.channels), number, method=method,
                    mean=how[0], std=how[1], tell=partial(_update, progress, bar),
                )
            )  # fmt: skip
            progress.remove_task(bar)
    sheet(*found, title="What the network sees" if title is None else title).save(out)
    for each in found:
        print(f"{each.layer}: {heading(each)}")
    status = _told(found[0].problems)
    rows = sum(len(each.channels) for each in found)
    print(f"wrote {shown(out)}: {len(found)} layers, {rows} channels, {found[0].images} images")
    return status


def _update(progress: Progress, bar: TaskID, done: int, total: int | None) -> None:
    progress.update(bar, completed=done, total=total)


def _told(problems: Iterable[str]) -> int:
    """Say what was left out; the exit status."""
    status = 0
    for problem in problems:
        print(f"left out: {problem}")
        status = 1
    return status


def _chosen(loaded: Loaded, views: list[LayerView], layer: str) -> list[LayerView]:
    """The layers to draw, in the order in which an image meets them."""
    from tconv.insight.finding import find_all
    from tconv.insight.overview import blocks

    if layer == "all":
        return blocks(loaded.model, views)
    names = {name for part in layer.split(",") for name in find_all(loaded.model, part.strip())}
    chosen = [view for view in views if view.name in names]
    if not chosen:
        raise errors.LayerError(f"{layer} gives no map (batch, channels, *size); --list shows the layers that do")
    return chosen


def _channels(text: str, count: int) -> list[int] | range:
    """Channels as they are written; a range ends where the layer does."""
    if text == "all":
        return range(count)
    first, dots, last = text.partition("..")
    if not dots:
        return list(integers("--channels", text))
    low, high = integers("--channels", first)[0], integers("--channels", last)[0]
    if not 0 <= low <= high:
        raise errors.TconvError(f"--channels {text} is no range; write the lower number first, as in 0..8")
    if low >= count:
        raise errors.ChannelError(f"--channels {text} begins behind the last of a layer with {count}; give lower ones")
    return range(low, min(high + 1, count))


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise errors.ArgumentTypeError(
            f"{option} {text!r} is no list of numbers; write one per channel, as in 0.5,0.5,0.5"
        ) from None


def _table(views: list[LayerView]) -> list[str]:
    """Lines that are as wide as they need to be."""
    from tconv.segmentation.report import aligned

    rows = []
    for view in views:
        calls = f" ({view.calls} calls)" if view.calls > 1 else ""
        rows.append([view.name, view.kind + calls, str(view.channels), " x ".join(map(str, view.size)), view.sees])
    return aligned(["layer", "kind", "channels", "map", "sees"], rows)
