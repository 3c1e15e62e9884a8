// What some numbers in memory were when they were last looked at, so that a change is noticed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "problem.hpp"

namespace tconv {

// Where an array lies and how: to be compared.
struct Place {
    const char* data;
    std::uint64_t type;
    std::vector<Index> layout;  // shape and strides, in elements

    bool operator==(const Place&) const = default;
};

// Whether the array fills a stretch of memory without gaps or overlaps, in any order of its axes.
inline bool is_dense(const std::vector<Index>& layout) {
    const std::size_t ndim = layout.size() / 2;
    Index reach = 1, count = 1;
    for (std::size_t axis = 0; axis < ndim; ++axis) {
        if (layout[axis] == 0) return true;
        count *= layout[axis];
        reach += (layout[axis] - 1) * layout[ndim + axis];
    }
    if (reach != count) return false;
    for (std::size_t axis = 0; axis < ndim; ++axis) {  // sorted by stride, each axis steps over the faster ones
        Index faster = 1;
        for (std::size_t other = 0; other < ndim; ++other)
            if (layout[other] > 1 && layout[ndim + other] < layout[ndim + axis]) faster *= layout[other];
        if (layout[axis] > 1 && layout[ndim + axis] != faster) return false;
    }
    return true;
}

// Two sums over all bytes, as fast as memory is read. A change of one place changes the first; numbers that change places
// change the second, in which earlier words count more often.
inline std::vector<std::uint64_t> checksum(const char* bytes, std::size_t size) {
    constexpr std::size_t lanes = 16;
    std::vector<std::uint64_t> sums(2 * lanes);
    std::uint64_t once[lanes] = {}, often[lanes] = {};
    constexpr std::size_t step = lanes * sizeof(std::uint64_t);
    std::size_t at = 0;
    for (; at + step <= size; at += step) {
        std::uint64_t words[lanes];
        std::memcpy(words, bytes + at, step);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            once[lane] += words[lane];
            often[lane] += once[lane];
        }
    }
    if (at < size) {
        std::uint64_t words[lanes] = {};
        std::memcpy(words, bytes + at, size - at);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            once[lane] += words[lane];
            often[lane] += once[lane];
        }
    }
    std::memcpy(sums.data(), once, sizeof once);
    std::memcpy(sums.data() + lanes, often, sizeof often);
    return sums;
}

// Some values spread over an array: all of a small one.
class Samples {
   public:
    static constexpr Index wanted = 61;

    Samples(const Place& place, std::size_t width) : width_(width) {
        const std::size_t ndim = place.layout.size() / 2;
        Index count = 1;
        for (std::size_t axis = 0; axis < ndim; ++axis) count *= place.layout[axis];
        const Index step = std::max<Index>(1, count / wanted);
        for (Index number = 0; number < count; number += step) {
            Index rest = number, offset = 0;
            for (std::size_t axis = ndim; axis-- > 0; rest /= place.layout[axis])
                offset += rest % place.layout[axis] * place.layout[ndim + axis];
            offsets_.push_back(offset * static_cast<Index>(width));
        }
        seen_.resize(offsets_.size() * width);
        for (std::size_t i = 0; i < offsets_.size(); ++i) std::memcpy(&seen_[i * width], place.data + offsets_[i], width);
    }

    bool fit(const char* data) const {
        switch (width_) {  // widths that the compiler knows are compared without a call
            case 2: return fit<2>(data);
            case 4: return fit<4>(data);
            case 8: return fit<8>(data);
            default:
                for (std::size_t i = 0; i < offsets_.size(); ++i)
                    if (std::memcmp(&seen_[i * width_], data + offsets_[i], width_)) return false;
                return true;
        }
    }

   private:
    template <std::size_t width>
    bool fit(const char* data) const {
        for (std::size_t i = 0; i < offsets_.size(); ++i)
            if (std::memcmp(&seen_[i * width], data + offsets_[i], width)) return false;
        return true;
    }

    std::size_t width_;
    std::vector<Index> offsets_;  // bytes
    std::vector<char> seen_;
};

}  // namespace tconv
