"""Code that calls JAX's functions, as Flax's and Keras's layers do, gets tconv's within a block or for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import jax

from tconv.jax.operator import OWN_GENERAL, OWN_TRANSPOSE, conv_general_dilated, conv_transpose

_NAMES = (
    ("conv_transpose", conv_transpose, OWN_TRANSPOSE),
    ("conv_general_dilated", conv_general_dilated, OWN_GENERAL),
)

_lock = Lock()
_installed = False
_blocks = 0


@contextmanager
def patched() -> Iterator[None]:
    """Within `with patched():`, JAX's functions are those of `tconv.jax`, in all threads.

    What counts is where a function is traced: a function that jit has compiled before goes on as it was, and one that
    was traced within the block keeps tconv's operator. Code that took a function out of jax.lax before, by
    `from jax.lax import conv_transpose`, keeps JAX's.

    >>> with patched():
    ...     jax.lax.conv_transpose is conv_transpose
    True
    """
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def install() -> None:
    """Make `jax.lax`'s functions tconv's in the whole process until `uninstall`; see `patched`.

    >>> install()
    >>> jax.lax.conv_transpose is conv_transpose
    True
    >>> uninstall()
    """
    _put(True)


def uninstall() -> None:
    """Undo `install`; nothing happens if it was not called."""
    _put(False)


def _count(more: int) -> None:
    global _blocks
    with _lock:
        _blocks += more
        _show()


def _put(installed: bool) -> None:
    global _installed
    with _lock:
        _installed = installed
        _show()


def _show() -> None:
    ours = _installed or _blocks
    for name, function, own in _NAMES:
        setattr(jax.lax, name, function if ours else own)
