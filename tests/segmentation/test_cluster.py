"""Prediction on a Dask cluster of two workers: the same files as without, whatever happens to a worker."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr
from PIL import Image

from segmentation.test_predict import alive, card, pixels
from tconv import errors
from tconv.segmentation import UNet
from tconv.segmentation.predict import windows
from tconv.segmentation.predict.files import find_images, predict
from tconv.segmentation.predict.tasks import Wish
