"""Crops, batches, normalisation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tconv.segmentation import synthetic
from tconv.segmentation.data.augment import Augmentation, generator
from tconv.segmentation.data.check import check
from tconv.segmentation.data.dataset import Batches, Samples, measure


@pytest.mark.parametrize("flip", ["none", "both"])
def test_image_and_mask_go_together(flip: str) -> None:
    classes = torch.from_numpy(next(synthetic.SETS["cells"][0](1, 96, 3, "train"))[1])
    image = classes[None].float()
    augmentation = Augmentation(64, flip=flip, light=0, noise=0)
    crops = [augmentation(image, classes, generator(0, 0, n)) for n in range(20)]
    for crop, mask in crops:
        assert crop.shape == (1, 64, 64) and mask.dtype == torch.int64
        kept = mask != 255
        agreement = ((crop[0].round() == mask) | ~kept).float().mean()
        assert agreement > 0.93  # bilinear and nearest differ along edges only
    again = augmentation(image, classes, generator(0, 0, 3))
    assert torch.equal(again[0], crops[3][0]) and not torch.equal(crops[3][0], crops[4][0])


def test_an_augmentation_that_does_nothing() -> None:
    image, mask = torch.randn(3, 40, 40), torch.randint(0, 3, (40, 40), dtype=torch.uint8)
    crop, classes = Augmentation(40, zoom=0, turn=0, light=0, noise=0)(image, mask, generator(0, 0, 0))
    torch.testing.assert_close(crop, image, atol=1e-4, rtol=1e-4)
    assert torch.equal(classes, mask.long())


def test_beyond_a_small_image_nothing_is_learned() -> None:
    image, mask = torch.zeros(1, 20, 20), torch.ones(20, 20, dtype=torch.uint8)
    _, classes = Augmentation(40, zoom=0, turn=0)(image, mask, generator(0, 0, 0))
    assert sorted(classes.unique().tolist()) == [1, 255] and (classes == 1).sum() == 400


def test_batches_are_the_same_wherever_they_are_made(folder: Path) -> None:
    found = check(folder)
    assert found.legend is not None
    samples = Samples(found.items, found.legend, measure(found.items, 1))
    one = Batches(samples, Augmentation(32), 4, seed=1)
    two = [Batches(samples, Augmentation(32), 2, 1, processes=2, rank=rank) for rank in (0, 1)]
    assert one.steps() == two[0].steps() == 1
    whole, parts = one.make(9, 0), [batches.make(9, 0) for batches in two]
    assert torch.equal(whole[0], torch.cat([part[0] for part in parts]))
    assert torch.equal(next(one.epoch(9))[1], whole[1])
    assert not torch.equal(one.make(10, 0)[0], whole[0])
    image, classes = samples.whole(0)
    assert image.shape == (1, 48, 48) and classes.shape == (48, 48)
    stack = torch.cat([samples.whole(n)[0].flatten() for n in range(6)])
    assert stack.mean().abs() < 1e-4 and stack.std() == pytest.approx(1, abs=1e-3)


def test_crops_are_changed_once_images_are_known(folder: Path) -> None:
    """Four crops per epoch of six images: before epoch 8 none was seen five times."""
    found = check(folder)
    assert found.legend is not None
    samples = Samples(found.items, found.legend, measure(found.items, 1))
    changed = Augmentation(32, flip="both")
    batches = Batches(samples, changed, 4, seed=1)
    plain = Batches(samples, Augmentation(32, 0, 0, "both", 0, 0), 4, seed=1)
    assert changed.plain() == plain.augmentation
    same = [torch.equal(batches.make(epoch, 0)[0], plain.make(epoch, 0)[0]) for epoch in (0, 7, 8)]
    assert same == [True, True, False]
