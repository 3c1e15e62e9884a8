// The Python face of stamps.hpp: what some tensors of PyTorch were when they were last looked at.
#include <algorithm>
#include <optional>

#include "bind_arrays.hpp"
#include "stamps.hpp"

namespace tconv {
namespace {

using namespace nb::literals;

// Every call looks at its weight and bias; to fetch their attributes one by one took Python a microsecond, half as long as
// a small layer computes. A DLPack capsule tells a tensor's place, type, shape and strides at once.
class Stamp {
   public:
    Stamp(nb::handle tensor, const nb::callable& to_dlpack) : version_(version(tensor)) {
        const nb::object capsule = to_dlpack(tensor);
        const nb::dlpack::dltensor& now = described(capsule);
        place_ = {address(now), type(now), {}};
        place_.layout.assign(now.shape, now.shape + now.ndim);
        place_.layout.insert(place_.layout.end(), now.strides, now.strides + now.ndim);
        const std::size_t width = (now.dtype.bits * now.dtype.lanes + 7u) / 8u;
        std::size_t count = 1;
        for (int axis = 0; axis < now.ndim; ++axis) count *= static_cast<std::size_t>(now.shape[axis]);
        bytes_ = is_dense(place_.layout) ? count * width : 0;
        samples_.emplace(place_, width);
        if (bytes_) sums_ = checksum(place_.data, bytes_);
    }

    // The values come last: where the tensor has moved, there may be no memory any more.
    bool fits(nb::handle tensor, const nb::callable& to_dlpack, bool all) const {
        if (version(tensor) != version_ || is_negated(tensor)) return false;
        const nb::object capsule = to_dlpack(tensor);
        const nb::dlpack::dltensor& now = described(capsule);
        const auto ndim = static_cast<std::size_t>(now.ndim);
        const bool lies = address(now) == place_.data && type(now) == place_.type && 2 * ndim == place_.layout.size() &&
                          std::equal(now.shape, now.shape + ndim, place_.layout.begin()) &&
                          std::equal(now.strides, now.strides + ndim, place_.layout.begin() + now.ndim);
        if (!lies) return false;
        return all && bytes_ ? checksum(place_.data, bytes_) == sums_ : samples_->fit(place_.data);
    }

   private:
    static Index version(nb::handle tensor) {
        static const nb::handle name = PyUnicode_InternFromString("_version");
        return nb::cast<Index>(tensor.attr(name));
    }

    static bool is_negated(nb::handle tensor) {
        static const nb::handle name = PyUnicode_InternFromString("is_neg");
        PyObject* const self = tensor.ptr();
        const nb::object answer = nb::steal(PyObject_VectorcallMethod(name.ptr(), &self, 1, nullptr));
        if (!answer) nb::raise_python_error();
        return answer.ptr() == Py_True;
    }

    static const nb::dlpack::dltensor& described(const nb::object& capsule) {
        const void* const tensor = PyCapsule_GetPointer(capsule.ptr(), "dltensor");
        if (!tensor) nb::raise_python_error();
        return *static_cast<const nb::dlpack::dltensor*>(tensor);
    }

    static const char* address(const nb::dlpack::dltensor& now) { return static_cast<const char*>(now.data) + now.byte_offset; }

    static std::uint64_t type(const nb::dlpack::dltensor& now) {
        const auto device = static_cast<std::uint64_t>(now.device.device_type);
        return device << 32 | std::uint64_t{now.dtype.code} << 24 | std::uint64_t{now.dtype.bits} << 16 | now.dtype.lanes;
    }

    Index version_;
    Place place_;
    std::size_t bytes_;  // 0 where there are gaps, which belong to others
    std::optional<Samples> samples_;
    std::vector<std::uint64_t> sums_;
};

class Stamps {
   public:
    Stamps(const nb::sequence& tensors, nb::callable to_dlpack) : to_dlpack_(std::move(to_dlpack)) {
        for (const nb::handle tensor : tensors) {
            stamps_.emplace_back();
            if (!tensor.is_none()) stamps_.back().emplace(tensor, to_dlpack_);
        }
    }

    bool fit(const nb::tuple& tensors, bool all) const {
        if (tensors.size() != stamps_.size()) return false;
        for (std::size_t i = 0; i < stamps_.size(); ++i) {
            const nb::handle tensor = tensors[i];
            if (stamps_[i] ? tensor.is_none() || !stamps_[i]->fits(tensor, to_dlpack_, all) : !tensor.is_none()) return false;
        }
        return true;
    }

   private:
    std::vector<std::optional<Stamp>> stamps_;
    nb::callable to_dlpack_;
};

}  // namespace

void bind_stamps(nb::module_& m) {
    nb::class_<Stamps>(m, "Stamps", "What some tensors of PyTorch, on the CPU and without lazy negation, were.")
        .def(nb::init<const nb::sequence&, nb::callable>(), "tensors"_a, "to_dlpack"_a,
             nb::sig("def __init__(self, tensors: Sequence[object | None], to_dlpack: object) -> None"),
             "`to_dlpack` makes a DLPack capsule of a tensor.")
        .def("fit", &Stamps::fit, "tensors"_a, "all"_a = false,
             nb::sig("def fit(self, tensors: tuple[object, ...], all: bool = False) -> bool"),
             "Whether they still are that: the same versions, places, types, shapes, strides, and some 60 spread values; with "
             "`all`, all values, by checksums.");
}

}  // namespace tconv
