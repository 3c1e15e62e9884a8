"""The figures of docs/decomposition.md, and the numbers in it. Run as a program:

    python -m tconv.decomposition.gallery docs/decomposition

Pictures are those that ship with scikit-image; none of those that are restored has been learned from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tconv.arrays import Array
from tconv.decomposition.coder import ConvSparseCoder
from tconv.decomposition.learning import ConvDictionaryLearning
from tconv.decomposition.network import DeconvolutionalNetwork
from tconv.decomposition.pictures import as_picture, save
from tconv.decomposition.restoration import denoise, inpaint
from tconv.decomposition.sheet import INK, PAPER, QUIET, activity, sheet
from tconv.decomposition.smoothing import split

SIGMA = 25 / 255
LEARNED_FROM = ("camera", "coins", "rocket", "brick", "moon", "grass")
RESTORED = ("astronaut", "chelsea", "coffee")
CELL, GAP, MARGIN = 256, 16, 32


def main(folder: Path) -> None:
    """Draw everything into the folder, and print the numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    kernels = learned()
    save(ordered(kernels), folder / "kernels.png")
    save(parts(kernels), folder / "parts.png")
    save(denoised(kernels), folder / "denoised.png")
    save(filled(kernels), folder / "filled.png")
    save(layers(), folder / "layers.png")


def learned() -> Array:
    """48 kernels of 10 x 10, from parts of six pictures."""
    rests = [split(one[None, None])[0][0] for one in (grey(name)[40:200, 40:200] for name in LEARNED_FROM)]
    start = perf_counter()
    learner = ConvDictionaryLearning(48, 10, 0.1, max_iter=60, tol=2e-4, random_state=0).fit(rests)
    print(f"kernels: {learner.n_iter_} turns, {perf_counter() - start:.0f} s, objective {learner.objective_:.1f}")
    found: Array = learner.components_
    return found


def ordered(kernels: Array) -> Image.Image:
    """The sheet, the most used kernels first."""
    rest = split(grey("astronaut")[None, None, ::2, ::2])[0]
    codes = ConvSparseCoder(kernels, 0.1).transform(rest)
    return sheet(kernels, 16, np.argsort(-np.abs(codes).sum(axis=(0, 2, 3))))


def parts(kernels: Array) -> Image.Image:
    """A picture, its smooth part, the rest, where its atoms are, and what these rebuild."""
    picture = grey("astronaut")[:256, 96:352]
    rest, smooth = split(picture[None, None])
    coder = ConvSparseCoder(kernels, 0.05)
    codes = coder.transform(rest)
    rebuilt = smooth + coder.inverse_transform(codes)
    atoms = np.count_nonzero(codes)
    print(f"parts: {picture.size / atoms:.1f} pixels per atom, {psnr(picture, rebuilt[0, 0]):.1f} dB")
    where = Image.fromarray(activity(codes[0])[5:-4, 5:-4])
    shown = [as_picture(picture[None]), as_picture(smooth[0]), as_picture(0.5 + rest[0]), where, as_picture(rebuilt[0])]
    heads = [
        "picture",
        "smooth part",
        "the rest",
        f"its {atoms:,} atoms",
        f"rebuilt, {psnr(picture, rebuilt[0, 0]):.1f} dB",
    ]
    return row([(head, one) for head, one in zip(heads, shown, strict=True)])


def denoised(kernels: Array) -> Image.Image:
    """Three pictures with noise, restored in several ways; the first is drawn."""
    restoration = import_module("skimage.restoration")
    ways: dict[str, Callable[[Array], Array]] = {
        "total variation": lambda x: np.asarray(restoration.denoise_tv_chambolle(x, weight=SIGMA)),
        "non-local means": lambda x: np.asarray(
            restoration.denoise_nl_means(x, h=0.8 * SIGMA, sigma=SIGMA, patch_size=5, patch_distance=6, fast_mode=True)
        ),
        "few atoms": lambda x: denoise(x[None], kernels, 2.5 * SIGMA)[0],
    }
    shown: list[tuple[str, Image.Image]] = []
    for name in RESTORED:
        picture = grey(name)[:256, :256] if name != "astronaut" else grey(name)[:256, 96:352]
        noisy = (picture + SIGMA * np.random.default_rng(0).standard_normal(picture.shape)).astype(np.float32)
        found = {"noise": noisy} | {way: np.asarray(restore(noisy), np.float32) for way, restore in ways.items()}
        print(f"denoise {name}: " + ", ".join(f"{way} {psnr(picture, one):.2f}" for way, one in found.items()))
        if not shown:
            shown = [("picture", as_picture(picture[None]))]
            shown += [(f"{way}, {psnr(picture, one):.1f} dB", as_picture(one[None])) for way, one in found.items()]
    return row(shown)


