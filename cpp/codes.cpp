#include "codes.hpp"

#include <algorithm>
#include <cmath>

#include "threads.hpp"

namespace tconv {
namespace {

constexpr Index stripe_cells = 4096;  // of a stripe, so that they stay in the first cache
constexpr Index shares = 8;           // sums of their own, so that they do not depend on the threads

// A product with what lies scattered takes as long as so many of a tile.
constexpr double scattered = 8;

template <class T>
const Kernels<T>& kernels_of(const Backend* backend) {
    const Backend& some = backend ? *backend : portable_backend;
    if constexpr (sizeof(T) == sizeof(float))
        return some.f32;
    else
        return some.f64;
}

// Elements of a row: whole vectors of every instruction set, and short ones for short rows.
template <class T>
Index width_of(Index taps) {
    const auto bytes = taps * static_cast<Index>(sizeof(T));
    return (bytes <= 16 ? 16 : bytes <= 32 ? 32 : ceil_div(bytes, 64) * 64) / static_cast<Index>(sizeof(T));
}

// Of an array without gaps but `pitch` elements from a row to the next.
std::vector<Index> steps_of(const std::vector<Index>& sizes, Index pitch) {
    std::vector<Index> steps(sizes.size(), 1);
    for (std::size_t a = sizes.size() - 1; a-- > 0;) steps[a] = a + 2 == sizes.size() ? pitch : steps[a + 1] * sizes[a + 1];
    return steps;
}

// Where the rows of a block begin, all axes but the last.
void add_rows(std::vector<Index>& offsets, const std::vector<Index>& block, const std::vector<Index>& steps, Index from) {
    std::vector<Index> at{from};
    for (std::size_t a = 0; a + 1 < block.size(); ++a) {
        std::vector<Index> next;
        for (const Index before : at)
            for (Index t = 0; t < block[a]; ++t) next.push_back(before + t * steps[a]);
        at = std::move(next);
    }
    offsets.insert(offsets.end(), at.begin(), at.end());
}

}  // namespace

template <class T>
void Codes<T>::Stripe::clear() {
    key.clear(), place.clear(), kernel.clear(), weighted.clear(), curvature.clear(), value.clear();
}

template <class T>
Atoms<T> Codes<T>::Stripe::atoms(Index from, Index to) const {
    return {to - from, place.data() + from, kernel.data() + from, weighted.data() + from, curvature.data() + from,
            const_cast<T*>(value.data()) + from};
}

template <class T>
Codes<T>::Codes(CodeShape shape, const Backend* backend) : shape_(std::move(shape)), kernels_(kernels_of<T>(backend)) {
    const std::size_t axes = shape_.kernel.size();
    width_ = width_of<T>(shape_.kernel.back());
    canvas_ = {shape_.images, shape_.channels};
    for (std::size_t a = 0; a < axes; ++a) canvas_.push_back(shape_.stride[a] * (shape_.places[a] - 1) + shape_.kernel[a]);
    const Index pitch = ceil_div(canvas_.back() + width_ - shape_.kernel.back(), 16) * 16;
    steps_ = steps_of(canvas_, pitch);
    const std::vector<Index> steps(steps_.begin() + 2, steps_.end());
    for (Index c = 0; c < shape_.channels; ++c) add_rows(offsets_, shape_.kernel, steps, c * steps_[1]);
    for (std::size_t a = 1; a < axes; ++a) rest_ *= shape_.places[a];
    const Index lowest = axes == 1 ? width_ : shape_.kernel.front(), row = shape_.channels * steps.front() * shape_.stride.front();
    height_ = std::max(ceil_div(lowest, shape_.stride.front()), ceil_div(stripe_cells, row));
    stripes_ = ceil_div(shape_.places.front(), height_);
    groups_.resize(static_cast<std::size_t>(shape_.images * stripes_));
    const Index all = steps_.front() * shape_.images + pitch;
    std::fill_n(residual_.grow(all), all, T(0));
    std::fill_n(weights_.grow(all), all, T(0));
    taps_.resize(static_cast<std::size_t>(shape_.kernels * rows().size));
    norms_.resize(static_cast<std::size_t>(shape_.kernels));
    plain_.assign(2 * axes, 0);
    for (Stripe& stripe : groups_) stripe.begin.assign(static_cast<std::size_t>(shape_.kernels) + 1, 0);
}

template <class T>
void Codes<T>::pack(T* to, const T* kernel) const {
    const Index taps = shape_.kernel.back();
    for (std::size_t r = 0; r < offsets_.size(); ++r, to += width_, kernel += taps) {
        std::copy_n(kernel, taps, to);
        std::fill(to + taps, to + width_, T(0));
    }
}

template <class T>
void Codes<T>::set(const T* kernels, std::vector<Index> plain) {
    plain_ = std::move(plain);
    const Index size = rows().size;
    for (Index k = 0; k < shape_.kernels; ++k) {
        T* const taps = taps_.data() + k * size;
        pack(taps, kernels + k * shape_.taps());
        double norm = 0;
        for (Index j = 0; j < size; ++j) norm += static_cast<double>(taps[j]) * static_cast<double>(taps[j]);
        norms_[static_cast<std::size_t>(k)] = static_cast<T>(norm);
    }
    parallel(static_cast<Index>(groups_.size()), work(), [&](Index g) {
        Stripe& stripe = groups_[static_cast<std::size_t>(g)];
        for (std::size_t a = 0; a < stripe.key.size(); ++a) {
            const T sum = stripe.weighted[a] ? curvature(stripe.kernel[a], stripe.place[a]).first
                                             : norms_[static_cast<std::size_t>(stripe.kernel[a])];
            stripe.curvature[a] = sum > 0 ? sum : T(1);  // values of a kernel that is nothing any more shrink to zero
        }
    });
}

// The sum of a kernel's squares as the cells count, and whether some of them count other than once.
template <class T>
std::pair<T, bool> Codes<T>::curvature(Index kernel, Index place) const {
    const T* const taps = taps_.data() + kernel * rows().size;
    const T* const weights = weights_.data() + place;
    T sum = 0;
    bool weighted = false;
    for (std::size_t r = 0; r < offsets_.size(); ++r)
        for (Index t = 0; t < shape_.kernel.back(); ++t) {
            const T weight = weights[offsets_[r] + t], tap = taps[static_cast<Index>(r) * width_ + t];
            weighted = weighted || weight != 1;
            sum += weight * tap * tap;
        }
    return {sum, weighted};
}

template <class T>
void Codes<T>::insert(Stripe& stripe, Index image, Index kernel, Index key, T value) const {
    const std::size_t axes = shape_.kernel.size();
    Index rest = key - kernel * shape_.places_of_kernel(), place = image * steps_[0];
    bool inside = true;
    for (std::size_t a = axes; a-- > 0; rest /= shape_.places[a]) {
        const Index corner = rest % shape_.places[a] * shape_.stride[a];
        inside = inside && corner >= plain_[2 * a] && corner + shape_.kernel[a] <= plain_[2 * a + 1];
        place += corner * steps_[a + 2];
    }
    const auto [sum, weighted] = inside ? std::pair{norms_[static_cast<std::size_t>(kernel)], false} : curvature(kernel, place);
    if (!(sum > 0)) return;  // nothing lies under it that counts
    stripe.weighted.push_back(weighted);
    stripe.curvature.push_back(sum);
    stripe.key.push_back(key);
    stripe.place.push_back(place);
    stripe.kernel.push_back(static_cast<std::int32_t>(kernel));
    stripe.value.push_back(value);
}

template <class T>
void Codes<T>::copy(Stripe& to, const Stripe& from, Index at) const {
    const auto a = static_cast<std::size_t>(at);
    to.key.push_back(from.key[a]);
    to.place.push_back(from.place[a]);
    to.kernel.push_back(from.kernel[a]);
    to.weighted.push_back(from.weighted[a]);
    to.curvature.push_back(from.curvature[a]);
    to.value.push_back(from.value[a]);
}

template <class T>
double Codes<T>::screen(Index image, Index first, Index rows, const T* responses, T threshold, bool positive) {
    const Index begin = first / height_, end = ceil_div(first + rows, height_), places = shape_.places_of_kernel();
    std::vector<T> peaks(static_cast<std::size_t>(end - begin), T(0));
    parallel(end - begin, scattered * static_cast<double>(shape_.kernels * rows * rest_), [&](Index task) {
        thread_local std::vector<std::int32_t> picked;
        const Index from = task * height_, to = std::min(from + height_, rows), count = (to - from) * rest_;
        picked.resize(static_cast<std::size_t>(count) + 1);
        Stripe& old = groups_[static_cast<std::size_t>(image * stripes_ + begin + task)];
        Stripe next;
        next.begin.reserve(old.begin.size());
        Index at = 0;
        for (Index k = 0; k < shape_.kernels; ++k) {
            next.begin.push_back(static_cast<std::int32_t>(next.size()));
            const Index key = k * places + (first + from) * rest_;
            const Index found = kernels_.pick(picked.data(), responses + (k * rows + from) * rest_, count, threshold, positive,
                                              &peaks[static_cast<std::size_t>(task)]);
            const Index last = old.begin[static_cast<std::size_t>(k) + 1];
            for (Index n = 0; n < found; ++n) {
                const Index wanted = key + picked[static_cast<std::size_t>(n)];
                for (; at < last && old.key[static_cast<std::size_t>(at)] < wanted; ++at)
                    if (old.value[static_cast<std::size_t>(at)] != 0) copy(next, old, at);
                if (at < last && old.key[static_cast<std::size_t>(at)] == wanted)
                    copy(next, old, at++);
                else
                    insert(next, image, k, wanted, T(0));
            }
            for (; at < last; ++at)
                if (old.value[static_cast<std::size_t>(at)] != 0) copy(next, old, at);
        }
        next.begin.push_back(static_cast<std::int32_t>(next.size()));
        old = std::move(next);
    });
    return static_cast<double>(*std::max_element(peaks.begin(), peaks.end()));
}

// body(stripe) for all, every second of an image at a time.
template <class T>
template <class Body>
void Codes<T>::each_colour(double work, Body body) {
    for (Index colour = 0; colour < std::min<Index>(2, stripes_); ++colour) {
        const Index each = (stripes_ + 1 - colour) / 2;
        parallel(shape_.images * each, scattered * work, [&](Index task) {
            body(static_cast<std::size_t>(task / each * stripes_ + task % each * 2 + colour));
        });
    }
}

template <class T>
double Codes<T>::descend(T alpha, bool positive, Index again) {
    std::vector<double> less(groups_.size(), 0);
    each_colour(work() * static_cast<double>(1 + again), [&](std::size_t g) {
        thread_local std::vector<std::int32_t> chosen;
        Stripe& stripe = groups_[g];
        const Atoms<T> atoms = stripe.atoms(0, stripe.size());
        const auto sweep = [&](const std::int32_t* which, Index count) {
            less[g] += kernels_.descend(atoms, rows(), residual_.data(), weights_.data(), alpha, positive, which, count);
        };
        sweep(nullptr, atoms.count);
        if (again == 0) return;
        chosen.clear();
        for (Index a = 0; a < atoms.count; ++a)
            if (atoms.value[a] != 0) chosen.push_back(static_cast<std::int32_t>(a));
        for (Index n = 0; n < again; ++n) sweep(chosen.data(), static_cast<Index>(chosen.size()));
    });
    double sum = 0;
    for (const double one : less) sum += one;
    return sum;
}

template <class T>
void Codes<T>::subtract() {
    each_colour(work(), [&](std::size_t g) {
        kernels_.stamp(groups_[g].atoms(0, groups_[g].size()), rows(), residual_.data(), weights_.data(), T(-1));
    });
}

template <class T>
void Codes<T>::correlate(T* sums, Index first, Index count) const {
    Rows<T> of = rows();
    of.first = first;
    const Index size = of.size * count, all = static_cast<Index>(groups_.size()), parts = std::min(shares, all);
    std::vector<T> own(static_cast<std::size_t>(parts * size), T(0));
    parallel(parts, scattered * work() * static_cast<double>(count) / static_cast<double>(shape_.kernels), [&](Index p) {
        for (Index g = part(all, p, parts); g < part(all, p + 1, parts); ++g) {
            const Stripe& stripe = groups_[static_cast<std::size_t>(g)];
            const Index from = stripe.begin[static_cast<std::size_t>(first)];
            const Index to = stripe.begin[static_cast<std::size_t>(first + count)];
            kernels_.correlate(own.data() + p * size, stripe.atoms(from, to), of, residual_.data());
        }
    });
    const Index taps = shape_.kernel.back();
    for (Index r = 0; r < size / width_; ++r)
        for (Index t = 0; t < taps; ++t) {
            double sum = 0;
            for (Index p = 0; p < parts; ++p) sum += static_cast<double>(own[static_cast<std::size_t>(p * size + r * width_ + t)]);
            sums[r * taps + t] = static_cast<T>(sum);
        }
}

template <class T>
void Codes<T>::move(Index kernel, const T* change) {
    Rows<T> by = rows();
    std::vector<T> taps(static_cast<std::size_t>(by.size));
    pack(taps.data(), change);
    by.taps = taps.data();
    by.first = kernel;
    T* const own = taps_.data() + kernel * by.size;
    for (Index j = 0; j < by.size; ++j) own[j] += taps[static_cast<std::size_t>(j)];
    each_colour(work() / static_cast<double>(shape_.kernels), [&](std::size_t g) {
        const Stripe& stripe = groups_[g];
        const auto k = static_cast<std::size_t>(kernel);
        kernels_.stamp(stripe.atoms(stripe.begin[k], stripe.begin[k + 1]), by, residual_.data(), weights_.data(), T(-1));
    });
}

template <class T>
std::vector<Index> Codes<T>::lags() const {
    std::vector<Index> all;
    for (std::size_t a = 0; a < shape_.kernel.size(); ++a) all.push_back(2 * ((shape_.kernel[a] - 1) / shape_.stride[a]) + 1);
    return all;
}

// The values with a border of zeros are a canvas, too: what lies around an atom there is correlated as residuals are.
template <class T>
void Codes<T>::overlaps(T* sums) const {
    const std::vector<Index> lag = lags();
    const Index width = width_of<T>(lag.back()), places = shape_.places_of_kernel(), last = shape_.places.back();
    std::vector<Index> sizes{shape_.kernels}, offsets, block{shape_.kernels};
    for (std::size_t a = 0; a < lag.size(); ++a) sizes.push_back(shape_.places[a] + lag[a] - 1), block.push_back(lag[a]);
    const std::vector<Index> steps = steps_of(sizes, ceil_div(last + std::max(width, lag.back()), 16) * 16);
    add_rows(offsets, block, steps, 0);
    const Index all = steps[0] * shape_.kernels + width, count = CodeShape::of(lag) * shape_.kernels;
    Buffer<T> canvas(all);
    const auto place_of = [&](Index key, bool padded) {
        Index rest = key % places, place = 0;
        for (std::size_t a = lag.size(); a-- > 0; rest /= shape_.places[a])
            place += (rest % shape_.places[a] + (padded ? lag[a] / 2 : 0)) * steps[a + 1];
        return place;
    };
    for (Index image = 0; image < shape_.images; ++image) {
        std::fill_n(canvas.data(), all, T(0));
        const auto each_stripe = [&](auto body) {
            for (Index s = 0; s < stripes_; ++s) body(groups_[static_cast<std::size_t>(image * stripes_ + s)]);
        };
        each_stripe([&](const Stripe& stripe) {
            for (std::size_t a = 0; a < stripe.key.size(); ++a)
                canvas.data()[stripe.kernel[a] * steps[0] + place_of(stripe.key[a], true)] = stripe.value[a];
        });
        const auto lines = static_cast<Index>(offsets.size());
        parallel(shape_.kernels, scattered * static_cast<double>(this->count(false) * count), [&](Index k) {
            std::vector<T> own(static_cast<std::size_t>(lines * width), T(0));
            const Rows<T> rows{nullptr, offsets.data(), lines, width, lines * width, k};
            std::vector<Index> place;
            each_stripe([&](const Stripe& stripe) {
                const Index from = stripe.begin[static_cast<std::size_t>(k)], to = stripe.begin[static_cast<std::size_t>(k) + 1];
                place.clear();
                for (Index a = from; a < to; ++a) place.push_back(place_of(stripe.key[static_cast<std::size_t>(a)], false));
                Atoms<T> atoms = stripe.atoms(from, to);
                atoms.place = place.data();
                kernels_.correlate(own.data(), atoms, rows, canvas.data());
            });
            T* to = sums + k * count;
            for (std::size_t r = 0; r < offsets.size(); ++r)
                for (Index t = 0; t < lag.back(); ++t) *to++ += own[r * static_cast<std::size_t>(width) + static_cast<std::size_t>(t)];
        });
    }
}

template <class T>
void Codes<T>::read(const T* dense) {
    const Index places = shape_.places_of_kernel();
    parallel(static_cast<Index>(groups_.size()), static_cast<double>(shape_.images * shape_.kernels * places), [&](Index g) {
        const Index image = g / stripes_, stripe = g % stripes_, begin = stripe * height_ * rest_;
        const Index end = std::min((stripe + 1) * height_, shape_.places.front()) * rest_;
        Stripe& to = groups_[static_cast<std::size_t>(g)];
        to.clear();
        for (Index k = 0; k < shape_.kernels; ++k) {
            to.begin[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(to.size());
            const T* const from = dense + (image * shape_.kernels + k) * places;
            for (Index at = begin; at < end; ++at)
                if (from[at] != 0) insert(to, image, k, k * places + at, from[at]);
        }
        to.begin.back() = static_cast<std::int32_t>(to.size());
    });
}

template <class T>
void Codes<T>::write(T* dense) const {
    const Index all = shape_.kernels * shape_.places_of_kernel();
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        T* const to = dense + static_cast<Index>(g) / stripes_ * all;
        for (std::size_t a = 0; a < groups_[g].key.size(); ++a)
            if (groups_[g].value[a] != 0) to[groups_[g].key[a]] = groups_[g].value[a];
    }
}

template <class T>
void Codes<T>::clear() {
    for (Stripe& stripe : groups_) {
        stripe.clear();
        std::fill(stripe.begin.begin(), stripe.begin.end(), 0);
    }
}

template <class T>
double Codes<T>::norm() const {
    double sum = 0;
    for (const Stripe& stripe : groups_)
        for (const T value : stripe.value) sum += std::abs(static_cast<double>(value));
    return sum;
}

template <class T>
Index Codes<T>::count(bool all) const {
    Index sum = 0;
    for (const Stripe& stripe : groups_)
        sum += all ? stripe.size() : std::count_if(stripe.value.begin(), stripe.value.end(), [](T v) { return v != 0; });
    return sum;
}

template <class T>
double Codes<T>::energy(Index kernel) const {
    double sum = 0;
    const auto k = static_cast<std::size_t>(kernel);
    for (const Stripe& stripe : groups_)
        for (auto a = static_cast<std::size_t>(stripe.begin[k]); a < static_cast<std::size_t>(stripe.begin[k + 1]); ++a)
            sum += static_cast<double>(stripe.value[a]) * static_cast<double>(stripe.value[a]);
    return sum;
}

template class Codes<float>;
template class Codes<double>;

}  // namespace tconv
