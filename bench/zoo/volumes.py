"""Networks that segment volumes: MONAI's, and those that nnU-Net builds."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zoo.entry import Entry, Made

NORM: dict[str, Any] = {"norm_op": nn.InstanceNorm3d, "norm_op_kwargs": {"eps": 1e-5, "affine": True}}
PLAN: dict[str, Any] = {
    "features_per_stage": (32, 64, 128, 256, 320),
    "conv_op": nn.Conv3d,
    "kernel_sizes": 3,
    "strides": (1, 2, 2, 2, 2),
    "conv_bias": True,
    **NORM,
    "nonlin": nn.LeakyReLU,
    "nonlin_kwargs": {"inplace": True},
}
"""What nnU-Net's planner writes for isotropic volumes, with fewer stages, as the volume is 64 voxels wide."""


def unet() -> Made:
    from monai.networks.nets import UNet

    return UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2), torch.randn(1, 1, 96, 96, 96)


def basic_unet() -> Made:
    from monai.networks.nets import BasicUNet

    return BasicUNet(3, 1, 2), torch.randn(1, 1, 64, 64, 64)


def segresnet() -> Made:
    from monai.networks.nets import SegResNet

    return SegResNet(3, init_filters=16, in_channels=1, out_channels=3), torch.randn(1, 1, 80, 80, 80)


def unetr() -> Made:
    from monai.networks.nets import UNETR

    return UNETR(1, 3, (64, 64, 64), hidden_size=384, mlp_dim=1536, num_heads=6), torch.randn(1, 1, 64, 64, 64)


def plain() -> Made:
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    model = PlainConvUNet(1, n_stages=5, n_conv_per_stage=2, num_classes=3, n_conv_per_stage_decoder=2, **PLAN)
    return model, torch.randn(1, 1, 64, 64, 64)


def residual() -> Made:
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    blocks = (1, 3, 4, 6, 6)
    model = ResidualEncoderUNet(
        1, n_stages=5, n_blocks_per_stage=blocks, num_classes=3, n_conv_per_stage_decoder=1, **PLAN
    )
    return model, torch.randn(1, 1, 64, 64, 64)


NNUNET = "dynamic-network-architectures"
VOLUMES = {
    "monai_unet": Entry("monai", "UNet, 16 to 256 channels, two residual units; 1 x 1 x 96 x 96 x 96", unet),
    "monai_basicunet": Entry("monai", "BasicUNet as it is; 1 x 1 x 64 x 64 x 64", basic_unet),
    "monai_segresnet": Entry("monai", "SegResNet, 16 channels; 1 x 1 x 80 x 80 x 80", segresnet),
    "monai_unetr": Entry("monai", "UNETR, ViT-S; 1 x 1 x 64 x 64 x 64", unetr),
    "nnunet_plain": Entry(NNUNET, "PlainConvUNet, 32 to 320 channels, five stages; 1 x 1 x 64 x 64 x 64", plain),
    "nnunet_residual": Entry(
        NNUNET, "ResidualEncoderUNet, 32 to 320 channels, five stages; 1 x 1 x 64 x 64 x 64", residual
    ),
}
