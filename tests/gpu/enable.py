"""List this card and this Triton among those that the engine for GPUs is used on: `make enable-gpu`, after its tests.

It is no test: it writes `enabled.json`. With --gradients, calls that need gradients run on the engine, too, which is to
be said only where `make bench-gpu` has measured that training gains.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

import torch

from tconv.nn.engines.triton import enabled
from tconv.nn.engines.triton.cards import card


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gradients", action="store_true", help="training was measured to be faster, too")
    gradients = parser.parse_args().gradients
    triton = enabled.installed()
    if not torch.cuda.is_available() or triton is None:
        sys.exit("enable.py: PyTorch sees no GPU here, or there is no Triton")
    found = card(torch.device("cuda", torch.cuda.current_device()))
    pair = enabled.Pair(
        found.architecture, triton, found.name, f"{datetime.now(UTC):%Y-%m-%d}", enabled.digest(), gradients
    )
    print(f"{pair} is listed in {enabled.add(pair)}")


if __name__ == "__main__":
    main()
