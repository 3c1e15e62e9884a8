"""`jax.lax.conv_transpose` is exchanged within a block, in nested blocks, for good, and is JAX's own again."""

from __future__ import annotations

from threading import Thread

import jax
import jax.numpy as jnp
import pytest

import tconv.jax
from tconv.jax.operator import OWN_GENERAL, OWN_TRANSPOSE
from tconv.jax.primitive import NAME


def traced() -> str:
    call = jax.jit(lambda x, w: jax.lax.conv_transpose(x, w, (2,), "SAME"))
    return call.lower(jnp.ones((1, 5, 2)), jnp.ones((3, 2, 4))).as_text()


def test_a_block() -> None:
    assert NAME not in traced()
    with tconv.jax.patched():
        assert NAME in traced()
        with tconv.jax.patched():
            assert NAME in traced()
        assert NAME in traced()
        assert jax.lax.conv_general_dilated is tconv.jax.conv_general_dilated
    assert jax.lax.conv_transpose is OWN_TRANSPOSE
    assert jax.lax.conv_general_dilated is OWN_GENERAL


def test_an_error_ends_a_block_as_well() -> None:
    with pytest.raises(ZeroDivisionError), tconv.jax.patched():
        _ = 1 // 0
    assert jax.lax.conv_transpose is OWN_TRANSPOSE


def test_for_good() -> None:
    tconv.jax.install()
    with tconv.jax.patched():
        pass
    assert jax.lax.conv_transpose is tconv.jax.conv_transpose
    tconv.jax.uninstall()
    tconv.jax.uninstall()
    assert jax.lax.conv_transpose is OWN_TRANSPOSE


def test_blocks_of_several_threads_end_in_any_order() -> None:
    first = tconv.jax.patched()
    first.__enter__()
    seen = []

    def other() -> None:
        with tconv.jax.patched():
            seen.append(jax.lax.conv_transpose)

    thread = Thread(target=other)
    thread.start()
    thread.join()
    assert jax.lax.conv_transpose is tconv.jax.conv_transpose is seen[0]
    first.__exit__(None, None, None)
    assert jax.lax.conv_transpose is OWN_TRANSPOSE
