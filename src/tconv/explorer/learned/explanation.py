"""`explain_learned`: fixed kernels against a learned one, to be had as text, picture, film or page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tconv import errors
from tconv.explorer.learned.film import film, title
from tconv.explorer.learned.section import section
from tconv.explorer.learned.training import STEPS, Experiment
from tconv.explorer.page import page
from tconv.explorer.scene import Film
from tconv.explorer.shown import Shown
from tconv.geometry.arguments import integer

if TYPE_CHECKING:
    from rich.console import Group

STRIDES = (2, 3, 4)
DRAWN = (3, 4, 8)  # kernels of the page, at stride 2


@dataclass(frozen=True, eq=False)
class LearnedExplanation(Shown):
    """One photograph through fixed kernels and a trained one, explained. Made by `explain_learned`.

    Attributes:
        experiment: all kernels, and what they make of the photograph.
    """

    experiment: Experiment
    form = "learned"

    @cached_property
    def film(self) -> Film:
        """The training, frame by frame, beside the fixed kernels."""
        return film(self.experiment)

    def html(self) -> str:
        """The explorer, at its photographs.

        Raises:
            TooLargeError: a kernel that the page does not train.
        """
        k, stride = self.experiment.k, self.experiment.stride
        if stride != 2 or k not in DRAWN:
            raise errors.TooLargeError(
                f"the page trains kernels of {', '.join(map(str, DRAWN[:-1]))} or {DRAWN[-1]} taps at stride 2, not of "
                f"{k} at stride {stride}; take svg(), png() or gif() for this one"
            )
        return page({"at": "learned", "trained": {"k": k, "steps": len(STEPS) - 1}})

    def __rich__(self) -> Group:
        from tconv.explorer.text import alone

        return alone(title(self.experiment).partition(": ")[2], section(self.experiment))

    def __repr__(self) -> str:
        return f"<LearnedExplanation of kernel {self.experiment.k}, stride {self.experiment.stride}>"


def explain_learned(kernel: int = 8, stride: int = 2) -> LearnedExplanation:
    """Explain what learning a kernel gains: a photograph made smaller, and brought back by fixed and learned kernels.

    All of them are kernels of the same transposed convolution. The learned one is found by gradient descent on another
    photograph than the one that is shown. Kernel sizes that the stride divides cover evenly; others begin with a
    checkerboard.

    Args:
        kernel: taps per axis of the learned kernel, from `stride` to 4 * `stride`, as many as bicubic has.
        stride: 2, 3 or 4.

    Raises:
        StrideError, KernelError, ArgumentTypeError: as their names say.

    >>> seen = explain_learned(kernel=8)
    >>> nearest, bilinear, bicubic = seen.experiment.fixed
    >>> round(bicubic.psnr, 2), round(seen.experiment.learned(-1).psnr, 2)
    (26.85, 28.29)
    """
    if integer("stride", stride) not in STRIDES:
        raise errors.StrideError(f"stride {stride} must be 2, 3 or 4: how many times smaller the photograph is made")
    if not stride <= integer("kernel", kernel) <= 4 * stride:
        raise errors.KernelError(
            f"kernel {kernel} must be at least the stride, {stride}, so that no pixel stays empty, and at most "
            f"{4 * stride}, as many taps as bicubic has"
        )
    return LearnedExplanation(Experiment(int(kernel), int(stride)))
