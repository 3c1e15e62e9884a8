"""Vocoders, speech models and neural codecs."""

from __future__ import annotations

import torch

from tconv.segmentation.encoders import know_torchvision
from zoo.entry import Entry, Made


def hifigan() -> Made:
    know_torchvision()
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    return SpeechT5HifiGan(SpeechT5HifiGanConfig()), torch.randn(150, 80)


def vits() -> Made:
    """Without its noise, so that single and double precision say the same sentence; the arithmetic is the same."""
    know_torchvision()
    from transformers import VitsConfig, VitsModel

    model = VitsModel(VitsConfig(noise_scale=0.0, noise_scale_duration=0.0))
    return model, {"input_ids": torch.randint(1, 38, (1, 40))}


def encodec() -> Made:
    know_torchvision()
    from transformers import EncodecConfig, EncodecModel

    return EncodecModel(EncodecConfig()), torch.randn(1, 1, 24000)


def dac() -> Made:
    know_torchvision()
    from transformers import DacConfig, DacModel

    return DacModel(DacConfig(encoder_hidden_size=32, decoder_hidden_size=768)), torch.randn(1, 1, 16000)


def bigvgan() -> Made:
    know_torchvision()
    from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniBigVGANConfig
    from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniToken2WavBigVGANModel

    model = Qwen2_5OmniToken2WavBigVGANModel(Qwen2_5OmniBigVGANConfig(upsample_initial_channel=512))
    return model, torch.randn(1, 80, 60)


def kokoro() -> Made:
    """The decoder of Kokoro-82M with its published settings, on asr, pitch, energy and style."""
    know_torchvision()
    from kokoro.istftnet import Decoder

    model = Decoder(
        dim_in=512,
        style_dim=128,
        dim_out=80,
        resblock_kernel_sizes=[3, 7, 11],
        upsample_rates=[10, 6],
        upsample_initial_channel=512,
        resblock_dilation_sizes=[[1, 3, 5]] * 3,
        upsample_kernel_sizes=[20, 12],
        gen_istft_n_fft=20,
        gen_istft_hop_size=5,
        disable_complex=True,  # Kokoro's own way to run where complex numbers are unknown, as in ONNX
    )
    pitch = 100 + 100 * torch.rand(1, 80)
    return model, (torch.randn(1, 512, 40), pitch, torch.randn(1, 80), torch.randn(1, 128))


def demucs() -> Made:
    from demucs.hdemucs import HDemucs

    return HDemucs(["drums", "bass", "other", "vocals"], channels=32), torch.randn(1, 2, 44100 * 2)


SOUND = {
    "speecht5_hifigan": Entry("transformers", "SpeechT5HifiGan; 150 x 80", hifigan),
    "vits": Entry("transformers", "VitsModel without noise; 40 tokens", vits),
    "encodec": Entry("transformers", "EncodecModel, there and back; a second at 24 kHz", encodec),
    "dac": Entry("transformers", "DacModel, there and back, half as wide; a second at 16 kHz", dac),
    "bigvgan": Entry("transformers", "Qwen2.5-Omni's BigVGAN, a third as wide; 1 x 80 x 60", bigvgan),
    "kokoro": Entry("kokoro", "the decoder of Kokoro-82M; 40 frames", kokoro, random=True),
    "demucs": Entry("demucs", "HDemucs, 32 channels; two seconds of stereo at 44.1 kHz", demucs),
}
