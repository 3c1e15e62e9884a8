// The ways, in the order in which they are asked: the first that fits is taken. A pack that is too large for a layer's room,
// or numbers that a way gives up, lead on to the next that fits.
#include "cell_choice.hpp"
#include "col2im.hpp"
#include "depthwise.hpp"
#include "pixel_choice.hpp"
#include "point.hpp"
#include "way.hpp"
#include "winograd.hpp"
#include "winograd_line.hpp"

namespace tconv {

// Winograd's small tiles come in where large ones save little more, are few, or need too much memory. Its way of one axis
// reads and writes its sums in place, so it is for arrays of the type of the sums: of half precision, its products of floats
// would take as long as twice as many of pairs. So is col2im, whose products would be rounded before they are added up.
template <class S>
std::span<const Way<S>> ways() {
    if constexpr (is_own_sum<S>) {
        static constexpr Way<S> list[] = {depthwise_way<S>, large_winograd_way<S>, small_winograd_way<S>, winograd_line_way<S>,
                                          point_way<S>,     col2im_way<S>,         woven_pixels_way<S>,   cells_way<S>,
                                          pixels_way<S>};
        return list;
    } else {
        static constexpr Way<S> list[] = {depthwise_way<S>,    large_winograd_way<S>, point_way<S>,
                                          woven_pixels_way<S>, cells_way<S>,          pixels_way<S>};
        return list;
    }
}

template std::span<const Way<float>> ways();
template std::span<const Way<double>> ways();
template std::span<const Way<Bf16>> ways();
template std::span<const Way<F16>> ways();

}  // namespace tconv
