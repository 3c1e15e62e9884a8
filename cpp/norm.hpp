// Group norm, and instance norm as the one with as many groups as channels, with the activation that follows it: statistics
// in one pass over the input, normalising and activating in another. PyTorch takes three, and no vectors along channels.
#pragma once
#include "problem.hpp"

namespace tconv {

// y = activation((x - mean) / sqrt(variance + eps) * weight + bias), with mean and variance of a group's channels in one
// image, and weight and bias of a channel, or null: 1 and 0. Half precision is widened where it is read, and rounded once.
template <class S>
struct Norm {
    Index groups;
    double eps;
    const Sum<S>* weight;
    const Sum<S>* bias;
    Activation activation;
    Sum<S> slope;
};

// Images without gaps: (images, channels, pixels), or (images, pixels, channels) if channels are last.
struct Images {
    Index count, channels, pixels;
    bool last;

    Index size() const { return count * channels * pixels; }
};

// `backend` null: plain loops in double precision. Bits do not depend on the number of threads.
template <class S>
void normalise(const Backend* backend, const Norm<S>& norm, const Images& images, const S* x, S* y);

}  // namespace tconv
