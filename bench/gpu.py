"""tconv's engine for GPUs on the card that is here: layers and networks beside PyTorch and the card's own limits.

    make bench-gpu                              at most five minutes; writes bench/results/gpu-CARD-DATE.md and .json
    python bench/gpu.py --tune                  which tiles are fastest, into the table of choices for this card
    python bench/gpu.py --dry-run -o out        all of it on the CPU in Triton's interpreter, with tiny layers; no time
                                                means anything there

Device times are medians of replays of a CUDA graph, each after other memory was read, so that caches are cold; the time
until a call returns is measured beside. Layers are those of `tconv bench`, with one batch and sixteen, PyTorch in both
memory layouts with cudnn.benchmark, and for some torch.compile with all it tries; precision is the same on both sides.
Networks have random weights and are written from their descriptions. The engine is used whether it is proven here or
not; results are held to PyTorch's, and what differs by more than some roundings is listed as wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SECTIONS = ("layers", "networks", "training")
# Of the time that is left: compiling kernels side by side, then layers, then networks; training has the rest.
SHARES = {"compile": 0.25, "layers": 0.5, "networks": 0.8}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=290, help="how long it may take (default 290)")
    parser.add_argument("--dtypes", nargs="+", default=["float16", "tf32"], choices=PRECISIONS, metavar="DTYPE")
    parser.add_argument("--sections", nargs="+", default=list(SECTIONS), choices=SECTIONS, metavar="SECTION")
    parser.add_argument("--tune", action="store_true", help="measure choices of tiles, in place of the sections")
    parser.add_argument("--tables", type=Path, help="folder for the table of choices (default: the package's)")
    parser.add_argument("--without-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with tiny layers")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    if options.seconds < 1:
        parser.error(f"--seconds {options.seconds} must be at least 1")
    if options.dry_run and (options.out == RESULTS or (options.tune and options.tables is None)):
        parser.error("--dry-run means nothing: its files belong elsewhere; name a folder with -o (and --tables)")
    return options


PRECISIONS = ("float16", "bfloat16", "tf32", "float32")


def main() -> None:
    start = time.monotonic()
    options = arguments()
    os.environ["TCONV_STRICT"] = "1"  # a call that the engine does not take has no time
    if options.dry_run:
        os.environ["TRITON_INTERPRET"] = "1"  # before anything imports Triton
    else:
        os.environ.setdefault("TCONV_TRITON", "try")
    import torch

    if options.dry_run:
        from tconv.nn.engines.triton.interpreted import compute_on_the_cpu

        torch.set_num_threads(1)
        compute_on_the_cpu()
    elif not torch.cuda.is_available():
        sys.exit("bench/gpu.py: PyTorch sees no GPU here; --dry-run runs it without one")
    run(options, start)


def run(options: argparse.Namespace, start: float) -> None:
    """Measure, and write after each part, so that a run that is broken off keeps what it has."""
    import torch
    from on_gpu import device, layers, models, tables, training, tuning

    torch.backends.cudnn.benchmark = True
    clock = device.Clock(options.dry_run)
    facts = device.about(clock, f"{datetime.now(UTC):%Y-%m-%d}")
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
    found: dict[str, Any] = {"rows": [], "networks": [], "steps": [], "tuned": []}
    limits = device.ceilings(clock)
    end = start + options.seconds

    def until(part: str) -> float:
        now = time.monotonic()
        return now + SHARES[part] * (end - now)

    def write() -> Path:
        path = options.out / f"{device.file_stem(facts)}{'-tuning' * options.tune}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        *_, how = (__doc__ or "").strip().split("\n\n")
        path.write_text(tables.report(facts, limits, *found.values(), how))
        data = {name: [each.as_json() for each in values] for name, values in found.items()}
        path.with_suffix(".json").write_text(json.dumps({"about": facts, "limits": vars(limits), **data}, indent=1))
        return path

    wanted = [task for _, _, task in tuning.tasks(clock, options.dtypes)]
    if options.tune or "layers" in options.sections:
        done = tuning.compile_ahead(clock, wanted, options.tune, until("compile"))
        print(f"compiled ahead: {done} of {len(dict.fromkeys(wanted))} tasks", flush=True)
    if options.tune:
        found["tuned"] = tuning.tune(clock, options.dtypes, end)
        folder = options.tables or tuning.choices.TABLES
        said = f"{facts['card']}, {facts['date']}, Triton {facts['triton']}, PyTorch {facts['torch']}"
        print(f"written to {tuning.save(clock, found['tuned'], folder, said)}")
    else:
        compiled = not options.without_compile
        if "layers" in options.sections:
            found["rows"] = layers.measure_all(clock, limits, options.dtypes, until("layers"), compiled)
            write()
        if "networks" in options.sections:
            found["networks"] = models.measure_all(clock, "float16", until("networks"), compiled)
            write()
        if "training" in options.sections:
            found["steps"] = training.measure_all(clock, "float16", end)
    print(f"{tables.summary(found['rows'])}\nwritten to {write()}, after {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
