"""`tconv decompose`: what pictures are made of, and what is missing in one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from rich.table import Table

from tconv import errors, outputs
from tconv.arrays import Array
from tconv.cli.screen import show
from tconv.decomposition import ConvDictionaryLearning, ConvSparseCoder, MiniBatchConvDictionaryLearning, batch, split
from tconv.decomposition.coder import check_penalty
from tconv.decomposition.pictures import as_picture, find, read, save
from tconv.decomposition.restoration import inpaint
from tconv.decomposition.sheet import activity, sheet
from tconv.names import shown

TOGETHER = 4 * 2**20  # pixels that are learned from at once; more are learned from in batches


def decompose(
    images: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    kernels: int = 32,
    size: int = 8,
    alpha: float | None = None,
    smooth: float | None = None,
    positive: Annotated[bool, Parameter(negative=())] = False,
    colour: Annotated[bool, Parameter(negative=())] = False,
    dictionary: Path | None = None,
    inpaint: Path | None = None,
    passes: int = 30,
    seed: int = 0,
    again: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Learn the kernels that pictures are made of, and rebuild the pictures from few of them.

    Each picture is a smooth part and the rest; the rest is a transposed convolution of sparse codes with the kernels.
    Writes kernels.npy and kernels.png, and for each picture NAME_rebuilt.png and NAME_codes.png, where its atoms lie.
    A bad file is reported, and the rest is done; status 1 then. Ctrl-C keeps what was learned.

        tconv decompose photos -o parts
        tconv decompose 'photos/*.jpg' -o parts --kernels 64 --size 12 --alpha 0.1
        tconv decompose scan.png --inpaint scratches.png -o whole

    Args:
        images: A picture, a folder, or a glob in quotes.
        out: Folder to write to; made if missing. No picture may lie in it.
        kernels: How many are learned.
        size: Pixels per side of a kernel.
        alpha: The penalty, for pictures from 0 to 1: the larger, the fewer atoms. Default 0.05; to inpaint, 0.005.
        smooth: The strength of the smoothing that makes the smooth part. Default 5; to inpaint, 2.
        positive: Atoms may only be added, not taken away.
        colour: Kernels with colours, rather than of grey pictures.
        dictionary: A kernels.npy of before: nothing is learned.
        inpaint: A picture as large as the only one of IMAGES, white where that has no pixels: writes NAME_filled.png.
            It is done in colour, with kernels that are learned from the pixels that there are.
        passes: Turns of learning at most.
        seed: Of the patches that learning begins with.
        again: Replace kernels and pictures of before.
    """
    start = perf_counter()
    alpha = alpha if alpha is not None else 0.005 if inpaint else 0.05
    smooth = smooth if smooth is not None else 2.0 if inpaint else 5.0
    found = find(images)
    _check(kernels, size, passes, alpha, smooth)
    _check_outputs(out, found, [path for path in (inpaint, dictionary) if path], again, inpaint is not None)
    pictures, problems = _read(found, colour or inpaint is not None)
    for problem in problems:
        print(f"problem: {problem}")
    if not pictures:
        raise errors.ImageFileError(f"none of the {len(found)} pictures of {shown(images)} can be read")
    _check_size(size, pictures.values())
    known = _dictionary(dictionary, next(iter(pictures.values())).shape[0]) if dictionary else None
    if inpaint:
        return _fill(pictures, inpaint, out, known, kernels, size, alpha, smooth, passes, seed)
    out.mkdir(parents=True, exist_ok=True)
    parts = {path: split(picture[None], smooth) for path, picture in pictures.items()}
    rests = [rest[0] for rest, _ in parts.values()]
    with _notes():
        if known is None:
            known = _learn(rests, kernels, size, alpha, positive, passes, seed)
    _save_kernels(known, out)
    table = Table("picture", "pixels", "atoms", "pixels\nper atom", "rebuilt\ndB", "gap", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    coder = ConvSparseCoder(known, alpha, positive=positive, verbose=True)
    silent = 0
    for path, (rest, smooth_part) in parts.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that there are no atoms is said once, below
            codes = coder.transform(rest)
        rebuilt = smooth_part + coder.inverse_transform(codes)
        save(as_picture(rebuilt[0]), out / f"{path.stem}_rebuilt.png")
        save(as_picture(np.moveaxis(activity(codes[0]), -1, 0) / 255), out / f"{path.stem}_codes.png")
        atoms, pixels = int(np.count_nonzero(codes)), int(rest.size)
        silent += not atoms
        psnr = -10 * np.log10(max(float(np.mean((rebuilt - rest - smooth_part) ** 2)), 1e-12))
        gap = coder.dual_gap_ / coder.objective_ if coder.objective_ else 0.0
        table.add_row(
            shown(path.name), f"{pixels:,}", f"{atoms:,}", f"{pixels / max(atoms, 1):.1f}", f"{psnr:.1f}", f"{gap:.0e}"
        )
        if coder.interrupted_:
            break
    show(table, f"\nWrote {shown(out)}/kernels.npy, kernels.png and the pictures in {perf_counter() - start:.1f} s.")
    if silent:
        print(f"note: {silent} of {len(parts)} pictures have no atoms at all; --alpha below {alpha:g} leaves some")
    return 1 if problems else 0


@contextmanager
def _notes() -> Iterator[None]:
    """What is only worth a note, such as a flat picture without atoms, is one line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for text in dict.fromkeys(str(one.message) for one in caught):
        print(f"note: {text}")


def _check(kernels: int, size: int, passes: int, alpha: float, smooth: float) -> None:
    for name, count in (("--kernels", kernels), ("--size", size), ("--passes", passes)):
        if count < 1:
            raise errors.TconvError(f"{name} {count} must be at least 1")
    check_penalty(alpha, 1.0, 1e-3, 1)
    batch.number("smooth", smooth, above=False)


def _check_size(size: int, pictures: Iterable[Array]) -> None:
    """Refuse kernels that fit into no picture."""
    room = max(min(picture.shape[1:]) for picture in pictures)
    if size > room:
        raise errors.TconvError(
            f"--size {size} fits into no picture, as none has more than {room} pixels on its shorter side; give a "
            f"smaller one"
        )


def _check_outputs(out: Path, found: list[Path], others: list[Path], again: bool, filling: bool) -> None:
    """Refuse to lose anything, before the work begins."""
    outputs.check_folder(out, [*found, *others])
    parts = ("filled",) if filling else ("rebuilt", "codes")
    pictures = [f"{path.stem}_{part}.png" for path in found for part in parts]
    for name in ("kernels.npy", "kernels.png", *pictures):
        outputs.check_file(out / name, [*found, *others], again)


def _read(found: list[Path], colour: bool) -> tuple[dict[Path, Array], list[str]]:
    """The pictures that can be read, and what is wrong with the others."""
    pictures, problems, stems = {}, [], set()
    for path in found:
        try:
            picture = read(path, not colour)
        except errors.ImageFileError as error:
            problems.append(str(error))
            continue
        if path.stem in stems:
            problems.append(f"{shown(path)} would be written under the name of another picture; rename one")
            continue
        stems.add(path.stem)
        pictures[path] = picture
    return pictures, problems


def _dictionary(path: Path, channels: int) -> Array:
    try:
        kernels = batch.kernels(np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        if isinstance(error, errors.TconvError):
            raise
        why = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise errors.ImageFileError(
            f"{shown(path)} holds no kernels{why}; give a kernels.npy that this command wrote"
        ) from error
    if kernels.ndim != 4 or kernels.shape[1] != channels:
        raise errors.ChannelError(
            f"{shown(path)} has kernels of shape {kernels.shape}, the pictures have {channels} channels; learn new "
            f"ones, or use {'--colour' if kernels.ndim == 4 and kernels.shape[1] == 3 else 'no --colour'}"
        )
    return kernels.astype(np.float32)


def _learn(rests: list[Array], kernels: int, size: int, alpha: float, positive: bool, passes: int, seed: int) -> Array:
    few = sum(rest.size for rest in rests) <= TOGETHER
    learner: ConvDictionaryLearning | MiniBatchConvDictionaryLearning
    if few:
        learner = ConvDictionaryLearning(
            kernels, size, alpha, positive=positive, max_iter=passes, random_state=seed, verbose=True
        )
    else:
        learner = MiniBatchConvDictionaryLearning(
            kernels, size, alpha, positive=positive, window=256, max_iter=passes, random_state=seed, verbose=True
        )
    learner.fit(rests)
    if learner.interrupted_:
        print("interrupted: the kernels are those learned until then")
    learned: Array = learner.components_
    return learned


def _save_kernels(kernels: Array, out: Path) -> None:
    with outputs.wholly(out / "kernels.npy") as part:
        np.save(part, kernels)
    save(sheet(kernels), out / "kernels.png")


def _fill(
    pictures: dict[Path, Array],
    mask: Path,
    out: Path,
    known: Array | None,
    kernels: int,
    size: int,
    alpha: float,
    smooth: float,
    passes: int,
    seed: int,
) -> int:
    """Fill what is missing in one picture."""
    if len(pictures) != 1:
        raise errors.TconvError(
            f"--inpaint fills one picture, not {len(pictures)}; name the picture that the mask belongs to"
        )
    ((path, picture),) = pictures.items()
    missing = read(mask)[0] > 0.5
    if missing.shape != picture.shape[1:]:
        raise errors.RankError(
            f"{shown(mask)} is {missing.shape[1]} x {missing.shape[0]} pixels, {shown(path)} is {picture.shape[2]} x "
            f"{picture.shape[1]}; the mask must be as large as the picture"
        )
    if not missing.any() or missing.all():
        what = "nothing" if not missing.any() else "everything"
        raise errors.TconvError(
            f"{shown(mask)} says that {what} is missing; it must be white where pixels are missing, black elsewhere"
        )
    out.mkdir(parents=True, exist_ok=True)
    filled, learned = inpaint(
        picture, ~missing, known, n_kernels=kernels, kernel_size=size, alpha=alpha, strength=smooth, passes=passes,
        random_state=seed, verbose=True,
    )  # fmt: skip
    _save_kernels(learned, out)
    save(as_picture(filled), out / f"{path.stem}_filled.png")
    print(f"filled {int(missing.sum()):,} of {missing.size:,} pixels; wrote {shown(out / f'{path.stem}_filled.png')}")
    return 0
