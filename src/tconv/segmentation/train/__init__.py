"""Training: `train(folder, run, settings)`; `python -m tconv.segmentation.train` for `accelerate launch`."""

from tconv.segmentation.train.loop import Result, train
from tconv.segmentation.train.settings import Settings

__all__ = ["Result", "Settings", "train"]
