// When the way of the pixels is taken, and with which program.
#pragma once
#include <algorithm>

#include "pixels.hpp"

namespace tconv {

// Whether channels-last outputs are so few that the way of the cells does not gain by having them in lanes: those of a row
// that belong to a cell fill less than a vector; or some fill one, but are many products of short sums, as of kernels that
// the stride does not divide.
template <class S>
bool weaves_channels(const Query<S>& query) {
    const Form& form = query.form;
    if (!query.channels_last() || form.groups > 1 || query.y.strides.back() != form.out_channels) return false;
    const Index channels = form.out_channels, lanes = query.kernels.lanes, outputs = channels * form.axes.back().stride;
    const auto all = [&](auto is) { return std::all_of(form.axes.begin(), form.axes.end(), is); };
    const bool single = all([](const Axis& axis) { return axis.kernel <= axis.stride && axis.dilation == 1; });
    const bool even = all([](const Axis& axis) { return axis.stride > 1 && axis.kernel % axis.stride == 0; });
    const Index elements = takes_pairs(query) ? ceil_div(form.in_channels, 2) : form.in_channels;
    if (channels == lanes && takes_pairs(query) && query.pairs->deep > 1)  // in tiles, but for what bringing inputs takes
        return form.axes.size() > 2 && query.x.shape.back() >= tuning::cells::short_row;
    if (channels == lanes) return elements <= (!even ? 2 * lanes : is_own_sum<S> ? 0 : lanes);
    return 2 * outputs < lanes || (outputs < 2 * lanes && 2 * channels < lanes) ||
           (outputs <= lanes && 2 * channels == lanes && !(is_own_sum<S> && single));
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
