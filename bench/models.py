"""Released models end to end, with random weights: PyTorch in both layouts, compiled, ONNX Runtime, OpenVINO, tconv.

    make bench-models                                all models; writes bench/results/models-CPU-DATE.md
    python bench/models.py --models smp_unet dac --contenders torch torch_cl tconv --rounds 3 -o out/models.md
    python bench/models.py --dtype bfloat16          the same in half precision; "autocast" is float32 under autocast

The models are those of `pip install '.[models]'`, made from their settings; a few that no package has are written from
their papers. Every contender sits in a process of its own, and they take turns; times are medians over the rounds, of a
batch of one image, volume or sentence. Errors are the largest ones, relative to the largest value of the tensor, over
all tensors that a model returns, against the same model in double precision; where that fails, or where the model draws
random numbers, against eager PyTorch (ONNX Runtime and OpenVINO draw others: their errors then say nothing). "Ready" is
how long `accelerate`, `torch.compile` or a conversion takes, with the first run. Memory is the peak of a process that
makes the model, gets ready and runs it once. "tconv_direct" is tconv without Winograd's algorithm. In half precision
the weights are rounded to it before anybody sees them; ONNX Runtime has no such kernels for CPUs, and OpenVINO is told
to compute in bfloat16 from float32 weights.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arguments import check
from contenders import CONTENDERS
from precision import PRECISIONS
from race import LIMIT, Worker, measure
from tables import model_table, summary, versions
from zoo import MODELS

from tconv.benchmark import machine
from tconv.benchmark.process import Failed, serve

PROGRAM = (str(Path(__file__).resolve()), "--serve")
EXTRA = ("swapped", "folded", "onnx_optimized", "onnx_loaded")  # which bench/folds.py and bench/onnx_models.py race
DEFAULT = [name for name in CONTENDERS if name not in (*EXTRA, "tconv_direct")]
WITHOUT_HALF = ("onnxruntime",)


def heading(rounds: int, threads: int, models: list[str], dtype: str) -> tuple[str, str]:
    """The beginning of a results file's name, and of its text."""
    about = machine.about(datetime.now(UTC), rounds, threads, None)
    facts = {"dtype": dtype} | about | versions({name: MODELS[name] for name in models})
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    *_, how = (__doc__ or "").strip().split("\n\n")
    return machine.file_stem(about, None), f"# Models end to end\n\n{how}\n\n{listed}\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    choices = [name for name in CONTENDERS if name not in EXTRA]
    parser.add_argument("--contenders", nargs="+", choices=choices, metavar="CONTENDER")
    parser.add_argument(
        "--dtype", choices=PRECISIONS, default="float32", help="of weights and inputs (default float32)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default 5)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"seconds to get ready (default {LIMIT})")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    check(parser, options, rounds=1, threads=1, limit=1)
    without = () if options.dtype == "float32" else WITHOUT_HALF
    options.contenders = options.contenders or [name for name in DEFAULT if name not in without]
    return options


def main() -> None:
    options = arguments()
    stem, text = heading(options.rounds, options.threads, options.models, options.dtype)
    kind = "" if options.dtype == "float32" else f"-{options.dtype}"
    path = options.out or Path(__file__).parent / "results" / f"models{kind}-{stem}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    races: dict[str, Any] = {}
    tables, missing = "", ""
    for name in options.models:
        try:
            program = (*PROGRAM, options.dtype)
            races[name] = measure(program, name, options.contenders, options.rounds, options.threads, options.limit)
        except Failed as error:  # the model cannot be made, for its package is missing, or PyTorch cannot run it
            missing += f"\n{name} could not be made: {error}\n"
            print(f"{name} could not be made: {error}", flush=True)
            continue
        table = model_table(name, MODELS[name], races[name])
        tables += "\n" + table
        print(table, flush=True)
        # After each model, so that a run that is broken off keeps what it has.
        path.write_text(f"{text}\n## All models\n\n{summary(races)}{missing}\n## Each model\n{tables}")
    print(f"{summary(races)}\nwritten to {path}" if races else "no model could be made: nothing is written")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _, _, dtype, model, expected, limit, contender, threads = sys.argv
        serve(lambda: Worker(MODELS[model], contender, int(threads), expected, int(limit), dtype), int(threads))
    else:
        main()
