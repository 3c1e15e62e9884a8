"""Pictures: enlarging image files of any size with a transposed convolution, in bounded memory."""

from tconv.images.files import Picture
from tconv.images.upsample import Upsampler, upsample

__all__ = ["Picture", "Upsampler", "upsample"]
