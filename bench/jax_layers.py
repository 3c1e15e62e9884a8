"""JAX: transposed convolutions by jax.lax and by tconv.jax, forwards and with gradients, and two Flax networks.

    python bench/jax_layers.py                             all published layers; writes bench/results/jax-CPU-DATE.md
    python bench/jax_layers.py --only U-Net --rounds 3 --dtype bfloat16 -o out/jax.md

Every layer is a jitted function of input, kernel and bias, channels-last as Flax's are; layers with groups are
`conv_general_dilated` with a dilated input, the others `conv_transpose`. With gradients: the sum of the squared results
is differentiated for kernel, bias and input, as in training. The kernel is an argument, so that tconv looks at its
numbers in each call. Each contender sits in a process of its own; they take turns; times are medians over the rounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from arguments import check, layers

from tconv.benchmark import machine
from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.process import Contestant, Failed, serve
from tconv.benchmark.suite import Case

HERE = Path(__file__).resolve().parent
CONTENDERS = ("jax.lax", "tconv.jax")


def layer(case: Case, contender: str, dtype: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function and its arguments; the kernel is laid out for JAX, whose taps run the other way."""
    import jax
    import jax.numpy as jnp

    import tconv.jax

    letters, one = "DHW"[3 - case.ndim :], (1,) * case.ndim
    weight, bias = case.parameters()
    grouped = weight.reshape(case.groups, -1, *weight.shape[1:])
    turned = np.flip(grouped, tuple(range(3, grouped.ndim)))
    kernel = np.moveaxis(turned, (1, 0, 2), (-3, -2, -1)).reshape(*weight.shape[2:], -1, case.out_channels)
    padding = [(axis.extent - 1 - axis.crop_lo, axis.extent - 1 - axis.crop_hi) for axis in case.geometry.axes]
    steps, holes = (case.stride,) * case.ndim, (case.dilation,) * case.ndim
    module: Any = jax.lax if contender == "jax.lax" else tconv.jax
    if case.groups > 1:
        convolve = partial(
            module.conv_general_dilated, window_strides=one, padding=padding, lhs_dilation=steps, rhs_dilation=holes,
            dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"), feature_group_count=case.groups,
        )  # fmt: skip
    else:
        convolve = partial(module.conv_transpose, strides=steps, padding=padding, rhs_dilation=holes)
    arrays = np.moveaxis(case.input(), 1, -1), kernel, bias
    return lambda x, w, b: convolve(x, w) + b, tuple(jnp.asarray(array).astype(dtype) for array in arrays)


class Worker:
    """One contender; times are in seconds."""

    def __init__(self, contender: str, dtype: str) -> None:
        self._contender, self._dtype = contender, dtype
        self._run: dict[str, Callable[[], Any]] = {}

    def prepare(self, case: Case) -> dict[str, float]:
        """Get ready; the relative error of the result, against double precision."""
        import jax

        import tconv

        function, arrays = layer(case, self._contender, self._dtype)

        def loss(*arrays: Any) -> Any:
            return (function(*arrays).astype("float32") ** 2).sum()

        forward, trained = jax.jit(function), jax.jit(jax.value_and_grad(loss, (0, 1, 2)))
        self._run = {"forward": partial(forward, *arrays), "gradients": partial(trained, *arrays)}
        x, (w, b) = case.input(), case.parameters()
        want = tconv.prepare(w.astype("f8"), b.astype("f8"), case.geometry, case.groups)(x.astype("f8"))
        found = np.moveaxis(np.asarray(self._run["forward"](), np.float64), -1, 1)
        jax.block_until_ready(self._run["gradients"]())
        return {"error": float(np.linalg.norm(found - want) / np.linalg.norm(want))}

    def network(self, number: int) -> dict[str, float]:
        import flax.linen
        import jax
        from jax_networks import NETWORKS, made

        from tconv.jax import nn

        up = flax.linen.ConvTranspose if self._contender == "jax.lax" else nn.ConvTranspose
        model, variables, x = made(list(NETWORKS)[number], up)
        self._run = {"forward": partial(jax.jit(model.apply), variables, x)}
        y = np.asarray(self._run["forward"](), np.float64)
        return {"checksum": float(np.sqrt((y**2).mean()))}

    def first_network(self) -> dict[str, float]:
        return self.network(0)

    def second_network(self) -> dict[str, float]:
        return self.network(1)

    def forward(self) -> dict[str, float]:
        return {"seconds": self._seconds("forward")}

    def gradients(self) -> dict[str, float]:
        return {"seconds": self._seconds("gradients")}

    def _seconds(self, what: str) -> float:
        import jax

        return median(seconds_of_calls(lambda: jax.block_until_ready(self._run[what]()), 0.1))


