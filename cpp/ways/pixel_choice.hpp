// When the way of the pixels is taken, and with which program.
#pragma once
#include <algorithm>

#include "pixels.hpp"

namespace tconv {

// Whether so few outputs of a cell are neighbours that they do not fill a vector, and all of them lie in one row. Those
// that fill one are faster in the way of the cells if each is a single product for every channel.
template <class S>
bool weaves_channels(const Query<S>& query) {
    const Index channels = query.form.out_channels, lanes = query.kernels.lanes;
    const Index outputs = channels * query.form.axes.back().stride;
    const auto one_tap = [](const Axis& axis) { return axis.kernel <= axis.stride && axis.dilation == 1; };
    const bool single = std::all_of(query.form.axes.begin(), query.form.axes.end(), one_tap);
    const bool few = 2 * outputs < lanes || (outputs < 2 * lanes && 2 * channels < lanes) ||
                     (outputs <= lanes && 2 * channels == lanes && !(is_own_sum<S> && single));
    return query.channels_last() && few && query.form.groups == 1 && query.y.strides.back() == channels;
}

template <class S>
constexpr Way<S> pixels_way{
    "pixels", false, false, [](const Query<S>&) { return true; }, [](const Query<S>&) { return 0; },
    [](const Query<S>& query, int) { return shared_program_of_elements<Pixels>(query, false); }};

// The same for channels-last arrays of few channels, which are woven with the phases.
template <class S>
constexpr Way<S> woven_pixels_way{
    "pixels", false, false, weaves_channels<S>, [](const Query<S>&) { return 0; },
    [](const Query<S>& query, int) { return shared_program_of_elements<Pixels>(query, true); }};

}  // namespace tconv