def filled(kernels: Array) -> Image.Image:
    """Three pictures of which 70 % of the pixels are missing, filled in several ways; the first is drawn."""
    griddata = import_module("scipy.interpolate").griddata
    inpaint_biharmonic = import_module("skimage.restoration").inpaint_biharmonic
    shown: list[tuple[str, Image.Image]] = []
    for name in RESTORED:
        picture = grey(name)[:192, 96:288]
        known = np.random.default_rng(1).random(picture.shape) < 0.3
        places, nodes = np.nonzero(known), tuple(np.indices(known.shape))
        cubic = griddata(places, picture[known], nodes, method="cubic")
        beyond = griddata(places, picture[known], nodes, method="nearest")  # beyond the outermost known pixels
        cubic = np.where(np.isnan(cubic), beyond, cubic)
        smooth = np.asarray(inpaint_biharmonic(picture, ~known))
        ours = inpaint(picture[None], known, kernels)[0][0]
        found = {"bicubic": cubic, "biharmonic": smooth, "few atoms": ours}
        print(f"fill {name}: " + ", ".join(f"{way} {psnr(picture, one):.2f}" for way, one in found.items()))
        if not shown:
            shown = [("picture", as_picture(picture[None]))]
            shown += [("30 % of its pixels", as_picture(np.where(known, picture, 1.0)[None]))]
            shown += [(f"{way}, {psnr(picture, one):.1f} dB", as_picture(one[None])) for way, one in found.items()]
    return row(shown)


def layers() -> Image.Image:
    """What a network of two layers rebuilds from each of them, and which pixels some maps of the upper one stand
    for."""
    cuts = [
        split(grey(name)[None, None, 100:228, 100:228])[0][0] for name in ("camera", "astronaut", "coins", "chelsea")
    ]
    x = np.stack(cuts)
    network = DeconvolutionalNetwork((16, 48), 7, (0.02, 0.02), max_iter=15, random_state=0).fit(x)
    codes = network.layers(x)
    shown = [("the rest", as_picture(0.5 + x[1]))]
    for layer, one in enumerate(codes):
        shown.append((f"from layer {layer + 1}", as_picture(0.5 + network.inverse_transform(one, layer)[1])))
    strongest = np.argsort(-np.abs(codes[1][1]).sum(axis=(1, 2)))[:2]
    for n in strongest:
        alone = np.zeros_like(codes[1])
        alone[:, n] = codes[1][:, n]
        seen = network.inverse_transform(alone)[1]
        shown.append((f"map {n} of layer 2, stretched", as_picture(0.5 + 0.5 * seen / np.abs(seen).max())))
    return row(shown)


def row(pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures side by side, a title over each."""
    size = (2 * MARGIN + len(pictures) * (CELL + GAP) - GAP, 2 * MARGIN + CELL + 36)
    page = Image.new("RGB", size, PAPER)
    for n, (title, picture) in enumerate(pictures):
        left = MARGIN + n * (CELL + GAP)
        ImageDraw.Draw(page).text((left, MARGIN), title, INK if n else QUIET, ImageFont.load_default(19))
        page.paste(picture.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS), (left, MARGIN + 36))
    return page.quantize(256, dither=Image.Dither.NONE)  # a third of the bytes


def grey(name: str) -> Array:
    """A picture of scikit-image, (height, width), from 0 to 1."""
    from skimage import color, data

    pixels = getattr(data, name)()
    return np.asarray(color.rgb2gray(pixels) if pixels.ndim == 3 else pixels / 255, np.float32)


def psnr(picture: Array, other: Array) -> float:
    """Peak signal-to-noise ratio in dB, of numbers from 0 to 1."""
    return float(-10 * np.log10(np.mean((picture.astype(np.float64) - np.clip(other, 0, 1)) ** 2)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
