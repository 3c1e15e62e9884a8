"""Semantic segmentation: a class for every pixel, learned from images and masks.

    train(folder, run): a training, which chooses what is not said; gives a Run with metrics and figures
    predict(image, run): the mask of an image, by one run or several
    UNet, FCN32s, FCN16s, FCN8s: the networks; their upsampling runs on tconv
    save, load, load_weights, Card: models in files that hold numbers and a JSON card, no code
    export_torch, export_onnx: for other runtimes, compared with the model

`tconv segment ...` is the command line.
"""

from tconv.segmentation import predict, train
from tconv.segmentation.blocks import UPS
from tconv.segmentation.card import Card, palette
from tconv.segmentation.checkpoint import load, load_weights, save
from tconv.segmentation.export import export_onnx, export_torch
from tconv.segmentation.fcn import FCN8s, FCN16s, FCN32s, SmallVGG
from tconv.segmentation.runs import Mask, Run
from tconv.segmentation.train import Settings
from tconv.segmentation.unet import UNet

__all__ = [
    "UPS",
    "Card",
    "FCN8s",
    "FCN16s",
    "FCN32s",
    "Mask",
    "Run",
    "Settings",
    "SmallVGG",
    "UNet",
    "export_onnx",
    "export_torch",
    "load",
    "load_weights",
    "palette",
    "predict",
    "save",
    "train",
]
