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

// What all bytes say, about as fast as memory is read. Each lane is a polynomial of its words, at an odd point: a change of
// one word changes it, and so do words that change places, or all their signs.
inline std::vector<std::uint64_t> checksum(const char* bytes, std::size_t size) {
    constexpr std::size_t lanes = 16;
    constexpr std::uint64_t point = 0x9e3779b97f4a7c15;
    std::uint64_t sums[lanes] = {}, words[lanes] = {};
    const auto take = [&] {
        for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] = sums[lane] * point + words[lane];
    };
    std::size_t at = 0;
    for (; at + sizeof words <= size; at += sizeof words) {
        std::memcpy(words, bytes + at, sizeof words);
        take();
    }
    if (at < size) {
        std::memset(words, 0, sizeof words);
        std::memcpy(words, bytes + at, size - at);
        take();
    }
    return {sums, sums + lanes};
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
