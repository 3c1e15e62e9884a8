"""The state that the page begins with; `web/state.js` describes it."""

from __future__ import annotations

from typing import Any

from tconv import errors
from tconv.arrays import Array, as_array, layout
from tconv.dialects import to_torch
from tconv.geometry import Geometry

LARGEST = {
    "input size": 32,
    "kernel": 9,
    "stride": 8,
    "dilation": 8,
    "crop": 32,
    "channels": 4,
}
VIEWS = {  # the view of each form
    "all": "stamp",
    "scatter": "stamp",
    "gather": "gather",
    "taps": "stamp",
    "zero_insert": "steps",
    "matrix": "matrix",
    "col2im": "col2im",
    "phases": "phases",
    "adjoint": "undo",
    "forward": "forward",
    "window": "stamp",
    "coverage": "coverage",
    "windows": "windows",
    "neurons": "neurons",
    "undoing": "undo",
    "agreement": "stamp",
}


def start(
    geometry: Geometry, x: Array, weight: Array, bias: Array | None, groups: int = 1, form: str = "all"
) -> dict[str, Any]:
    """The page's state that shows this layer, at the view of a form.

    Raises:
        RankError: more than three spatial axes.
        TooLargeError: larger than the page draws.
    """
    ndim = geometry.ndim
    if ndim > 3:
        raise errors.RankError(f"{ndim} spatial axes do not fit on a page; explain a layer with 1 to 3")
    x, weight = as_array("x", x), as_array("weight", weight)
    x = x[None] if x.ndim == ndim else x[0] if x.ndim == ndim + 2 and len(x) == 1 else x
    weight = weight[None, None] if weight.ndim == ndim else weight
    biases = None if bias is None else as_array("bias", bias).reshape(-1)
    sizes = layout(x.shape, weight.shape, None if biases is None else biases.shape, groups, ndim)
    _check_size(geometry, {"input size": max(sizes.in_size), "channels": max(sizes.in_channels, sizes.out_channels)})
    return {
        **_axes(geometry),
        "n": sizes.in_size,
        "ci": sizes.in_channels,
        "co": sizes.out_channels,
        "g": groups,
        "x": x.ravel().tolist(),
        "w": weight.ravel().tolist(),
        "b": None if biases is None else biases.tolist(),
        "view": VIEWS[form],
    }


def _check_size(geometry: Geometry, sizes: dict[str, int]) -> None:
    """Refuse what the page would refuse as well."""
    sizes |= {
        "kernel": max(geometry.kernel),
        "stride": max(geometry.stride),
        "dilation": max(geometry.dilation),
        "crop": max(abs(cut) for pair in geometry.crop for cut in pair),
    }
    for name, value in sizes.items():
        if value > LARGEST[name]:
            raise errors.TooLargeError(
                f"{name} {value} is more than the {LARGEST[name]} that the page draws; take a smaller layer: the "
                f"pattern repeats"
            )


def _axes(geometry: Geometry) -> dict[str, Any]:
    """The geometry as the page has it: padding and output_padding where PyTorch could say it so, else crops."""
    try:
        extra = to_torch(geometry)["output_padding"]
    except errors.DialectError:
        extra = (0,) * geometry.ndim
    return {
        "k": geometry.kernel,
        "s": geometry.stride,
        "d": geometry.dilation,
        "op": extra,
        "lo": [lo for lo, _ in geometry.crop],
        "hi": [hi + op for (_, hi), op in zip(geometry.crop, extra, strict=True)],
    }
