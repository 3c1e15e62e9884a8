"""The two photographs of the page, `web/photos.js`, which says where they come from: one file for page and pictures."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

import numpy as np

from tconv.arrays import Array

PIXELS = 96


@lru_cache(maxsize=2)
def photograph(name: str) -> Array:
    """The portrait or the cat, (96, 96), grey levels from 0, black, to 1, white."""
    written = (files("tconv.explorer") / "web" / "photos.js").read_text(encoding="utf-8")
    letters = re.search(r'LEVELS = "(.*)"', written)
    lines = re.search(rf'  {name}:\n((?:  "[^"]*" ?\+?,?\n)+)', written)
    assert letters and lines
    level = {letter: n for n, letter in enumerate(letters[1])}
    grey = [level[letter] for letter in "".join(re.findall(r'"([^"]*)"', lines[1]))]
    image = np.reshape(grey, (PIXELS, PIXELS)) / (len(level) - 1)
    image.flags.writeable = False  # as it is kept
    return image
