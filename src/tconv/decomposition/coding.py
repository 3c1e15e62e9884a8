"""Images and their sparse codes, as the solvers work on them: what the codes leave, and how far from the best they are.

The objective is, with weights w (1 where nothing is masked) and the transposed convolution D of the codes z,

    P(z) = sum(w * (s - D z)^2) / 2 + alpha * sum(|z|)

Its dual is D(u) = sum(w * (s^2 - (s - u)^2)) / 2 over all u whose correlations with the kernels, weighted, are at most
alpha in size (or, for codes that are not negative, at most alpha). A multiple of the residual is such a u, and the one
with the largest D bounds the optimum from below: P(z) - D(u) is the duality gap, and P(z) is off by no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

import numpy as np

from tconv import native
from tconv.arrays import Array
from tconv.decomposition.frame import Frame
from tconv.decomposition.responses import Responses
from tconv.native import _core

BAND_BYTES = 2 * 2**20
"""Of the responses that are computed at a time: they are read while they are in the cache."""


@dataclass(frozen=True)
class Standing:
    """Where a solver stands.

    Attributes:
        objective: P of the codes.
        bound: the largest dual value that is known: the optimum is not below.
        peak: the largest response.
    """

    objective: float
    bound: float
    peak: float

    @property
    def gap(self) -> float:
        """How far from the optimum at most; rounding may make it a little negative, which counts as 0."""
        return max(self.objective - self.bound, 0.0)


class Coding:
    """A batch of images of one size, with their codes as lists of atoms.

    Args:
        images: (images, channels, *size), finite where the weights are not 0.
        weights: of the same shape, from 0 to 1; None: all 1.
        frame: where the images lie.
        kernels: (kernels, channels, *kernel), of the images' dtype.
        positive: whether codes must not be negative.

    Attributes:
        atoms: the compiled core's lists; `atoms.residual` is weights times what the codes leave, on the canvas.
        kernels: as they are now.
        weighted: weights times images, 0 where nothing is known.
    """

    def __init__(self, images: Array, weights: Array | None, frame: Frame, kernels: Array, positive: bool) -> None:
        self.frame, self.positive, self.images = frame, positive, images
        dtype = images.dtype
        shape = len(images), images.shape[1], len(kernels)
        make = _core.CodesF32 if dtype == np.float32 else _core.CodesF64
        self.atoms = make(*shape, frame.geometry.kernel, frame.geometry.stride, frame.places, native.active())
        self._window = (slice(None), slice(None), *frame.window)
        self._masked = weights is not None
        self._inverse: Array | None = None
        self._buffer: Array | None = None  # for responses
        target = images
        if weights is not None:
            known = weights > 0
            target = np.where(known, images, 0) * weights
            self._inverse = np.divide(1, weights, out=np.zeros_like(weights), where=known)
        self.weighted = target
        self.atoms.weights[self._window] = 1 if weights is None else weights
        self.use(kernels)
        self.atoms.residual[self._window] = target

    def use(self, kernels: Array) -> None:
        """Take other kernels; the residual is computed from the values anew."""
        self.kernels = np.ascontiguousarray(kernels, self.images.dtype)
        low_high = ((0, 0) if self._masked else (cut.start, cut.stop) for cut in self.frame.window)
        self.atoms.set(self.kernels, [side for pair in low_high for side in pair])
        self._responses = Responses(self.kernels, self.frame.geometry.stride)
        self.renew()

    def renew(self) -> None:
        """The residual from the values, without the rounding errors of many steps."""
        if not self.atoms.count(False):
            return
        self.atoms.residual[...] = 0
        self.atoms.residual[self._window] = self.weighted
        self.atoms.subtract()

    def load(self, codes: Array) -> None:
        """Begin with these codes, (images, kernels, *places)."""
        values = np.ascontiguousarray(codes, self.images.dtype)
        self.atoms.read(np.maximum(values, 0) if self.positive else values)
        self.atoms.residual[...] = 0
        self.atoms.residual[self._window] = self.weighted
        self.atoms.subtract()

    def codes(self) -> Array:
        """The codes as an array, (images, kernels, *places)."""
        dense = np.zeros((len(self.images), len(self.kernels), *self.frame.places), self.images.dtype)
        self.atoms.write(dense)
        return dense

    def screen(self, threshold: float) -> float:
        """Let atoms with a response above the threshold join; the largest response of all."""
        peak, step = 0.0, self._rows()
        places, stride, kernel = self.frame.places, self.frame.geometry.stride[0], self.frame.geometry.kernel[0]
        residual = self.atoms.residual
        if self._buffer is None:
            self._buffer = np.empty(len(self.kernels) * min(step, places[0]) * prod(places[1:]), residual.dtype)
        for image in range(len(self.images)):
            for first in range(0, places[0], step):
                rows = min(step, places[0] - first)
                band = residual[image : image + 1, :, first * stride : (first + rows - 1) * stride + kernel]
                shape = (len(self.kernels), rows, *places[1:])
                out = self._buffer[: prod(shape)].reshape(shape)
                self._responses(band, out[None])
                peak = max(peak, self.atoms.screen(image, first, out, min(threshold, 3e38), self.positive))
        return peak

    def objective(self, alpha: float) -> float:
        """P of the codes as they are."""
        return self.misfit() + alpha * self.atoms.norm()

    def misfit(self) -> float:
        """sum(w * (s - D z)^2) / 2."""
        return self.squares(self.rest) / 2

    def standing(self, alpha: float, peak: float, bound: float = -inf) -> Standing:
        """Objective and duality gap, given the largest response; `bound` is one that is known already."""
        return self.standing_of(self.rest, self.atoms.norm(), alpha, peak, bound)

    def standing_of(self, rest: Array, norm: float, alpha: float, peak: float, bound: float) -> Standing:
        """The same for other codes, of which `norm` is the sum of magnitudes and `rest` the weighted residual."""
        squares = self.squares(rest)
        shown = self.weighted if self._inverse is None else self.weighted * self._inverse
        product = float(np.sum(rest * shown, dtype=np.float64))
        most = alpha / peak if peak > 0 else inf
        scale = min(max(product / squares if squares else 0.0, 0.0), most)
        dual = scale * product - scale * scale * squares / 2
        return Standing(squares / 2 + alpha * norm, max(dual, bound, 0.0), peak)

    @property
    def rest(self) -> Array:
        """The images' part of the residual, (images, channels, *size)."""
        return self.atoms.residual[self._window]

    def squares(self, weighted: Array) -> float:
        """sum(weighted^2 / w), in double precision."""
        squares = weighted * weighted
        if self._inverse is not None:
            squares *= self._inverse
        return float(np.sum(squares, dtype=np.float64))

    def _rows(self) -> int:
        """Rows of places that are screened at a time: whole stripes."""
        height, row = self.atoms.height, len(self.kernels) * prod(self.frame.places[1:]) * self.images.itemsize
        return int(height * max(1, BAND_BYTES // (height * row)))
