"""Masks for new images: of any size and kind, tile by tile where they are large.

The module can be called: `tconv.segmentation.predict(image, run)` is `runs.predict`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tconv.segmentation.runs import Mask


class _Callable(ModuleType):
    """A function and a package of one name would hide one another; a package that can be called is both."""

    def __call__(self, image: Any, run: Any, *, flips: str | None = None) -> Mask:
        """The mask of an image: see `tconv.segmentation.runs.predict`."""
        from tconv.segmentation.runs import predict

        return predict(image, run, flips=flips)


sys.modules[__name__].__class__ = _Callable
