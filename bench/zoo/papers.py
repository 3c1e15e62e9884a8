"""Models that no maintained package has, written from their papers."""

from __future__ import annotations

from papers import dcgan, fsrcnn

from zoo.entry import Entry

PAPERS = {
    "dcgan": Entry("", "generator of Radford et al. 2016; 64 x 100 x 1 x 1", dcgan),
    "fsrcnn": Entry("", "Dong et al. 2016, three times; 1 x 1 x 240 x 320", fsrcnn),
}
