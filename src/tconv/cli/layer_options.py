"""The options that say which layer is explained: its arrays, or their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv import errors
from tconv.arrays import Array
from tconv.cli.options import GeometryOptions, Written, integers, read_array
from tconv.explorer import Explanation
from tconv.explorer import explain as explained
from tconv.explorer.examples import arrays
from tconv.geometry import Sizes


@Parameter(name="*")
@dataclass(frozen=True)
class LayerOptions:
    """Input, kernel and bias, or examples of a size."""

    x: Written | None = None
    """The input: numbers as in [[2,3],[1,3]], or a .npy file; (*size), or (channels, *size)."""

    w: Written | None = None
    """The kernel, likewise; (*kernel), or (in_channels, out_channels/groups, *kernel)."""

    bias: Written | None = None
    """A number, or a list with one per output channel."""

    in_size: Annotated[str | None, Parameter(name="--in")] = None
    """Size of an example input, instead of --x: 3 or 2x2."""

    kernel: str | None = None
    """Size of an example kernel, instead of --w: 3 or 3x3."""

    groups: int = 1
    """Channel groups."""

    def files(self) -> list[Path]:
        """The files that arrays are read from."""
        return [Path(text) for text in (self.x, self.w, self.bias) if text is not None and text.endswith(".npy")]

    def explanation(self, options: GeometryOptions, form: str = "all") -> Explanation:
        """The layer with its numbers."""
        for array, size, names in ((self.x, self.in_size, "--x or --in"), (self.w, self.kernel, "--w or --kernel")):
            if array is not None and size is not None:
                raise errors.TconvError(
                    f"give {names}, not both: one has the numbers, the other makes some of that size"
                )
        x, w, ndim = arrays(
            _array("x", self.x), _array("w", self.w), _sizes("--in", self.in_size), _sizes("--kernel", self.kernel)
        )
        geometry = options.geometry(w.shape[-ndim:], ndim)
        if geometry.ndim != ndim:
            raise errors.LengthError(
                f"the options speak of {geometry.ndim} axes, the kernel of {ndim}; give as many for each"
            )
        return explained(x, w, _array("bias", self.bias), groups=self.groups, geometry=geometry, form=form)


EXAMPLE = LayerOptions()


def _array(option: str, text: str | None) -> Array | None:
    return None if text is None else read_array(option, text)


def _sizes(option: str, text: str | None) -> Sizes | None:
    return None if text is None else integers(option, text)
