"""Real models end to end, with random weights: PyTorch in both layouts, compiled, ONNX Runtime, OpenVINO, tconv.

    python bench/models.py                           all models, all contenders, as a table in Markdown
    python bench/models.py --models unet fsrcnn --contenders torch torch_cl tconv --seconds 5

All contenders of a model run in turns in one process, with the threads of OMP_NUM_THREADS; memory is the peak of a
process of its own. "up" is the part of the upsampling layers, timed alone on what the model calls them with. Each model
is written from its paper; shapes are in MODELS.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from math import exp, log
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tconv.nn
from tconv.nn.comparison import calls

Run = Callable[[], Any]


def double_conv(cin: int, cout: int, ndim: int = 2) -> nn.Sequential:
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if ndim == 2 else (nn.Conv3d, nn.BatchNorm3d)
    layers = [conv(cin, cout, 3, 1, 1, bias=False), norm(cout), nn.ReLU(inplace=True)]
    layers += [conv(cout, cout, 3, 1, 1, bias=False), norm(cout), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015, with padding and batch norm, as tutorials write it; 2-D or 3-D (Cicek et al. 2016)."""

    def __init__(self, cin: int, cout: int, features: tuple[int, ...], ndim: int = 2) -> None:
        super().__init__()
        up, pool, last = (
            (nn.ConvTranspose2d, nn.MaxPool2d, nn.Conv2d)
            if ndim == 2
            else (nn.ConvTranspose3d, nn.MaxPool3d, nn.Conv3d)
        )
        widths = (cin, *features)
        self.downs = nn.ModuleList(double_conv(a, b, ndim) for a, b in zip(widths, features, strict=False))
        self.pool = pool(2, 2)
        self.bottom = double_conv(features[-1], 2 * features[-1], ndim)
        self.ups = nn.ModuleList(up(2 * f, f, 2, 2) for f in reversed(features))
        self.convs = nn.ModuleList(double_conv(2 * f, f, ndim) for f in reversed(features))
        self.last = last(features[0], cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, conv, skip in zip(self.ups, self.convs, reversed(skips), strict=True):
            x = conv(torch.cat((skip, up(x)), dim=1))
        return self.last(x)


def dcgan(noise: int = 100, width: int = 64) -> nn.Sequential:
    """The generator of Radford et al. 2016, for 64x64 images."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(noise, 8 * width, 4, 1, 0, bias=False)]
    for n in (8, 4, 2, 1):
        layers += [nn.BatchNorm2d(n * width), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(n * width, n * width // 2 if n > 1 else 3, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


class Residual(nn.Module):
    """HiFi-GAN's residual block 1: three pairs of a dilated and a plain convolution."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(nn.Conv1d(width, width, kernel, 1, "same", d) for d in (1, 3, 5))
        self.plain = nn.ModuleList(nn.Conv1d(width, width, kernel, 1, "same") for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, 0.1)), 0.1))
        return x


