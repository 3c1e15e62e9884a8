"""Models of images: decoders of latent diffusion, segmentation, depth, poses and super-resolution."""

from __future__ import annotations

import os
import tempfile

import torch

from tconv.segmentation.encoders import know_torchvision
from zoo.entry import Entry, Made


def vae_decoder() -> Made:
    know_torchvision()
    from diffusers import AutoencoderKL

    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
    )
    return model.decoder, torch.randn(1, 4, 32, 32)


def tiny_vae() -> Made:
    know_torchvision()
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(), torch.randn(1, 4, 32, 32)


def smp_unet() -> Made:
    know_torchvision()
    from segmentation_models_pytorch import Unet

    return Unet("resnet18", encoder_weights=None, classes=2), torch.randn(1, 3, 256, 256)


def smp_linknet() -> Made:
    know_torchvision()
    from segmentation_models_pytorch import Linknet

    return Linknet("resnet18", encoder_weights=None, classes=2), torch.randn(1, 3, 256, 256)


def yolo() -> Made:
    know_torchvision()
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())  # it writes its settings when it is imported
    from ultralytics import YOLO

    return YOLO("yolo11n-seg.yaml", verbose=False).model, torch.rand(1, 3, 320, 320)


def depth_anything() -> Made:
    know_torchvision()
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=384,
        num_attention_heads=6,
        image_size=518,
        patch_size=14,
        out_features=["stage3", "stage6", "stage9", "stage12"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
        head_in_index=-1,
    )
    return DepthAnythingForDepthEstimation(config), {"pixel_values": torch.randn(1, 3, 252, 252)}


def sam_decoder() -> Made:
    """The part that answers clicks on an image whose embedding is known; the encoder of images is a small one."""
    know_torchvision()
    from transformers import SamConfig, SamModel, SamVisionConfig

    vision = SamVisionConfig(hidden_size=48, num_hidden_layers=1, num_attention_heads=2, global_attn_indexes=[0])
    points = torch.rand(1, 1, 2, 2) * 1024
    example = {"image_embeddings": torch.randn(1, 256, 64, 64), "input_points": points}
    return SamModel(SamConfig(vision_config=vision)), example


def vitpose() -> Made:
    know_torchvision()
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    backbone = VitPoseBackboneConfig(hidden_size=384, num_attention_heads=6, num_hidden_layers=12)
    config = VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=False)
    return VitPoseForPoseEstimation(config), {"pixel_values": torch.randn(1, 3, 256, 192)}


def esrgan() -> Made:
    know_torchvision()
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_blocks=6, scale=4), torch.rand(1, 3, 64, 64)


def compact() -> Made:
    know_torchvision()
    from spandrel.architectures.Compact import Compact

    return Compact(num_conv=16, upscale=4), torch.rand(1, 3, 128, 128)


SMP = "segmentation-models-pytorch"
IMAGES = {
    "sd_vae_decoder": Entry(
        "diffusers", "AutoencoderKL of Stable Diffusion, its decoder; 1 x 4 x 32 x 32", vae_decoder
    ),
    "sd_tiny_vae": Entry("diffusers", "AutoencoderTiny's decode; 1 x 4 x 32 x 32", tiny_vae, method="decode"),
    "smp_unet": Entry(SMP, "Unet, ResNet-18; 1 x 3 x 256 x 256", smp_unet),
    "smp_linknet": Entry(SMP, "Linknet, ResNet-18; 1 x 3 x 256 x 256", smp_linknet),
    "yolo_seg": Entry("ultralytics", "yolo11n-seg; 1 x 3 x 320 x 320", yolo),
    "depth_anything": Entry("transformers", "DepthAnything, DINOv2-S; 1 x 3 x 252 x 252", depth_anything),
    "sam_mask_decoder": Entry("transformers", "SamModel on a known embedding; two clicks", sam_decoder),
    "vitpose": Entry("transformers", "VitPose, ViT-S, classic decoder; 1 x 3 x 256 x 192", vitpose),
    "esrgan": Entry("spandrel", "ESRGAN, six blocks, four times; 1 x 3 x 64 x 64", esrgan),
    "sr_compact": Entry("spandrel", "SRVGGNet, sixteen convolutions, four times; 1 x 3 x 128 x 128", compact),
}
