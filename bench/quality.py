"""How good a training is beside a plain loop, at equal wall time: the table of docs/quality.md.

    python bench/quality.py                                          three sets, 1, 3 and 10 minutes: about two hours
    python bench/quality.py --sets cells --minutes 1 -o out/quality.md

`tconv segment train DATA -o RUN --minutes M`, with nothing else said, against a plain loop (AdamW, flips,
cross-entropy; U-Net of the same widths, crops and batch) and, where segmentation-models-pytorch is installed, its
Unet(resnet18) without weights in the same loop. Each runs alone, one after the other, on as many threads;
the wall time is that of the training, reading of the data included, and the seconds of tconv are those of the whole command
with its start. The mean IoU is that of images which none of them has seen (`make-data --part test`), predicted as `tconv
segment predict` does; "network alone" is the same run without what it chose at its end: flips, the smallest piece, holes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from tconv.benchmark import machine

HERE = Path(__file__).resolve().parent
SETS = ("digits", "cells", "fabric")
IMAGES, UNSEEN = {"digits": 600, "cells": 120, "fabric": 240}, 80
MEASURE = """
import json, sys
from dataclasses import replace
from tconv.segmentation import load
from tconv.segmentation.data.check import check
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.predict.whole import classes_of
from tconv.segmentation.ensemble import assemble
model, card = load(sys.argv[1])
found = check(__import__("pathlib").Path(sys.argv[2]))
networks = {"plain": (model, replace(card, finish={})), "finished": assemble([(model, card)])}
result = {"arguments": dict(card.arguments), "size": card.size}
for name, (network, about) in networks.items():
    total = Confusion.empty(len(card.classes))
    for item in found.items:
        classes = classes_of(network, about, item.pair.image)
        total += Confusion.of(found.legend.classes(read_mask(item.pair.mask)), classes, len(card.classes))
    result[name] = total.mean_iou
print(json.dumps(result))
"""


def run(command: list[str], threads: int) -> tuple[str, float]:
    """What a command prints, and the seconds it took."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    begun = perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return done.stdout, perf_counter() - begun


def compare(kind: str, times: list[float], place: Path, threads: int) -> Iterator[dict[str, Any]]:
    """A row per contender and time."""
    data, unseen = place / kind, place / f"{kind}_test"
    for minutes in times:
        trained = place / f"{kind}_{minutes:g}"
        tconv = [sys.executable, "-m", "tconv.segmentation.train", str(data), "-o", str(trained)]
        _, seconds = run([*tconv, "--minutes", f"{minutes:g}"], threads)
        found = json.loads(run([sys.executable, "-c", MEASURE, str(trained), str(unseen)], threads)[0])
        features = ",".join(map(str, found["arguments"]["features"]))
        batch = next(line.split("=")[1].strip() for line in (trained / "settings.toml").read_text().splitlines()
                     if line.startswith("batch ="))  # fmt: skip
        row = {"set": kind, "minutes": minutes, "seconds": seconds}
        yield row | {"who": "tconv", "mean_iou": found["finished"]}
        yield row | {"who": "tconv, network alone", "mean_iou": found["plain"]}
    # What tconv chooses is the same for all times up to an hour, so one run of the others is measured at all of them.
    same = ["--minutes", *(f"{minutes:g}" for minutes in times), "--size", str(found["size"]), "--batch", batch]
    loop = [sys.executable, str(HERE / "plain_loop.py"), str(data), str(unseen), *same, "--features", features]
    others = {"plain loop": loop}
    if find_spec("segmentation_models_pytorch"):
        others["smp Unet(resnet18)"] = [*loop, "--smp", "resnet18"]
    for who, command in others.items():
        for line in run(command, threads)[0].splitlines():
            yield {"set": kind, "who": who} | json.loads(line)


def table(rows: list[dict[str, Any]], threads: int) -> str:
    """The document."""
    about = machine.about(datetime.now(UTC), 1, threads, None)
    listed = "\n".join(f"- {name}: {value}" for name, value in about.items() if name != "rounds")
    how = (__doc__ or "").strip().split("\n\n")[-1]
    lines = ["| set | minutes | network | mean IoU | seconds |", "| --- | ---: | --- | ---: | ---: |"]
    lines += [
        f"| {row['set']} | {row['minutes']:g} | {row['who']} | {row['mean_iou']:.3f} | {row['seconds']:.0f} |"
        for row in sorted(rows, key=lambda row: (SETS.index(row["set"]), row["minutes"]))
    ]
    return f"# Quality beside a plain loop\n\n{how}\n\n{listed}\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 3, 10])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, default=HERE.parent / "docs" / "quality.md")
    options = parser.parse_args()
    rows = []
    with TemporaryDirectory() as name:
        place = Path(name)
        for kind in options.sets:
            make = [sys.executable, "-m", "tconv", "segment", "make-data", kind]
            run([*make, str(place / kind), "-n", str(IMAGES[kind])], options.threads)
            run([*make, str(place / f"{kind}_test"), "-n", str(UNSEEN), "--part", "test"], options.threads)
            for row in compare(kind, sorted(options.minutes), place, options.threads):
                rows.append(row)
                print(row, flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(table(rows, options.threads), encoding="utf-8")


if __name__ == "__main__":
    main()