class HifiGan(nn.Module):
    """The generator V1 of Kong et al. 2020, without weight norm, as for inference."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(80, 512, 7, 1, 3)
        sizes = ((16, 8), (16, 8), (4, 2), (4, 2))
        widths = [512 // 2**n for n in range(5)]
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(a, b, k, s, (k - s) // 2)
            for a, b, (k, s) in zip(widths, widths[1:], sizes, strict=False)
        )
        self.blocks = nn.ModuleList(nn.ModuleList(Residual(w, k) for k in (3, 7, 11)) for w in widths[1:])
        self.last = nn.Conv1d(widths[-1], 1, 7, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            x = sum(block(x) for block in blocks) / 3
        return torch.tanh(self.last(F.leaky_relu(x)))


def fsrcnn(scale: int = 3, d: int = 56, s: int = 12, m: int = 4) -> nn.Sequential:
    """Dong et al. 2016."""
    layers: list[nn.Module] = [nn.Conv2d(1, d, 5, 1, 2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s)]
    for _ in range(m):
        layers += [nn.Conv2d(s, s, 3, 1, 1), nn.PReLU(s)]
    layers += [nn.Conv2d(s, d, 1), nn.PReLU(d), nn.ConvTranspose2d(d, 1, 9, scale, 4, scale - 1)]
    return nn.Sequential(*layers)


class ResNet(nn.Module):
    """A residual block of a latent diffusion decoder."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.GroupNorm(32, cin), nn.SiLU(), nn.Conv2d(cin, cout, 3, 1, 1)),
            *(nn.GroupNorm(32, cout), nn.SiLU(), nn.Conv2d(cout, cout, 3, 1, 1)),
        )
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class Attention(nn.Module):
    """One head over all pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = (
            nn.GroupNorm(32, width),
            nn.Conv2d(width, 3 * width, 1),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x + self.out(y.unflatten(2, x.shape[2:]))


def vae_decoder(width: int = 128) -> nn.Sequential:
    """The decoder of Rombach et al. 2022 (Stable Diffusion): nearest upsampling and a convolution, three times."""
    top = 4 * width
    layers: list[nn.Module] = [nn.Conv2d(4, top, 3, 1, 1), ResNet(top, top), Attention(top), ResNet(top, top)]
    widths = (top, top, top, 2 * width, width)
    for n, (a, b) in enumerate(pairwise(widths)):
        layers += [ResNet(a, b), ResNet(b, b), ResNet(b, b)]
        if n < 3:
            layers += [nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(b, b, 3, 1, 1))]
    return nn.Sequential(*layers, nn.GroupNorm(32, width), nn.SiLU(), nn.Conv2d(width, 3, 3, 1, 1))


class StyleBlock(nn.Module):
    """StyleGAN2's upsampling block (Karras et al. 2020): a modulated kernel per image, a blur, noise-free."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin, 3, 3))
        self.affine, self.bias = nn.Linear(512, cin), nn.Parameter(torch.zeros(cout, 1, 1))
        taps = torch.tensor([1.0, 3, 3, 1])
        self.register_buffer("blur", (taps[:, None] * taps / 16).expand(cout, 1, 4, 4).contiguous())

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        n, c, h, w = x.shape
        weight = self.weight * self.affine(style).view(n, 1, c, 1, 1)
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        weight = weight.transpose(1, 2).reshape(n * c, -1, 3, 3)
        y = F.conv_transpose2d(x.reshape(1, n * c, h, w), weight, stride=2, groups=n)
        y = y.view(n, -1, *y.shape[2:])
        return F.leaky_relu(F.conv2d(y, self.blur, padding=1, groups=y.shape[1]) + self.bias, 0.2)


# Name: the model, its input, the names of its upsampling parts.
MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]], tuple[str, ...]]] = {
    "unet": (lambda: UNet(3, 6, (64, 128, 256, 512)), lambda: (torch.randn(1, 3, 512, 512),), ("ups.",)),
    "dcgan": (dcgan, lambda: (torch.randn(64, 100, 1, 1),), ("0", "3", "6", "9", "12")),
    "hifigan": (HifiGan, lambda: (torch.randn(1, 80, 200),), ("ups.",)),
    "fsrcnn": (fsrcnn, lambda: (torch.randn(1, 1, 240, 320),), ("14",)),
    "unet3d": (lambda: UNet(1, 3, (32, 64, 128), 3), lambda: (torch.randn(1, 1, 64, 64, 64),), ("ups.",)),
    "vae": (vae_decoder, lambda: (torch.randn(1, 4, 32, 32),), ("7", "11", "15")),
    "stylegan2": (lambda: StyleBlock(512, 256), lambda: (torch.randn(4, 512, 32, 32), torch.randn(4, 512)), ()),
}


