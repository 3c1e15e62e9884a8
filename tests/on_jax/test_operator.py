"""`tconv.jax.conv_transpose` against JAX's own: values, transformations, errors and what is left to JAX."""

from __future__ import annotations

import inspect
from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from on_jax.drawn import call, seeds

from tconv import errors, native
from tconv.jax import conv_general_dilated, conv_transpose
from tconv.jax.primitive import NAME

BOUNDS = {"float32": 2e-6, "float64": 1e-14, "bfloat16": 8e-3, "float16": 1e-3}


def close(ours: Any, theirs: Any, bound: float) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    wide = np.complex128 if jnp.iscomplexobj(theirs) else np.float64
    a, b = (np.asarray(array, wide) for array in (ours, theirs))
    assert np.abs(a - b).max(initial=0) <= bound * max(1.0, np.abs(b).max(initial=0))


def runs_in_the_core(function: Any, *arrays: Any) -> bool:
    return NAME in jax.jit(function).lower(*arrays).as_text()


@pytest.mark.parametrize("seed", seeds(0, 60, fast=20))
def test_values_are_those_of_lax(seed: int) -> None:
    lhs, rhs, arguments = call(seed)
    ours, theirs = (partial(function, **arguments) for function in (conv_transpose, lax.conv_transpose))
    want = theirs(lhs, rhs)
    close(ours(lhs, rhs), want, BOUNDS["float32"])
    close(jax.jit(ours)(lhs, rhs), want, BOUNDS["float32"])
    assert runs_in_the_core(ours, lhs, rhs) == (0 not in want.shape)


