"""`explain`: one layer with its numbers, to be had as text, picture, film or page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tconv import errors
from tconv.arrays import Array
from tconv.explorer import examples
from tconv.explorer.page import page
from tconv.explorer.scene import Film, tour
from tconv.explorer.scenes import SCENES
from tconv.explorer.shown import Shown
from tconv.explorer.start import start
from tconv.explorer.trace import Trace, trace
from tconv.geometry import Geometry
from tconv.geometry.arguments import Ints, Padding

if TYPE_CHECKING:
    from rich.console import Group

FORMS = (*SCENES, "agreement")
OTHERS = ("network", "learned")  # what is shown like a form and is not of a layer


@dataclass(frozen=True, eq=False)
class Explanation(Shown):
    """A layer and one sample, explained. Made by `explain`.

    Attributes:
        geometry: where every input goes.
        x: the input, (*size), (channels, *size) or (1, channels, *size).
        weight: (*kernel) for one channel, or (in_channels, out_channels/groups, *kernel).
        bias: one number per output channel, or None.
        groups: number of channel groups.
        form: "all", or the form that is meant.
    """

    geometry: Geometry
    x: Array
    weight: Array
    bias: Array | None = None
    groups: int = 1
    form: str = "all"

    @cached_property
    def trace(self) -> Trace:
        """The numbers; raises `TooLargeError` where they are more than anyone reads."""
        return trace(self.geometry, self.x, self.weight, self.bias, self.groups)

    @cached_property
    def film(self) -> Film:
        """What a picture shows, frame by frame, before it is drawn; for "all", the films of all forms."""
        if self.form == "agreement":
            raise errors.TconvError(f"form 'agreement' has no picture; choose all or one of {', '.join(SCENES)}")
        if self.form == "all":
            return tour(make(self.trace) for make in SCENES.values())
        return SCENES[self.form](self.trace)

    def html(self, lesson: bool = False) -> str:
        """One page that explores this layer: every form, linked, with numbers to be changed. It needs no network.

        Args:
            lesson: begin with the lesson, from which the explorer is one click away.

        Raises:
            TooLargeError: larger than the page draws.
        """
        state = start(self.geometry, self.x, self.weight, self.bias, self.groups, self.form)
        return page({**state, "lesson": 1} if lesson else state)

    def __rich__(self) -> Group:
        """For `rich.print`; needs rich."""
        from tconv.explorer.text import text

        return text(self.trace, self.form)

    def __repr__(self) -> str:
        return f"<Explanation of {self.geometry}, form {self.form}>"


def explain(
    x: Any = None,
    w: Any = None,
    bias: Any = None,
    *,
    in_size: Ints | None = None,
    kernel: Ints | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    geometry: Geometry | None = None,
    form: str = "all",
) -> Explanation:
    """Explain a small transposed convolution, number by number. It prints nothing: print or save what it returns.

    Args:
        x: the input, (*size) or (channels, *size); without it an example, of `in_size` if that is given.
        w: the kernel, (*kernel) or (in_channels, out_channels/groups, *kernel); likewise, of size `kernel`.
        bias: one number per output channel.
        stride, padding, output_padding, dilation: as in `Geometry.from_torch`.
        geometry: instead of these four.
        form: "all", or one of scatter, gather, taps, zero_insert, matrix, col2im, phases, adjoint, forward, window,
            coverage, windows, neurons, undoing, agreement; hyphens do as well. What is no layer is explained by
            `explain_network` and `explain_learned`.

    Raises:
        TconvError: an unknown form, or one that is not of a layer; contradicting arguments.
        RankError, InputSizeError, LengthError: arrays that do not fit; and what `Geometry.from_torch` raises.

    >>> seen = explain([1, 2, 3], [1, 2, 1], stride=2, form="gather")
    >>> seen
    <Explanation of 1-D: kernel 3, stride 2, dilation 1, crop (0, 0), form gather>
    >>> seen.trace.y.tolist()
    [[1, 2, 3, 4, 5, 6, 3]]
    """
    name = form.replace("-", "_")
    if name in OTHERS:
        raise errors.TconvError(f"form {form!r} is not of a layer; call tconv.explain_{name}() for it")
    if name != "all" and name not in FORMS:
        raise errors.TconvError(f"form {form!r} is unknown; choose all or one of {', '.join((*FORMS, *OTHERS))}")
    inputs, weight, ndim = examples.arrays(x, w, in_size, kernel)
    if geometry is None:
        geometry = Geometry.from_torch(weight.shape[-ndim:], stride, padding, output_padding, dilation, ndim)
    elif (stride, padding, output_padding, dilation) != (1, 0, 0, 1):
        raise errors.TconvError(
            "geometry already has stride, padding, output_padding and dilation; give it, or give them"
        )
    return Explanation(geometry, inputs, weight, bias, groups, name)
