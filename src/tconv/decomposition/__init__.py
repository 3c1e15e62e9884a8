"""What images are made of: kernels and sparse codes whose transposed convolution rebuilds them.

    rest, smooth = split(images)
    learner = ConvDictionaryLearning(n_kernels=32, kernel_size=8, alpha=0.05, random_state=0).fit(rest)
    codes = learner.transform(rest)
    rebuilt = smooth + learner.inverse_transform(codes)

scikit-learn's conventions, NumPy alone. `ConvSparseCoder` finds codes under given kernels; `ConvDictionaryLearning` and
`MiniBatchConvDictionaryLearning` learn kernels; `DeconvolutionalNetwork` learns layers of them above one another.
"""

from tconv.decomposition.coder import ConvSparseCoder
from tconv.decomposition.learning import ConvDictionaryLearning
from tconv.decomposition.minibatch import MiniBatchConvDictionaryLearning
from tconv.decomposition.network import DeconvolutionalNetwork
from tconv.decomposition.smoothing import split

__all__ = [
    "ConvDictionaryLearning",
    "ConvSparseCoder",
    "DeconvolutionalNetwork",
    "MiniBatchConvDictionaryLearning",
    "split",
]