def race(
    prepare: str, what: tuple[str, ...], contestants: list[Contestant], rounds: int, case: Case | None = None
) -> dict[str, Any]:
    """The answers of each contender to `prepare`, and its median seconds of each kind of turn."""
    found: dict[str, Any] = {one.name: dict(one.ask(prepare, case)) for one in contestants}
    turns: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        for one in contestants[number % 2 :] + contestants[: number % 2]:
            for kind in what:
                turns.setdefault((one.name, kind), []).append(one.ask(kind)["seconds"])
    for (name, kind), seconds in turns.items():
        found[name][kind] = median(seconds)
    return found


def anew(prepare: str, threads: int, program: tuple[str, ...], processes: int = 7) -> dict[str, Any]:
    """The median forward seconds of each contender over fresh processes, which take turns.

    Where a process has its memory may change the time of a whole network by a fifth, for as long as it lives.
    """
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(processes):
        for name in CONTENDERS[:: 1 if number % 2 else -1]:
            with Contestant(name, threads, program=program) as one:
                one.ask(prepare)
                seconds[name].append(median(one.ask("forward")["seconds"] for _ in range(3)))
    return {name: {"forward": median(each)} for name, each in seconds.items()}


def ratio(found: dict[str, Any], kind: str) -> float:
    return float(found["jax.lax"][kind] / found["tconv.jax"][kind])


def mean(rows: dict[str, Any], kind: str) -> str:
    ratios = [ratio(found, kind) for found in rows.values()]
    below = sorted(name for name, found in rows.items() if ratio(found, kind) < 0.95)
    return (
        f"{kind}: geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}, largest {max(ratios):.0f}; "
        f"below 0.95: {', '.join(below) or 'none'}"
    )


def document(layers: dict[str, Any], networks: dict[str, Any], about: dict[str, Any], failed: list[str]) -> str:
    lines = [f"# JAX, {about.pop('dtype')}", "", *(f"- {name}: {value}" for name, value in about.items()), ""]
    lines += [
        "How many times as fast tconv.jax is as jax.lax:",
        "",
        *(f"- {mean(layers, k)}" for k in ("forward", "gradients")),
    ]
    lines += [
        "",
        "| layer | jax.lax ms | tconv.jax ms | times | with gradients: jax.lax ms | tconv.jax ms | times | errors |",
    ]
    lines.append("| --- " * 8 + "|")
    for name, found in layers.items():
        cells = [name]
        for kind in ("forward", "gradients"):
            cells += [f"{found[c][kind] * 1e3:.3g}" for c in CONTENDERS] + [f"{ratio(found, kind):.2f}"]
        cells.append(", ".join(f"{found[c]['error']:.1e}" for c in CONTENDERS))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *failed]
    if networks:
        lines += ["", "| network in Flax | jax.lax ms | tconv.jax ms | times |", "| --- | --- | --- | --- |"]
        for name, found in networks.items():
            times = " | ".join(f"{found[c]['forward'] * 1e3:.1f}" for c in CONTENDERS)
            lines.append(f"| {name} | {times} | {ratio(found, 'forward'):.2f} |")
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    check(parser, options, rounds=1, threads=1)
    cases = layers(parser, [options.only] if options.only else [])
    program = (str(Path(__file__).resolve()), "--contender", options.dtype)
    results, networks, failed = {}, {}, []
    with ExitStack() as stack:
        contestants = [stack.enter_context(Contestant(c, options.threads, program=program)) for c in CONTENDERS]
        for case in cases:
            try:
                results[case.name] = race("prepare", ("forward", "gradients"), contestants, options.rounds, case)
            except Failed as error:
                failed.append(f"{case.name}: {error}")
                continue
            print(
                case.name,
                *(f"{kind} {ratio(results[case.name], kind):.2f}" for kind in ("forward", "gradients")),
                flush=True,
            )
        if not options.only and options.dtype == "float32":
            from jax_networks import NETWORKS

            for name, prepare in zip(NETWORKS, ("first_network", "second_network"), strict=True):
                networks[name] = anew(prepare, options.threads, program)
                print(name, f"{ratio(networks[name], 'forward'):.2f}", flush=True)
    now = datetime.now(UTC)
    about = machine.about(now, options.rounds, options.threads, None) | {"dtype": options.dtype}
    text = document(results, networks, about, failed)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--contender"]:
        dtype, contender, threads = sys.argv[2:]
        sys.path.insert(0, str(HERE))
        serve(lambda: Worker(contender, dtype), int(threads))
    else:
        main()
