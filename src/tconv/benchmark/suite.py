"""The suite: transposed convolutions of published models, and which of them the smaller tables use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tconv import errors
from tconv.arrays import Array, Shape
from tconv.geometry import Geometry, Sizes


@dataclass(frozen=True)
class Case:
    """A float32 layer with bias on an input of a fixed size; the last six are the same on every spatial axis."""

    name: str
    source: str
    batch: int
    in_channels: int
    out_channels: int
    in_size: Sizes
    kernel: int
    stride: int
    padding: int = 0
    output_padding: int = 0
    groups: int = 1
    dilation: int = 1

    @property
    def ndim(self) -> int:
        return len(self.in_size)

    @property
    def geometry(self) -> Geometry:
        return Geometry.from_torch(
            self.kernel, self.stride, self.padding, self.output_padding, self.dilation, ndim=self.ndim
        )

    @property
    def weight_shape(self) -> Shape:
        return (self.in_channels, self.out_channels // self.groups, *(self.kernel,) * self.ndim)

    @property
    def flop(self) -> int:
        """Useful floating-point operations: two per pair of input and weight that meets inside the output."""
        return 2 * self.geometry.macs(self.in_size, self.in_channels, self.out_channels, self.groups, self.batch)

    @property
    def bytes(self) -> int:
        """Of input, weight and output: what has to be moved at least."""
        return self.geometry.bytes(self.in_size, self.in_channels, self.out_channels, self.groups, self.batch)

    def input(self, in_size: Sizes | None = None) -> Array:
        """(batch, in_channels, *in_size), normally distributed; always the same for the same size."""
        return _normal(self.batch, self.in_channels, *(in_size or self.in_size))

    def parameters(self) -> tuple[Array, Array]:
        """Weight and bias, normally distributed."""
        return _normal(*self.weight_shape), _normal(self.out_channels)

    def result_shape(self, in_size: Sizes) -> Shape:
        return (self.batch, self.out_channels, *self.geometry.output_size(in_size))


# name, source, batch, in_channels, out_channels, in_size, kernel, stride, padding, output_padding, groups, dilation
SUITE = (
    Case("seed 32->16", "tutorial example", 1, 32, 16, (28, 28), 2, 2),
    Case("seed 16->16 down/up", "PyTorch documentation example", 1, 16, 16, (6, 6), 3, 2, 1, 1),
    Case("seed 20->10", "tutorial example", 1, 20, 10, (6, 6), 5, 3, 2),
    Case("U-Net up1", "milesial/Pytorch-UNet", 1, 1024, 512, (32, 32), 2, 2),
    Case("U-Net up2", "milesial/Pytorch-UNet", 1, 512, 256, (64, 64), 2, 2),
    Case("U-Net up3", "milesial/Pytorch-UNet", 1, 256, 128, (128, 128), 2, 2),
    Case("U-Net up4", "milesial/Pytorch-UNet", 1, 128, 64, (256, 256), 2, 2),
    Case("nnU-Net 3D L1", "MIC-DKFZ/nnUNet", 1, 320, 320, (7, 7, 5), 2, 2),
    Case("nnU-Net 3D L2", "MIC-DKFZ/nnUNet", 1, 320, 256, (14, 14, 10), 2, 2),
    Case("nnU-Net 3D L4", "MIC-DKFZ/nnUNet", 1, 128, 64, (56, 56, 40), 2, 2),
    Case("V-Net up256", "mattmacy/vnet.pytorch", 1, 256, 128, (8, 8, 4), 2, 2),
    Case("V-Net up128", "mattmacy/vnet.pytorch", 1, 256, 64, (16, 16, 8), 2, 2),
    Case("V-Net up64", "mattmacy/vnet.pytorch", 1, 128, 32, (32, 32, 16), 2, 2),
    Case("3D-UNet (wolny) k3", "wolny/pytorch-3dunet", 1, 128, 128, (16, 32, 32), 3, 2, 1, 1),
    Case("UNETR dec5", "Project-MONAI/MONAI", 1, 768, 128, (6, 6, 6), 2, 2),
    Case("UNETR dec2", "Project-MONAI/MONAI", 1, 32, 16, (48, 48, 48), 2, 2),
    Case("DCGAN L1", "pytorch/examples", 64, 100, 512, (1, 1), 4, 1),
    Case("DCGAN L2", "pytorch/examples", 64, 512, 256, (4, 4), 4, 2, 1),
    Case("DCGAN L3", "pytorch/examples", 64, 256, 128, (8, 8), 4, 2, 1),
    Case("DCGAN L4", "pytorch/examples", 64, 128, 64, (16, 16), 4, 2, 1),
    Case("DCGAN L5", "pytorch/examples", 64, 64, 3, (32, 32), 4, 2, 1),
    Case("pix2pix d5", "junyanz/pytorch-CycleGAN-and-pix2pix", 1, 1024, 256, (16, 16), 4, 2, 1),
    Case("pix2pix d7", "junyanz/pytorch-CycleGAN-and-pix2pix", 1, 256, 64, (64, 64), 4, 2, 1),
    Case("pix2pix out", "junyanz/pytorch-CycleGAN-and-pix2pix", 1, 128, 3, (128, 128), 4, 2, 1),
    Case("CycleGAN up1", "junyanz/pytorch-CycleGAN-and-pix2pix", 1, 256, 128, (64, 64), 3, 2, 1, 1),
    Case("CycleGAN up2", "junyanz/pytorch-CycleGAN-and-pix2pix", 1, 128, 64, (128, 128), 3, 2, 1, 1),
    Case("StyleGAN2 4->9", "NVlabs/stylegan3", 1, 512, 512, (4, 4), 3, 2),
    Case("StyleGAN2 32->65", "NVlabs/stylegan3", 1, 512, 512, (32, 32), 3, 2),
    Case("StyleGAN2 512->1025", "NVlabs/stylegan3", 1, 64, 32, (512, 512), 3, 2),
    Case("FSRCNN x2", "yjn870/FSRCNN-pytorch", 1, 56, 1, (270, 480), 9, 2, 4, 1),
    Case("FSRCNN x3", "yjn870/FSRCNN-pytorch", 1, 56, 1, (180, 320), 9, 3, 4, 2),
    Case("SimpleBaseline d1", "microsoft/human-pose-estimation.pytorch", 1, 2048, 256, (8, 6), 4, 2, 1),
    Case("CenterNet-DLA dw k4", "xingyizhou/CenterNet", 1, 256, 256, (16, 16), 4, 2, 1, 0, 256),
    Case("PointPillars s2", "open-mmlab/OpenPCDet", 1, 128, 128, (124, 108), 2, 2),
    Case("SAM up1", "facebookresearch/segment-anything", 4, 256, 64, (64, 64), 2, 2),
    Case("ViTDet 1", "facebookresearch/detectron2", 1, 768, 384, (64, 64), 2, 2),
    Case("DPT-L s4", "isl-org/DPT", 1, 256, 256, (24, 24), 4, 4),
    Case("DPT-L s2", "isl-org/DPT", 1, 512, 512, (24, 24), 2, 2),
    Case("DBNet/PP-OCR t1", "PaddlePaddle/PaddleOCR", 1, 24, 24, (184, 184), 2, 2),
    Case("FCN-8s up8", "wkentaro/pytorch-fcn", 1, 21, 21, (36, 44), 16, 8),
    Case("ESPNet", "google/XNNPACK bench", 1, 20, 20, (256, 512), 2, 2),
    Case("SR 36->4 k3s3", "oneDNN benchdnn", 1, 36, 4, (360, 640), 3, 3),
    Case("HiFi-GAN V1 u1", "jik876/hifi-gan", 1, 512, 256, (100,), 16, 8, 4),
    Case("HiFi-GAN V1 u2", "jik876/hifi-gan", 1, 256, 128, (800,), 16, 8, 4),
    Case("HiFi-GAN V1 u3", "jik876/hifi-gan", 1, 128, 64, (6400,), 4, 2, 1),
    Case("HiFi-GAN V1 u4", "jik876/hifi-gan", 1, 64, 32, (12800,), 4, 2, 1),
    Case("HiFi-GAN V2 u1", "jik876/hifi-gan", 1, 128, 64, (100,), 16, 8, 4),
    Case("WaveGlow", "NVIDIA/waveglow", 1, 80, 80, (200,), 1024, 256),
    Case("iSTFT as convT", "pytorch#120982", 1, 1026, 1, (224,), 1024, 256),
    Case("EnCodec u1", "facebookresearch/encodec", 1, 512, 256, (75,), 16, 8),
    Case("EnCodec u4", "facebookresearch/encodec", 1, 64, 32, (12000,), 4, 2),
    Case("DAC u1", "descriptinc/descript-audio-codec", 1, 1536, 768, (87,), 16, 8, 4),
    Case("DAC u4", "descriptinc/descript-audio-codec", 1, 192, 96, (22272,), 4, 2, 1),
    Case("Mimi dw", "kyutai-labs/moshi", 1, 512, 512, (13,), 4, 2, 0, 0, 512),
    Case("Demucs d1", "facebookresearch/demucs", 1, 2048, 1024, (108,), 8, 4),
    Case("bilinear x2 256ch", "fixed bilinear upsampling as a depthwise layer", 1, 256, 256, (64, 64), 4, 2, 1, 0, 256),
    Case("resize-conv folded 256ch", "nearest x2 + conv3x3, folded exactly", 1, 256, 256, (64, 64), 4, 2, 1),
    Case("dilated s1", "dilated decoder", 1, 64, 64, (64, 64), 3, 1, 2, 0, 1, 2),
    Case("dilated s2", "dilated decoder", 1, 64, 64, (64, 64), 3, 2, 2, 1, 1, 2),
    Case("grouped 4", "grouped decoder", 1, 128, 128, (64, 64), 4, 2, 1, 0, 4),
    Case("depthwise 3-D", "3-D bilinear upsampling", 1, 64, 64, (16, 32, 32), 4, 2, 1, 0, 64),
)

VARIED = ("seed 32->16", "DBNet/PP-OCR t1", "HiFi-GAN V1 u2")
"""Run with changing sizes and by several threads: tiny, large outputs, 1-D of any length."""

WEIGHED = ("U-Net up3", "FCN-8s up8", "HiFi-GAN V1 u2", "3D-UNet (wolny) k3")
"""Whose memory is measured."""


def select(only: Sequence[str]) -> tuple[Case, ...]:
    """The layers whose name or source contains one of the texts, in any case of letters; all if there is no text.

    Raises:
        TconvError: a text that no layer contains.
    """
    for text in only:
        if not any(_has(case, text) for case in SUITE):
            raise errors.TconvError(f"--only {text!r} matches no layer; the layers are {_names()}")
    return tuple(case for case in SUITE if not only or any(_has(case, text) for text in only))


def _has(case: Case, text: str) -> bool:
    return text.casefold() in f"{case.name} {case.source}".casefold()


def _names() -> str:
    return ", ".join(case.name for case in SUITE)


def _normal(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape, np.float32)
