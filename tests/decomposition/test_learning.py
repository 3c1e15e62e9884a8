"""Kernels that are learned: what was planted is found again, the objective never rises, and any images will do."""

from __future__ import annotations

import signal
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from decomposition.problems import Array, kernels

from tconv.decomposition import ConvDictionaryLearning, ConvSparseCoder, MiniBatchConvDictionaryLearning
from tconv.decomposition.coding import Coding
from tconv.decomposition.dictionary import improve
from tconv.decomposition.frame import frame
from tconv.decomposition.statistics import Statistics, spread


def planted(count: int = 4, seed: int = 0, images: int = 3, size: int = 60) -> tuple[Array, Array]:
    """Images of few atoms of smooth random kernels with a clear centre, and these kernels."""
    rng = np.random.default_rng(seed)
    d = rng.standard_normal((count, 1, 7, 7)) * np.hanning(9)[1:-1] * np.hanning(9)[1:-1, None]
    d /= np.linalg.norm(d.reshape(count, -1), axis=1)[:, None, None, None]
    z = (rng.random((images, count, size + 6, size + 6)) < 0.004) * rng.choice(
        [-1.0, 1.0], (images, count, size + 6, size + 6)
    )
    return ConvSparseCoder(d).inverse_transform(z), d


def likeness(one: Array, other: Array) -> float:
    """The largest correlation of two kernels over all shifts, whatever the sign."""
    size = [2 * n for n in one.shape]
    spectrum = np.fft.rfft2(one, size) * np.conj(np.fft.rfft2(other, size))
    return float(np.abs(np.fft.irfft2(spectrum, size)).max() / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("batches", [False, True])
def test_planted_kernels_are_found_again(batches: bool) -> None:
    s, d = planted(images=8 if batches else 3)
    learner: Any
    if batches:
        learner = MiniBatchConvDictionaryLearning(6, 9, 0.05, batch_size=8, forget=20, max_iter=60, random_state=1)
    else:
        learner = ConvDictionaryLearning(6, 9, 0.05, max_iter=100, tol=1e-5, random_state=1)
    learner.fit(s)
    found = [max(likeness(own[0], one[0]) for one in learner.components_) for own in d]
    assert min(found) > 0.98, found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_the_objective_never_rises(dtype: Any, masked: bool) -> None:
    s, _ = planted(size=40)
    mask = np.random.default_rng(0).random(s.shape) < 0.8 if masked else None
    learner = ConvDictionaryLearning(5, 7, 0.05, max_iter=15, tol=0, random_state=0).fit(s.astype(dtype), mask=mask)
    found = learner.objectives_
    slack = 1e-6 if dtype == np.float32 else 1e-12
    assert len(found) == learner.n_iter_ + 1 and learner.objective_ == found[-1]
    assert all(after <= before * (1 + slack) for before, after in pairwise(found))
    norms = np.linalg.norm(learner.components_.reshape(5, -1), axis=1)
    assert (norms <= 1 + 1e-6).all() and learner.components_.dtype == dtype


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [((2, 1, 90), 9), ((2, 3, 24, 30), (5, 4)), ((1, 1, 9, 10, 8), 3), ((1, 2, 9, 10, 8), (3, 2, 3))],
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("make", [ConvDictionaryLearning, MiniBatchConvDictionaryLearning])
def test_any_number_of_axes_and_channels(shape: Any, kernel: Any, stride: int, make: Any) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    learner = make(4, kernel, 0.3, stride=stride, max_iter=5, random_state=0)
    z = learner.fit_transform(x)
    assert learner.components_.shape[:2] == (4, shape[1]) and z.shape[:2] == (shape[0], 4)
    rebuilt = learner.inverse_transform(z)
    assert rebuilt.shape == x.shape and np.square(x - rebuilt).sum() < np.square(x).sum()


def test_the_same_seed_gives_the_same_kernels() -> None:
    s, _ = planted(size=30)
    for make in (ConvDictionaryLearning, MiniBatchConvDictionaryLearning):
        one, two, three = (make(4, 7, 0.05, max_iter=3, random_state=seed).fit(s).components_ for seed in (1, 1, 2))
        assert np.array_equal(one, two) and not np.array_equal(one, three)


def test_kernels_to_begin_with() -> None:
    s, d = planted(size=40)
    learner = ConvDictionaryLearning(4, 7, 0.05, init=d, max_iter=5, random_state=0).fit(s)
    assert min(likeness(one[0], own[0]) for one, own in zip(learner.components_, d, strict=True)) > 0.99
    noise = ConvDictionaryLearning(4, 7, 0.05, init="random", max_iter=1, random_state=0).fit(s)
    assert learner.objectives_[1] < noise.objectives_[1]


def test_a_round_of_kernels_lowers_the_objective_by_what_it_says() -> None:
    s, _ = planted()
    begin = kernels(4, 1, 7, 7, seed=9)
    codings = [Coding(one[None], None, frame(one.shape[1:], (7, 7)), begin, False) for one in s]
    for coding in codings:
        coding.screen(0.1)
        coding.atoms.descend(0.1, False, 1)
    before = sum(coding.misfit() for coding in codings)
    steepness = np.zeros(4)
    less = improve(codings, begin, steepness)
    after = sum(coding.misfit() for coding in codings)
    assert less > 0 and before - after == pytest.approx(less, rel=1e-9)
    assert (steepness > 0).all()


def test_images_of_several_sizes_and_missing_pixels() -> None:
    s, _ = planted(images=2)
    images = [s[0], s[1][:, :40]]
    masks = [np.random.default_rng(n).random(one.shape) < 0.7 for n, one in enumerate(images)]
    holes = [np.where(known, one, np.nan) for known, one in zip(masks, images, strict=True)]
    for make in (ConvDictionaryLearning, MiniBatchConvDictionaryLearning):
        learner = make(6, 9, 0.03, max_iter=30, random_state=3).fit(holes, mask=masks)
        assert np.isfinite(learner.components_).all()
        rebuilt = learner.inverse_transform(learner.transform(holes, mask=masks))
        for known, one, whole in zip(masks, images, rebuilt, strict=True):
            assert np.square(one - whole)[~known].sum() < 0.6 * np.square(one)[~known].sum()


def test_statistics_say_what_the_codes_do() -> None:
    """A is the quadratic of the kernels, and the slope at the kernels of the codes is that of the images themselves."""
    s, d = planted(images=2, size=30)
    for stride in (1, 2):
        where = frame((30, 30), (7, 7), stride)
        coding = Coding(s, None, where, d, False)
        coding.screen(0.05)
        coding.atoms.descend(0.05, False, 2)
        found = Statistics.of(coding, 0.05)
        slope = np.empty_like(d)
        coding.atoms.correlate(slope)
        strides = (stride, stride)
        assert np.allclose(found.images - spread(found.overlaps, d, strides), slope)
        other = kernels(4, 1, 7, 7, seed=8)
        canvas = np.zeros((2, 1, *where.canvas))
        for (n, k, *place), value in np.ndenumerate(coding.codes()):
            if value:
                canvas[n, :, *(slice(stride * p, stride * p + 7) for p in place)] += value * other[k]
        assert np.vdot(other, spread(found.overlaps, other, strides)) == pytest.approx(np.square(canvas).sum())


def test_windows_and_streams() -> None:
    s, _ = planted(images=6, size=50)
    learner = MiniBatchConvDictionaryLearning(4, 7, 0.05, batch_size=2, window=32, random_state=0)
    learner.fit(one for one in s)
    assert learner.n_iter_ == 1 and learner.n_steps_ == 3 == len(learner.objectives_)
    for one in s:
        learner.partial_fit(one[None])
    assert learner.n_steps_ == 9
    assert np.mean(learner.objectives_[-3:]) < learner.objectives_[0]


def test_whole_images_in_batches_are_nearly_as_good_as_all_at_once() -> None:
    s, _ = planted(images=6, size=40)
    whole = ConvDictionaryLearning(6, 7, 0.05, max_iter=60, random_state=0).fit(s)
    batches = MiniBatchConvDictionaryLearning(6, 7, 0.05, batch_size=2, max_iter=20, random_state=0).fit(s)
    found = [ConvSparseCoder(one.components_, 0.05) for one in (whole, batches)]
    for coder in found:
        coder.transform(s)
    assert found[1].objective_ < 1.15 * found[0].objective_


@pytest.mark.parametrize("make", [ConvDictionaryLearning, MiniBatchConvDictionaryLearning])
def test_an_interrupt_keeps_what_was_learned(make: Any) -> None:
    x = np.random.default_rng(0).standard_normal((4, 1, 100, 100))
    more = {"tol": 0.0} if make is ConvDictionaryLearning else {}
    learner = make(8, 7, 0.3, max_iter=10**6, random_state=0, **more)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins with it ignored
    timer = threading.Timer(2.0, signal.raise_signal, [signal.SIGINT])
    timer.start()
    learner.fit(x)
    timer.join()
    assert learner.interrupted_ and learner.components_.shape == (8, 1, 7, 7)
    assert np.isfinite(learner.components_).all()


def test_a_cluster_learns_the_same() -> None:
    from distributed import Client, LocalCluster

    s, _ = planted(images=5, size=40)
    alone = MiniBatchConvDictionaryLearning(4, 7, 0.05, batch_size=3, max_iter=2, random_state=0).fit(s)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        learner = MiniBatchConvDictionaryLearning(4, 7, 0.05, batch_size=3, max_iter=2, random_state=0, client=client)
        learner.fit(s)
    assert np.abs(learner.components_ - alone.components_).max() < 1e-5
    assert learner.objectives_ == pytest.approx(alone.objectives_, rel=1e-5)