def eager(model: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    return lambda: model(*inputs)


def channels_last(model: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for p in model.parameters():
        if p.dim() in formats:
            p.data = p.data.contiguous(memory_format=formats[p.dim()])
    changed = [x.contiguous(memory_format=formats[x.dim()]) if x.dim() in formats else x for x in inputs]
    return lambda: model(*changed)


def compiled(model: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    torch._inductor.config.freezing = True
    run = torch.compile(model)
    return lambda: run(*inputs)


def onnx_bytes(model: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    buffer = io.BytesIO()
    torch.onnx.export(model, inputs, buffer, dynamo=False, opset_version=17)
    return buffer.getvalue()


def onnx_runtime(model: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(onnx_bytes(model, inputs), options)
    feed = {node.name: x.numpy() for node, x in zip(session.get_inputs(), inputs, strict=True)}
    return lambda: torch.from_numpy(session.run(None, feed)[0])


def openvino(model: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(onnx_bytes(model, inputs))
        config = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
        program = ov.Core().compile_model(path, "CPU", config)
    feed = [x.numpy() for x in inputs]
    return lambda: torch.from_numpy(program(feed)[0])


def accelerated(model: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    if isinstance(model, StyleBlock):  # it calls the function

        def run() -> Any:
            with tconv.nn.patched():
                return model(*inputs)

        return run
    tconv.nn.accelerate(model, inputs)
    return lambda: model(*inputs)


CONTENDERS: dict[str, Callable[[nn.Module, tuple[Tensor, ...]], Run]] = {
    "torch": eager,
    "torch_cl": channels_last,
    "compile": compiled,
    "onnxruntime": onnx_runtime,
    "openvino": openvino,
    "tconv": accelerated,
}


def made(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    model, inputs, _ = MODELS[name]
    return model().eval(), inputs()


def race(runs: dict[str, Run], seconds: float) -> dict[str, float]:
    """The best time of each, in turns."""
    best = dict.fromkeys(runs, float("inf"))
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < 3 or time.perf_counter() < end:
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
        rounds += 1
    return best


def parts(name: str, seconds: float) -> tuple[float, float, float]:
    """Seconds of the upsampling parts alone: eager default, eager channels-last, accelerated."""
    model, inputs = made(name)
    named = {n: m for n, m in model.named_modules() if n in MODELS[name][2] or n.startswith(MODELS[name][2] or ("-",))}
    named = {n: m for n, m in named.items() if not any(n.startswith(f"{other}.") for other in named)}
    total = [0.0, 0.0, 0.0]
    for n, call in calls(model, inputs, named).items():
        runs = {c: CONTENDERS[c](copy.deepcopy(named[n]), call[0]) for c in ("torch", "torch_cl", "tconv")}
        total = [a + b for a, b in zip(total, race(runs, seconds).values(), strict=True)]
    return total[0], total[1], total[2]


def peak(name: str, contender: str) -> float:
    """Peak memory in MB of a process that makes and runs one contender."""
    command = [sys.executable, __file__, "--peak", name, contender]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def table(name: str, contenders: list[str], seconds: float) -> dict[str, float]:
    runs, notes = {}, io.StringIO()
    for contender in contenders:
        with contextlib.redirect_stdout(notes), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runs[contender] = CONTENDERS[contender](*made(name))
            runs[contender]()
    expected = eager(*made(name))()
    best = race(runs, seconds)
    print(
        f"\n### {name}\n\n| contender | ms | against torch | largest error | peak MB |\n| --- | --- | --- | --- | --- |"
    )
    for contender, run in runs.items():
        error = ((run() - expected).abs().max() / expected.abs().max()).item()
        ratio = best.get("torch", float("nan")) / best[contender]
        print(
            f"| {contender} | {best[contender] * 1e3:.1f} | {ratio:.2f} | {error:.1e} | {peak(name, contender):.0f} |"
        )
    print("\n```\n" + notes.getvalue().strip() + "\n```", flush=True)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--seconds", type=float, default=20, help="of racing, per model")
    parser.add_argument("--peak", nargs=2, metavar=("MODEL", "CONTENDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    if options.peak:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CONTENDERS[options.peak[1]](*made(options.peak[0]))()
        # Not ru_maxrss, which a new process takes over from the one that started it.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        print(int(status["VmHWM"].split()[0]) / 1024)
        return
    gains = []
    for name in options.models:
        best = table(name, options.contenders, options.seconds)
        if MODELS[name][2] and {"torch", "tconv"} <= best.keys():
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                before, last, after = parts(name, options.seconds / 10)
            gains.append(log(before / after))
            shares = before / best["torch"], after / best["tconv"]
            print(f"\nup: {before * 1e3:.1f} ms ({shares[0]:.0%}) in torch, {last * 1e3:.1f} ms in torch_cl, ", end="")
            print(f"{after * 1e3:.1f} ms ({shares[1]:.0%}) in tconv: {before / after:.2f}x", flush=True)
    if gains:
        print(f"\nUpsampling parts, geometric mean: {exp(sum(gains) / len(gains)):.2f}x over eager PyTorch")


if __name__ == "__main__":
    main()
