// What the Python face needs for every operation: arrays that come and go, axes, the names of activations.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "bounds.hpp"
#include "lent.hpp"
#include "problem.hpp"

// How DLPack calls the types of half precision.
namespace nanobind::detail {

template <>
struct dtype_traits<tconv::Bf16> {
    static constexpr dlpack::dtype value{static_cast<std::uint8_t>(dlpack::dtype_code::Bfloat), 16, 1};
    static constexpr auto name = const_name("bfloat16");
};

template <>
struct dtype_traits<tconv::F16> {
    static constexpr dlpack::dtype value{static_cast<std::uint8_t>(dlpack::dtype_code::Float), 16, 1};
    static constexpr auto name = const_name("float16");
};

}  // namespace nanobind::detail

namespace tconv {

namespace nb = nanobind;

void bind_codes(nb::module_& m);
void bind_gradients(nb::module_& m);
void bind_norm(nb::module_& m);
void bind_stamps(nb::module_& m);

template <class T>
using Exchanged = nb::ndarray<T, nb::device::cpu>;  // anybody's: it comes and goes as a DLPack capsule

// NumPy's own arrays have no bfloat16: half precision comes from it as bits.
template <class S>
struct InNumPy {
    using type = S;
};
template <>
struct InNumPy<Bf16> {
    using type = std::uint16_t;
};
template <>
struct InNumPy<F16> {
    using type = std::uint16_t;
};

template <class T, class... Kind>
View<T> view(const nb::ndarray<T, Kind...>& array) {
    return {array.data(), {array.shape_ptr(), array.ndim()}, {array.stride_ptr(), array.ndim()}};
}

// One of numbers S that came as bits.
template <class S, class T, class... Kind>
View<S> view_as(const nb::ndarray<T, Kind...>& array) {
    return {reinterpret_cast<S*>(array.data()), {array.shape_ptr(), array.ndim()}, {array.stride_ptr(), array.ndim()}};
}

inline void expect(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

// The axes of (batch, channels, *size) as they lie in memory, the outermost first.
inline std::size_t axis_at(std::size_t place, std::size_t ndim, bool last) {
    return !last || place == 0 ? place : place + 1 < ndim ? place + 1 : 1;
}

// Whether an array lies in memory in that order and without gaps.
template <class T>
bool without_gaps(const View<T>& array, bool last) {
    Index step = 1;
    for (std::size_t place = array.shape.size(); place-- > 0;) {
        const std::size_t axis = axis_at(place, array.shape.size(), last);
        if (array.shape[axis] != 1 && array.strides[axis] != step) return false;
        step *= array.shape[axis];
    }
    return true;
}

// A new array; a large one in lent memory.
template <class T>
Exchanged<T> lent(const std::vector<std::size_t>& shape, bool last) {
    const std::size_t ndim = shape.size();
    std::vector<Index> strides(ndim);
    std::size_t size = 1;
    for (std::size_t place = ndim; place-- > 0;) {
        const std::size_t axis = axis_at(place, ndim, last);
        strides[axis] = static_cast<Index>(size);
        const bool fits = !__builtin_mul_overflow(size, shape[axis], &size);
        expect(fits && size < std::numeric_limits<Index>::max() / sizeof(T), "too large");
    }
    const auto bytes = static_cast<Index>(size * sizeof(T));
    void* data = nullptr;
    nb::capsule owner;
    if (bytes < worth_lending) {
        std::unique_ptr<std::byte[]> memory(new std::byte[static_cast<std::size_t>(bytes)]);  // not cleared
        owner = nb::capsule(data = memory.get(), [](void* small) noexcept { delete[] static_cast<std::byte*>(small); });
        memory.release();
    } else {
        auto memory = std::make_unique<Bytes>(borrow(bytes));
        data = memory->data();
        owner = nb::capsule(memory.get(), [](void* lent) noexcept {
            const std::unique_ptr<Bytes> back(static_cast<Bytes*>(lent));
            give_back(std::move(*back));
        });
        memory.release();
    }
    return Exchanged<T>(data, ndim, shape.data(), owner, strides.data());
}

using AxisTuple = std::tuple<Index, Index, Index, Index>;  // kernel, stride, dilation, crop_lo

// The axes of the layer whose weight (in, out/groups, *kernel) it is.
template <class Weight>
std::vector<Axis> axes_of(const std::vector<AxisTuple>& tuples, const Weight& weight) {
    expect(!tuples.empty() && weight.ndim() == tuples.size() + 2, "weight rank does not fit the axes");
    std::vector<Axis> axes;
    for (const auto& [kernel, stride, dilation, crop_lo] : tuples) {
        expect(static_cast<Index>(weight.shape(axes.size() + 2)) == kernel && kernel > 0 && stride > 0 && dilation > 0,
               "axis does not fit the weight");
        axes.push_back({kernel, stride, dilation, crop_lo});
        expect(countable(axes.back()), "axis does not fit into 64 bits");
    }
    return axes;
}

inline Activation activation_of(const std::string& name) {
    static const char* const names[] = {"", "relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu"};
    for (int i = 0; i < 7; ++i)
        if (name == names[i]) return static_cast<Activation>(i);
    throw std::invalid_argument("unknown activation " + name);
}

}  // namespace tconv
