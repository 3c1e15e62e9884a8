"""The models that bench/models.py races: those of released packages, with random weights."""

from __future__ import annotations

from zoo.entry import Entry, Example, Made, counts, made
from zoo.images import IMAGES
from zoo.papers import PAPERS
from zoo.sound import SOUND
from zoo.volumes import VOLUMES

__all__ = ["MODELS", "Entry", "Example", "Made", "counts", "made"]

MODELS: dict[str, Entry] = IMAGES | VOLUMES | SOUND | PAPERS