def in_64_bits() -> Any:
    """A block in which JAX has float64; an older JAX has it elsewhere."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return import_module("jax.experimental").enable_x64()


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("seed", seeds(60, 66, fast=2))
def test_every_dtype_of_the_core(dtype: str, seed: int) -> None:
    with in_64_bits():
        lhs, rhs, arguments = call(seed, dtype)
        ours = partial(conv_transpose, **arguments)
        assert runs_in_the_core(ours, lhs, rhs)
        want = lax.conv_transpose(lhs.astype("float64"), rhs.astype("float64"), **arguments)
        close(jax.jit(ours)(lhs, rhs), want.astype(dtype), BOUNDS[dtype])


@pytest.mark.parametrize("seed", seeds(70, 82, fast=3))
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 1), (1, None), (None, 2)])
def test_vmap(seed: int, axes: tuple[int | None, int | None]) -> None:
    lhs, rhs, arguments = call(seed)
    many = [
        array if axis is None else jnp.stack([array, array[::-1] * 2, array - 1], axis)
        for array, axis in zip((lhs, rhs), axes, strict=True)
    ]
    ours, theirs = (
        jax.vmap(partial(function, **arguments), axes)(*many) for function in (conv_transpose, lax.conv_transpose)
    )
    close(ours, theirs, 4e-6)


def test_vmap_twice_over_both_arrays() -> None:
    lhs, rhs, arguments = call(71)
    a, b = jnp.stack([lhs, -lhs]), jnp.stack([rhs, rhs + 1, rhs * 2])
    functions = (partial(function, **arguments) for function in (conv_transpose, lax.conv_transpose))
    ours, theirs = (jax.vmap(jax.vmap(f, (None, 0)), (0, None))(a, b) for f in functions)
    close(ours, theirs, 4e-6)
    functions = (partial(function, **arguments) for function in (conv_transpose, lax.conv_transpose))
    c = jnp.stack([b, b[::-1]])
    ours, theirs = (jax.vmap(jax.vmap(f, (None, 0)), (0, 0))(a, c) for f in functions)
    close(ours, theirs, 4e-6)


@pytest.mark.parametrize("seed", seeds(90, 120, fast=10))
def test_gradients(seed: int) -> None:
    lhs, rhs, arguments = call(seed)

    def loss(function: Any, x: Any, w: Any) -> Any:
        return jnp.sum(jnp.sin(function(x, w, **arguments)))

    ours = jax.jit(jax.grad(partial(loss, conv_transpose), (0, 1)))(lhs, rhs)
    theirs = jax.grad(partial(loss, lax.conv_transpose), (0, 1))(lhs, rhs)
    for a, b in zip(ours, theirs, strict=True):
        close(a, b, 1e-5)


@pytest.mark.parametrize("seed", [120, 121, 122])
def test_forward_mode_and_second_derivatives(seed: int) -> None:
    lhs, rhs, arguments = call(seed)
    functions = [partial(function, **arguments) for function in (conv_transpose, lax.conv_transpose)]
    tangents = jnp.cos(lhs), jnp.sin(rhs)
    for a, b in zip(*(jax.jvp(f, (lhs, rhs), tangents) for f in functions), strict=True):
        close(a, b, 1e-5)

    def slope(f: Any, w: Any) -> Any:
        return jnp.sum(jax.grad(lambda x: jnp.sum(f(x, w) ** 3))(lhs) ** 2)

    for a, b in [[jax.grad(partial(slope, f))(rhs) for f in functions]]:
        close(a, b, 1e-4)


def test_gradients_of_a_batch_of_weights() -> None:
    lhs, rhs, arguments = call(71)
    a, b = jnp.stack([lhs, -lhs]), jnp.stack([rhs, rhs + 1])

    def loss(function: Any, x: Any, w: Any) -> Any:
        return jnp.sum(jax.vmap(partial(function, **arguments))(x, w) ** 2)

    ours, theirs = (jax.grad(partial(loss, f), (0, 1))(a, b) for f in (conv_transpose, lax.conv_transpose))
    for mine, other in zip(ours, theirs, strict=True):
        close(mine, other, 1e-5)


def test_consistent_padding_is_a_crop() -> None:
    lhs, rhs = jnp.arange(24.0).reshape(1, 4, 3, 2), jnp.arange(54.0).reshape(3, 3, 2, 3)
    arguments = {"strides": (2, 1), "rhs_dilation": (1, 2), "use_consistent_padding": True}
    if "use_consistent_padding" not in inspect.signature(lax.conv_transpose).parameters:  # of an older JAX
        with pytest.raises(TypeError, match="unexpected keyword argument 'use_consistent_padding'"):
            conv_transpose(lhs, rhs, padding="SAME", **arguments)
        return
    for padding in ("SAME", "VALID", [(1, 0), (2, 1)]):
        ours, theirs = (f(lhs, rhs, padding=padding, **arguments) for f in (conv_transpose, lax.conv_transpose))
        close(ours, theirs, 2e-6)


def test_lists_and_arrays_of_numpy_will_do() -> None:
    lhs, rhs = np.ones((1, 4, 2), np.float32), np.ones((3, 2, 5), np.float32)
    y = conv_transpose(lhs, rhs, [2], [[2, 1]], rhs_dilation=np.array([1]))
    close(y, lax.conv_transpose(lhs, rhs, (2,), [(2, 1)]), 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"lhs": jnp.ones((1, 4, 2), jnp.int32), "rhs": jnp.ones((3, 2, 5), jnp.int32)},
        {"lhs": jnp.ones((1, 4, 2), jnp.complex64), "rhs": jnp.ones((3, 2, 5), jnp.complex64)},
        {"lhs": jnp.ones((1, 4, 2), jnp.bfloat16), "rhs": jnp.ones((3, 2, 5), jnp.bfloat16),
         "preferred_element_type": jnp.float32},
        {"lhs": jnp.ones((0, 4, 2)), "rhs": jnp.ones((3, 2, 5))},
        {"lhs": jnp.ones((1, 4, 0)), "rhs": jnp.ones((3, 0, 5))},
    ],
    ids=["int", "complex", "preferred", "no images", "no channels"],
)  # fmt: skip
def test_what_the_core_does_not_compute_is_left_to_jax(arguments: dict[str, Any]) -> None:
    lhs, rhs = arguments.pop("lhs"), arguments.pop("rhs")
    ours = partial(conv_transpose, strides=(2,), padding="SAME", **arguments)
    assert not runs_in_the_core(ours, lhs, rhs)
    close(ours(lhs, rhs), lax.conv_transpose(lhs, rhs, (2,), "SAME", **arguments), 0)


@pytest.mark.parametrize(
    ("shapes", "arguments"),
    [
        (((1, 4, 2), (3, 5, 2)), {"strides": (2,), "padding": "SAME"}),
        (((1, 4, 2), (3, 2, 5)), {"strides": (2,), "padding": "same"}),
        (((1, 4, 2), (3, 2, 5)), {"strides": (2,), "padding": [(1, 2, 3)]}),
        (((1, 4, 2), (3, 2, 5)), {"strides": (2,), "padding": "VALID", "dimension_numbers": ("NXC", "HIO", "NHC")}),
        (((1,) * 6, (1,) * 6), {"strides": (1,) * 4, "padding": "VALID"}),
    ],
    ids=["channels", "name", "pairs", "letters", "4-D"],
)
def test_errors_are_those_of_lax(shapes: Any, arguments: dict[str, Any]) -> None:
    lhs, rhs = (jnp.ones(shape) for shape in shapes)
    with pytest.raises(Exception) as theirs:  # whatever JAX raises
        lax.conv_transpose(lhs, rhs, **arguments)
    with pytest.raises(type(theirs.value)) as ours:
        conv_transpose(lhs, rhs, **arguments)
    assert str(ours.value).splitlines()[0] == str(theirs.value).splitlines()[0]


def test_strides_for_other_axes_are_refused_before_xla_does() -> None:
    with pytest.raises(errors.LengthError) as raised:
        conv_transpose(jnp.ones((1, 4, 2)), jnp.ones((3, 2, 5)), (2, 2), "SAME")
    assert str(raised.value) == "stride has 2 entries, (2, 2), for 1 spatial axis; give 1"


def test_new_numbers_in_the_place_of_old_ones_are_seen() -> None:
    """A donated array's memory goes to the result: the weight of the next step lies where the last one's did."""
    lhs, rhs, arguments = call(60)
    ours = jax.jit(partial(conv_transpose, **arguments))
    step = jax.jit(lambda w: w * 1.5 + 1, donate_argnums=0)
    weight, copy = rhs + 0, np.asarray(rhs)
    for _ in range(4):
        close(ours(lhs, weight), lax.conv_transpose(lhs, jnp.asarray(copy), **arguments), 4e-6)
        weight, copy = step(weight), copy * 1.5 + 1


def test_memory_that_is_freed_is_made_again() -> None:
    lhs, rhs, arguments = call(60)
    ours = jax.jit(partial(conv_transpose, **arguments))
    before = ours(lhs, rhs)
    assert native.free_memory() >= 0
    assert (ours(lhs, rhs) == before).all()


def test_a_forced_backend_is_written_into_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    lhs, rhs, arguments = call(60)
    ours = partial(conv_transpose, **arguments)
    assert 'backend = ""' in jax.jit(lambda x, w: ours(x, w)).lower(lhs, rhs).as_text()
    monkeypatch.setenv("TCONV_BACKEND", "reference")
    forced = jax.jit(lambda x, w: ours(x, w))
    assert 'backend = "reference"' in forced.lower(lhs, rhs).as_text()
    close(forced(lhs, rhs), lax.conv_transpose(lhs, rhs, **arguments), 4e-6)


def test_other_platforms_get_jax_s_own_operator() -> None:
    lhs, rhs, arguments = call(60)
    text = jax.jit(partial(conv_transpose, **arguments)).trace(lhs, rhs).lower(lowering_platforms=("tpu",)).as_text()
    assert NAME not in text
    assert "stablehlo.convolution" in text


def test_scan_remat_and_weights_made_within_a_program() -> None:
    lhs, rhs, arguments = call(63)

    def program(function: Any, x: Any, w: Any) -> Any:
        def body(total: Any, scale: Any) -> Any:
            y = jax.checkpoint(partial(function, **arguments))(x * scale, w + scale)
            return total + y, y.sum()

        shape = jax.eval_shape(partial(function, **arguments), x, w)
        return lax.scan(body, jnp.zeros(shape.shape), jnp.arange(4.0))

    ours, theirs = (jax.jit(partial(program, f))(lhs, rhs) for f in (conv_transpose, lax.conv_transpose))
    for a, b in zip(ours, theirs, strict=True):
        close(a, b, 1e-5)


GROUPED: list[dict[str, Any]] = [
    {"groups": 3, "dimension_numbers": ("NHC", "HIO", "NHC")},
    {"groups": 6, "dimension_numbers": ("NCH", "OIH", "NCH")},
    {"groups": 2, "dimension_numbers": None},
]


@pytest.mark.parametrize("drawn", GROUPED)
@pytest.mark.parametrize("outputs", [1, 3])
def test_groups(drawn: dict[str, Any], outputs: int) -> None:
    groups, layout = drawn["groups"], drawn["dimension_numbers"]
    last = layout is not None and layout[0] == "NHC"
    lhs = jax.random.normal(jax.random.key(0), (2, 9, 6) if last else (2, 6, 9))
    taps, each = 5, 6 // groups
    rhs = jax.random.normal(
        jax.random.key(1), (taps, each, groups * outputs) if last else (groups * outputs, each, taps)
    )
    arguments = {
        "window_strides": (1,), "padding": [(4, 3)], "lhs_dilation": (2,), "dimension_numbers": layout,
        "feature_group_count": groups,
    }  # fmt: skip
    functions = [partial(function, **arguments) for function in (conv_general_dilated, lax.conv_general_dilated)]
    assert runs_in_the_core(functions[0], lhs, rhs)
    close(*(f(lhs, rhs) for f in functions), 2e-6)
    gradients = [jax.grad(lambda x, w, f=f: jnp.sum(f(x, w) ** 2), (0, 1))(lhs, rhs) for f in functions]
    for a, b in zip(*gradients, strict=True):
        close(a, b, 1e-5)
    many = jnp.stack([rhs, rhs * 2, -rhs], 1)
    for axes, x in [((None, 1), lhs), ((0, 1), jnp.stack([lhs, lhs + 1, lhs - 1]))]:
        close(*(jax.vmap(f, axes)(x, many) for f in functions), 4e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"window_strides": (2,), "padding": "SAME"},
        {"window_strides": (1,), "padding": "SAME"},
        {"window_strides": (2,), "padding": [(1, 1)], "lhs_dilation": (3,)},
        {"window_strides": (1,), "padding": [(1, 1)], "lhs_dilation": (3,), "batch_group_count": 2},
    ],
    ids=["strided", "plain", "both", "batch groups"],
)
def test_other_convolutions_are_left_to_jax(arguments: dict[str, Any]) -> None:
    lhs, rhs = jnp.ones((2, 6, 9)), jnp.ones((4, 6, 3))
    ours = partial(conv_general_dilated, **arguments)
    assert not runs_in_the_core(ours, lhs, rhs)
    close(ours(lhs, rhs), lax.conv_general_dilated(lhs, rhs, **arguments), 0)


@pytest.mark.parametrize("strides", [(2.0,), (True,), ("2",)])
def test_what_is_no_whole_number_is_jax_s_to_judge(strides: Any) -> None:
    lhs, rhs = jnp.ones((1, 4, 2)), jnp.ones((3, 2, 5))
    conv_transpose(lhs, rhs, (2,), "SAME")
    try:
        want = lax.conv_transpose(lhs, rhs, strides, "SAME")
    except Exception as theirs:
        with pytest.raises(type(theirs)):
            conv_transpose(lhs, rhs, strides, "SAME")
    else:
        close(conv_transpose(lhs, rhs, strides, "SAME"), want, 0)
