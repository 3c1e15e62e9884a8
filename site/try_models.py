"""Runs what the how-tos say in Python about packages that the tests do not bring: `make docs-models`.

python site/try_models.py [PAGE ...]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SITE = Path(__file__).parent
PAGES = SITE / "pages" / "how-to"
sys.path.insert(0, str(SITE.parent / "bench"))


def run(page: Path) -> None:
    """All blocks of a page, one after another, as a reader would paste them."""
    from tconv.segmentation.encoders import know_torchvision

    know_torchvision()  # as for the benchmarks, where it was not built for this PyTorch
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, 1):
        print(f"{page.name}, block {number} of {len(blocks)}", flush=True)
        exec(compile(block, page.name, "exec"), names)


if __name__ == "__main__":
    for stem in sys.argv[1:] or sorted(path.stem for path in PAGES.glob("speed-up-*.md")):
        run(PAGES / f"{stem}.md")
