#include "layer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "activation.hpp"
#include "bounds.hpp"
#include "finite.hpp"
#include "phases.hpp"
#include "reference.hpp"
#include "threads.hpp"

namespace tconv {
namespace {

template <class T>
Index row_count(const View<T>& y) {
    Index rows = 1;
    for (std::size_t a = 2; a + 1 < y.shape.size(); ++a) rows *= y.shape[a];
    return rows;
}

}  // namespace

template <class S>
Layer<S>::Layer(const S* weight, const T* bias, bool keeps, Index in_channels, Index out_channels, Index groups,
                std::vector<Axis> axes, Activation activation, T slope, const Backend* backend, bool winograd)
    : constants_{{std::move(axes), groups, in_channels / groups, out_channels / groups}, bias, activation, slope},
      backend_(backend),
      finite_(all_finite(weight, weights())),
      may_winograd_(winograd),
      packs_((keeps ? 1 : 2) * weights() * static_cast<Index>(sizeof(T))) {
    if (keeps) std::copy_n(weight, weights(), weight_.grow(weights()));
    if (bias) constants_.bias = std::copy_n(bias, out_channels, bias_.grow(out_channels)) - out_channels;
}

template <class S>
template <class Use>
void Layer<S>::try_ways(const Query<S>& query, Use use) const {
    int key = 0;
    for (const Way<S>& way : ways<S>()) {
        key += variants;
        if ((way.by_consent && !may_winograd_) || !way.fits(query)) continue;
        const int variant = way.variant(query);
        if (use(way, key + variant, variant)) return;
    }
}

template <class S>
void Layer<S>::run(const View<const S>& x, const View<S>& y, const Lender<S>* lender) const {
    if (y.empty() || x.empty()) return;
    const double multiplications = x.about_size() * static_cast<double>(constants_.out_channels * constants_.taps());
    if (only_reference(x, y)) return run_reference(x, y, lender, multiplications);
    const Query<S> query = this->query(x, y);
    try_ways(query, [&](const Way<S>& way, int key, int variant) {
        const auto found = ready(way, key, variant, query, lender);
        if (!found) return false;
        const auto& axes = constants_.axes;
        if (!way.leaves_none && std::any_of(axes.begin(), axes.end(), has_holes)) fill(y);
        return found->program->run(constants_, found->packed, x, y, multiplications);
    });
}

// A program and the weights as it reads them; null if they are too large for it.
template <class S>
std::shared_ptr<const typename Layer<S>::Ready> Layer<S>::ready(const Way<S>& way, int key, int variant, const Query<S>& query,
                                                                const Lender<S>* lender) const {
    std::shared_ptr<const void> found = packs_.find(key);
    if (!found) {
        const auto program = way.program(query, variant);
        const Index bytes = program->packed_bytes();
        if (!packs_.admit(bytes)) return nullptr;
        packs_.make_room(bytes);
        const auto weight = weights_of(lender);
        found = packs_.keep(key, std::make_shared<const Ready>(Ready{program, program->pack(constants_, weight.get())}), bytes);
    }
    return std::static_pointer_cast<const Ready>(found);
}

template <class S>
typename Layer<S>::Account Layer<S>::account(const View<const S>& x, const View<S>& y) const {
    Account account{"reference", 0};
    if (only_reference(x, y)) return account;
    const Query<S> query = this->query(x, y);
    try_ways(query, [&](const Way<S>& way, int, int variant) {
        const auto program = way.program(query, variant);
        if (!packs_.admit(program->packed_bytes())) return false;
        account = {way.name, program->workspace_bytes(x, y)};
        return true;
    });
    return account;
}

template <class S>
Query<S> Layer<S>::query(const View<const S>& x, const View<S>& y) const {
    return {constants_, kernels_of<S>(*backend_), x, y, std::is_same_v<S, Bf16> ? backend_->pairs : nullptr};
}

// Inputs beyond the border count as zero, and zero times Inf is NaN where the definition has no product at all.
template <class S>
bool Layer<S>::only_reference(const View<const S>& x, const View<S>& y) const {
    return !backend_ || !finite_ || !fits_fast_ways(constants_, x, y);
}

template <class S>
std::shared_ptr<const S> Layer<S>::weights_of(const Lender<S>* lender) const {
    if (weight_.data()) return {std::shared_ptr<const void>(), weight_.data()};  // which the layer owns
    if (!lender) throw std::invalid_argument("this layer keeps no weights: give the call their source");
    return (*lender)();
}

// In pieces so small that each is done within a few milliseconds.
template <class S>
void Layer<S>::run_reference(const View<const S>& x, const View<S>& y, const Lender<S>* lender, double multiplications) const {
    constexpr Index products_of_a_piece = 1 << 22;
    const auto weight = weights_of(lender);
    const Index rows = row_count(y), columns = y.shape.back();
    const Index piece = std::clamp<Index>(products_of_a_piece / (constants_.in_channels * constants_.taps()), 1, columns);
    const Index pieces = ceil_div(columns, piece);
    parallel(y.shape[0] * y.shape[1] * rows * pieces, multiplications, [&](Index item) {
        const Index begin = item % pieces * piece, row = item / pieces % rows, plane = item / pieces / rows;
        reference_row(constants_, weight.get(), x, y, plane / y.shape[1], plane % y.shape[1], row, begin,
                      std::min(begin + piece, columns));
        look_up();
    });
}

// Every output as if nothing reached it.
template <class S>
void Layer<S>::fill(const View<S>& y) const {
    std::vector<T> sums;
    for (Index channel = 0; channel < y.shape[1]; ++channel)
        sums.push_back(constants_.bias_of(channel));
    activate(kernels_of<S>(*backend_), constants_, sums.data(), y.shape[1], 1);
    std::vector<S> values;
    for (const T sum : sums) values.push_back(narrowed<S>(sum));
    const Index rows = row_count(y), columns = y.shape.back(), step = y.strides.back();
    const bool pixels = y.strides[1] == 1;
    const Index channels = pixels ? 1 : y.shape[1];
    parallel(y.shape[0] * rows, static_cast<double>(y.size()), [&](Index item) {
        S* row = y.at(item / rows, 0);
        Index rest = item % rows;
        for (std::size_t a = y.shape.size() - 1; a-- > 2; rest /= y.shape[a]) row += rest % y.shape[a] * y.strides[a];
        for (Index channel = 0; channel < channels; ++channel, row += y.strides[1])
            for (Index o = 0; o < columns; ++o)
                if (pixels)
                    std::copy(values.begin(), values.end(), row + o * step);
                else
                    row[o * step] = values[static_cast<std::size_t>(channel)];
    });
}

template class Layer<float>;
template class Layer<double>;
template class Layer<Bf16>;
template class Layer<F16>;

}  // namespace tconv
