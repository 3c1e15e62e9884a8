"""The catalogue of geometries: every regime and every edge that an implementation has got wrong somewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tconv import Geometry


@dataclass(frozen=True)
class Case:
    """A layer and the shape of its input."""

    name: str
    geometry: Geometry
    in_size: tuple[int, ...]
    batch: int = 1
    in_channels: int = 1
    out_channels: int = 1
    groups: int = 1

    def arrays(self, dtype: Any = np.int64, seed: int = 0) -> tuple[Any, Any, Any]:
        """Input, weight and bias: signed (ones hide flips), small integers (so that floats are exact)."""
        rng = np.random.default_rng(seed)
        shapes = (
            (self.batch, self.in_channels, *self.in_size),
            (self.in_channels, self.out_channels // self.groups, *self.geometry.kernel),
            (self.out_channels,),
        )
        x, w, b = (rng.integers(-4, 5, shape) for shape in shapes)
        return x.astype(dtype), w.astype(dtype), b.astype(dtype)


def _torch(*args: Any, **kwargs: Any) -> Geometry:
    return Geometry.from_torch(*args, **kwargs)


CASES = [
    Case("stamp 2x2 by 3x3", Geometry((3, 3)), (2, 2)),
    Case("kernel 2 stride 2", Geometry((2, 2), 2), (3, 4), 2, 3, 2),
    Case("kernel 4 stride 4", Geometry((4, 4), 4), (2, 3), 1, 2, 3),
    Case("kernel 3 stride 2 padding 1", _torch((3, 3), 2, 1), (4, 3), 1, 2, 2),
    Case("output_padding", _torch((3, 3), 2, 1, 1), (3, 5), 2, 2, 3),
    Case("output_padding beyond the stamps", _torch(2, 3, 0, 2, ndim=2), (2, 2)),
    Case("output_padding below dilation", _torch(3, 1, 1, 2, 3), (5,), 1, 2, 2),
    Case("kernel 4 stride 2 padding 1", _torch((4, 4), 2, 1), (3, 3), 1, 3, 4),
    Case("kernel 5 stride 3 padding 2", _torch((5, 5), 3, 2), (4, 4), 1, 2, 2),
    Case("per-axis parameters", _torch((3, 2), (2, 3), (1, 0), (1, 2), (1, 2)), (3, 2), 2, 2, 2),
    Case("stride above kernel", Geometry((2, 3), (3, 5)), (3, 2), 1, 2, 1),
    Case("dilation", Geometry((3, 3), 1, 2), (3, 3), 1, 2, 2),
    Case("dilation above input", Geometry((2, 3), 1, 5), (2, 3), 1, 1, 2),
    Case("dilation and stride share a factor", Geometry((4, 4), 2, 2), (3, 3), 1, 1, 1),
    Case("dilation 3 stride 2", Geometry((3,), 2, 3, (2, 1)), (6,), 2, 2, 2),
    Case("asymmetric crop", Geometry((3, 4), (2, 1), 1, ((2, 0), (0, 3))), (3, 4), 1, 2, 2),
    Case("negative crop", Geometry((3, 2), 2, 1, ((-2, 1), (1, -3))), (3, 3), 1, 2, 2),
    Case("crop beyond the kernel", Geometry((3, 3), 2, 1, (4, 3)), (6, 6), 1, 1, 2),
    Case("window beyond the canvas", Geometry((3,), 1, 1, (4, -3)), (1,), 1, 1, 1),
    Case("groups", _torch((3, 3), 2, 1, 1), (3, 3), 2, 4, 6, 2),
    Case("depthwise", _torch((4, 4), 2, 1), (3, 4), 1, 5, 5, 5),
    Case("depthwise with multiplier", Geometry((3,), 2), (5,), 2, 3, 6, 3),
    Case("size 1", Geometry((1, 1)), (1, 1)),
    Case("size 1 stride 3", Geometry((1, 1), 3), (2, 3), 1, 2, 2),
    Case("one input", Geometry((4, 3), 2), (1, 1), 1, 2, 3),
    Case("empty batch", _torch((3, 3), 2, 1, 1), (3, 2), 0, 2, 3),
    Case("1-D long kernel", _torch(16, 8, 4), (7,), 1, 3, 2),
    Case("1-D overlap not divisible", _torch(5, 3, 1), (9,), 2, 2, 3),
    Case("1-D big stride", Geometry(9, 7), (3,), 1, 1, 1),
    Case("3-D kernel 2 stride 2", Geometry((2, 2, 2), 2), (2, 2, 3), 1, 2, 2),
    Case("3-D mixed", _torch((3, 2, 1), (2, 1, 2), (1, 0, 0), (1, 0, 1), (1, 2, 1)), (2, 3, 2), 1, 2, 4, 2),
    Case("4-D", Geometry((2, 1, 2, 2), (1, 2, 2, 1)), (2, 2, 1, 2), 1, 2, 1),
    Case("vector tails 15", _torch(4, 2, 1, ndim=1), (15,), 1, 3, 17),
    Case("vector tails 33", _torch((3, 3), 1, 1), (2, 33), 1, 2, 9),
    Case("full strips and both ends", _torch(3, 2, 1, 1), (70,), 1, 5, 15),
]
IDS = [case.name for case in CASES]
