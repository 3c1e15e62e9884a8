"""scikit-learn's conventions: parameters, clones, pipelines, searches, pickles."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import sklearn.base
import sklearn.pipeline
from decomposition.problems import kernels
from sklearn.preprocessing import FunctionTransformer

from tconv import errors
from tconv.decomposition import (
    ConvDictionaryLearning,
    ConvSparseCoder,
    DeconvolutionalNetwork,
    MiniBatchConvDictionaryLearning,
)

D = kernels(3, 1, 3, 3)
X = np.random.default_rng(0).standard_normal((2, 1, 12, 12))
ALL = [
    ConvSparseCoder(D, 0.2, positive=True),
    ConvDictionaryLearning(3, 3, 0.2, max_iter=2, random_state=0),
    MiniBatchConvDictionaryLearning(3, 3, 0.2, random_state=0),
    DeconvolutionalNetwork((2, 2), 3, 0.1, steps=2, max_iter=1, random_state=0),
]
EACH = pytest.mark.parametrize("estimator", ALL, ids=lambda one: type(one).__name__)


@EACH
def test_parameters_and_clones(estimator: Any) -> None:
    params = estimator.get_params()
    copy = sklearn.base.clone(estimator)
    assert type(copy) is type(estimator) and copy is not estimator
    for name, value in copy.get_params().items():
        assert np.array_equal(value, params[name])
    fitted = sklearn.base.clone(estimator).fit(X)
    assert not hasattr(sklearn.base.clone(fitted), "components_")
    assert fitted.set_params(alpha=0.3) is fitted and fitted.get_params()["alpha"] == 0.3
    message = f"{type(estimator).__name__} has no parameter 'beta'; its parameters are {', '.join(params)}"
    with pytest.raises(errors.TconvError, match=f"^{re.escape(message)}$"):
        fitted.set_params(beta=1)
    assert set(params) == set(type(estimator)._names())


@EACH
def test_in_a_pipeline(estimator: Any) -> None:
    pipeline = sklearn.pipeline.Pipeline(
        [("centre", FunctionTransformer(lambda x: x - x.mean())), ("codes", sklearn.base.clone(estimator))]
    )
    codes = pipeline.fit_transform(X)
    assert len(codes) == 2 and np.allclose(pipeline.transform(X), codes, atol=1e-6)
    pipeline.set_params(codes__alpha=0.25)
    assert pipeline.get_params()["codes__alpha"] == 0.25
    assert "codes" in repr(pipeline)


@EACH
def test_pickled(estimator: Any) -> None:
    fitted = sklearn.base.clone(estimator).fit(X)
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.transform(X), fitted.transform(X))


def test_repr_says_what_is_not_default() -> None:
    assert repr(ALL[0]) == "ConvSparseCoder(kernels=<array (3, 1, 3, 3)>, alpha=0.2, positive=True)"
    assert repr(ConvDictionaryLearning()) == "ConvDictionaryLearning()"


def test_light_to_import() -> None:
    code = "import sys, tconv.decomposition; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not set(done.stdout.split()) & {"torch", "scipy", "sklearn", "PIL", "rich", "skimage", "distributed"}
