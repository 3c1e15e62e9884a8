"""Bad input, and what is said about it, word by word."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from decomposition.problems import kernels

from tconv import errors
from tconv.decomposition import ConvDictionaryLearning, ConvSparseCoder, MiniBatchConvDictionaryLearning, split

D = kernels(3, 1, 3, 3)
X = np.random.default_rng(0).standard_normal((2, 1, 8, 9))


def coded(x: Any = X, d: Any = D, alpha: Any = 0.1, mask: Any = None, codes: Any = None, **more: Any) -> Any:
    return ConvSparseCoder(d, alpha, **more).transform(x, mask, codes)


def learned(x: Any = X, mask: Any = None, **more: Any) -> Any:
    return ConvDictionaryLearning(**{"n_kernels": 2, "kernel_size": 3, "max_iter": 1, "random_state": 0} | more).fit(
        x, mask=mask
    )


def batches(x: Any = X, mask: Any = None, **more: Any) -> Any:
    return MiniBatchConvDictionaryLearning(**{"n_kernels": 2, "kernel_size": 3, "random_state": 0} | more).fit(
        x, mask=mask
    )


def holed(value: float) -> Any:
    x = X.copy()
    x[0, 0, 1, 2] = value
    return x


REFUSALS: list[tuple[Any, type[Exception], str]] = [
    # images
    (
        lambda: coded(X[0, 0]),
        errors.RankError,
        "X has shape (8, 9); it must be (images, channels, *size), 4 dimensions: for one image of one channel "
        "pass X[None, None]",
    ),
    (
        lambda: learned(X[0, 0]),
        errors.RankError,
        "X has shape (8, 9); it must be (images, channels, *size), 3 dimensions or more: for one image of one channel "
        "pass X[None, None]",
    ),
    (
        lambda: coded([X[0, 0]]),
        errors.RankError,
        "X[0] has shape (8, 9); an image in a list must be (channels, *size): for one channel pass X[0][None]",
    ),
    (lambda: coded(X[:0]), errors.TconvError, "X has no images; give at least one"),
    (lambda: learned([]), errors.TconvError, "X has no images; give at least one"),
    (lambda: batches(iter([])), errors.TconvError, "X has no images; give at least one"),
    (lambda: batches(7), errors.ArgumentTypeError, "X is int; give an array, a list or an iterable of images"),
    (
        lambda: coded(np.repeat(X, 2, axis=1)),
        errors.ChannelError,
        "X has 2 channels, the kernels have 1; give images and kernels as many",
    ),
    (lambda: coded(X[:, :, :0]), errors.InputSizeError, "X has shape (2, 1, 0, 9); every size must be at least 1"),
    (
        lambda: coded(X + 1j),
        errors.DtypeError,
        "X has dtype complex128; give real numbers, such as X.astype('float32')",
    ),
    (
        lambda: coded(holed(np.nan)),
        errors.TconvError,
        "X has 1 values that are NaN or Inf; leave them out with mask=numpy.isfinite(X)",
    ),
    (
        lambda: learned([X[0], X[0, :, 0]]),
        errors.ChannelError,
        "X[1] has shape (1, 9), X[0] has (1, 8, 9); images must agree in channels and axes",
    ),
    (
        lambda: batches([X[0], np.repeat(X[0], 3, 0)]),
        errors.ChannelError,
        "an image has shape (3, 8, 9), the kernels are (1, 3, 3); images must agree in channels and axes",
    ),
    (
        lambda: coded(border="inside", d=kernels(2, 1, 9, 9)),
        errors.InputSizeError,
        "images of (8, 9) are smaller than the kernels of (9, 9); use larger images, or border='cropped'",
    ),
    # kernels
    (
        lambda: coded(d=D[0, 0]),
        errors.RankError,
        "kernels have shape (3, 3); they must be (kernels, channels, *kernel): for one channel pass kernels[:, None]",
    ),
    (lambda: coded(d=D[:0]), errors.KernelError, "kernels have shape (0, 1, 3, 3); every size must be at least 1"),
    (
        lambda: coded(d=D + 1j),
        errors.DtypeError,
        "kernels have dtype complex128; give real numbers, such as kernels.astype('float32')",
    ),
    (lambda: coded(d=D * np.inf), errors.TconvError, "kernels hold NaN or Inf; they must be finite"),
    (
        lambda: coded(d=D * np.array([1, 0, 1]).reshape(3, 1, 1, 1)),
        errors.TconvError,
        "kernel 1 is zero everywhere and explains nothing; leave it out",
    ),
    # masks
    (
        lambda: coded(mask=np.ones((8, 8))),
        errors.RankError,
        "mask has shape (8, 8), the images have (2, 1, 8, 9); give one that can be broadcast to them",
    ),
    (
        lambda: coded(list(X), mask=[np.ones((8, 9))]),
        errors.RankError,
        "there are 2 images and 1 masks; give one mask for each image",
    ),
    (
        lambda: coded(mask=np.full((8, 9), 2.0)),
        errors.TconvError,
        "mask must hold weights from 0 (missing) to 1 (known); 2.0 is outside",
    ),
    (
        lambda: coded(mask=np.zeros((8, 9))),
        errors.TconvError,
        "mask says that every pixel is missing; something must be known",
    ),
    (
        lambda: coded(holed(np.inf), mask=np.ones((8, 9))),
        errors.TconvError,
        "X has NaN or Inf where mask says that it is known; set the mask to 0 there",
    ),
    (
        lambda: batches(iter(X), mask=np.ones((8, 9))),
        errors.TconvError,
        "masks need images in an array or a list; an iterable's cannot be matched with them",
    ),
    # parameters
    (
        lambda: coded(alpha=0),
        errors.TconvError,
        "alpha 0 leaves nothing that makes codes sparse; give a penalty above 0, such as 0.05 for images from 0 to 1",
    ),
    (lambda: coded(alpha=-1), errors.TconvError, "alpha -1 must be a number of at least 0"),
    (lambda: coded(alpha="x"), errors.TconvError, "alpha 'x' must be a number of at least 0"),
    (lambda: coded(p=0), errors.TconvError, "p 0 must be a number above 0"),
    (lambda: coded(p=1.5), errors.TconvError, "p 1.5 must be above 0 and at most 1; 1 is the convex penalty"),
    (lambda: coded(tol=-1), errors.TconvError, "tol -1 must be a number of at least 0"),
    (lambda: coded(max_iter=0), errors.TconvError, "max_iter 0 must be at least 1"),
    (lambda: coded(positive=2), errors.ArgumentTypeError, "positive 2 must be True or False"),
    (lambda: coded(solver="admm"), errors.TconvError, "solver 'admm' is unknown; choose 'descent' or 'fista'"),
    (lambda: coded(border="round"), errors.TconvError, "border 'round' is unknown; choose 'cropped' or 'inside'"),
    (
        lambda: coded(stride=4),
        errors.KernelError,
        "kernels of (3, 3) with stride (4, 4) leave pixels that no atom reaches; choose a stride of at "
        "most the kernel's size",
    ),
    (
        lambda: coded(codes=np.zeros((1, 3, 10, 11))),
        errors.RankError,
        "codes have shape (1, 3, 10, 11), the images have codes of (2, 3, 10, 11); begin with such, or none",
    ),
    (
        lambda: coded(codes=np.full((2, 3, 10, 11), np.nan)),
        errors.TconvError,
        "codes hold NaN or Inf; begin with finite ones, or with none",
    ),
    (
        lambda: ConvSparseCoder(D).inverse_transform(np.zeros((1, 2, 5, 5))),
        errors.RankError,
        "Z has shape (1, 2, 5, 5); codes are (images, 3, *places) with 2 axes of places",
    ),
    (
        lambda: ConvSparseCoder(D).inverse_transform(np.zeros((1, 3, 5, 5)), size=4),
        errors.InputSizeError,
        "codes with (5, 5) places do not make an image of (4, 4), which has (6, 6); leave size out",
    ),
    # learning
    (lambda: learned(n_kernels=0), errors.TconvError, "n_kernels 0 must be at least 1"),
    (lambda: learned(kernel_size=0), errors.KernelError, "kernel_size 0 must be at least 1"),
    (
        lambda: learned(kernel_size=(3, 3, 3)),
        errors.RankError,
        "kernel_size (3, 3, 3) has 3 axes, the images have 2; give one size per axis",
    ),
    (
        lambda: learned(init="noise"),
        errors.TconvError,
        "init 'noise' is unknown; choose 'patches', 'random' or an array of kernels",
    ),
    (
        lambda: learned(init=D),
        errors.RankError,
        "init has shape (3, 1, 3, 3); these parameters and images need (2, 1, 3, 3)",
    ),
    (
        lambda: learned(random_state="seed"),
        errors.ArgumentTypeError,
        "random_state 'seed' must be a seed, a numpy.random.Generator or None",
    ),
    (lambda: batches(batch_size=0), errors.TconvError, "batch_size 0 must be at least 1"),
    (lambda: batches(forget=-1), errors.TconvError, "forget -1 must be a number of at least 0"),
    (
        lambda: ConvDictionaryLearning().transform(X),
        errors.TconvError,
        "this ConvDictionaryLearning is not fitted yet; call fit first",
    ),
    (lambda: split(X, -1), errors.TconvError, "strength -1 must be a number of at least 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSALS, ids=[message[:50] for _, _, message in REFUSALS])
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$") as caught:
        call()
    assert isinstance(caught.value, errors.TconvError)


@pytest.mark.parametrize("call", [coded, learned])
def test_a_penalty_at_which_nothing_is_left_is_said(call: Any) -> None:
    if call is coded:
        with pytest.warns(
            UserWarning, match=r"^alpha 99 is not below \d\.\d+, the largest response of any kernel, so that all"
        ):
            assert not coded(alpha=99).any()
    else:
        with pytest.warns(UserWarning, match=r"so that all codes are zero; choose a smaller one$"):
            assert np.isfinite(learned(alpha=99).components_).all()


def test_images_smaller_than_the_kernels_are_cropped_from_larger_canvases() -> None:
    x = np.random.default_rng(0).standard_normal((1, 1, 2, 3))
    coder = ConvSparseCoder(kernels(4, 1, 8, 8), 0.01, tol=1e-6)
    codes = coder.transform(x)
    assert codes.shape == (1, 4, 9, 10) and np.abs(coder.inverse_transform(codes) - x).max() < 0.2
    assert learned(x, kernel_size=5, alpha=0.1).components_.shape == (2, 1, 5, 5)
