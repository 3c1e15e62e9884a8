"""The core's threads inside JAX: XLA's own, however many calls there are at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tconv.jax import conv_transpose

COUNTED = """
import os
import jax, jax.numpy as jnp
import tconv, tconv.jax

tconv.set_num_threads(4)
x, w = jnp.ones((1, 48, 48, 96)), jnp.ones((4, 4, 96, 48))
jax.block_until_ready(jax.lax.conv_transpose(x, w, (2, 2), "SAME"))
before = len(os.listdir("/proc/self/task"))
jax.block_until_ready(jax.jit(lambda x, w: tconv.jax.conv_transpose(x, w, (2, 2), "SAME"))(x, w))
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_no_further_thread_is_started() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_calls_from_many_threads() -> None:
    rng = np.random.default_rng(0)
    weight = jnp.asarray(rng.normal(size=(4, 4, 48, 32)), "float32")
    inputs = [jnp.asarray(rng.normal(size=(1, 24, 24, 48)), "float32") for _ in range(8)]
    run = jax.jit(lambda x: conv_transpose(x, weight, (2, 2), "SAME"))
    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(lambda number: run(inputs[number % 8]), range(64)))
    for number, y in enumerate(results):
        want = lax.conv_transpose(inputs[number % 8], weight, (2, 2), "SAME")
        assert np.abs(y - want).max() <= 2e-6 * np.abs(want).max()
