// What the pixels of a layer's input meet: a matrix with a row for each pixel and a column for each tap and output channel,
// of the gradients of the outputs that the pixel reaches. It is never made as a whole: rows are read from where those lie.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "../lent.hpp"
#include "../problem.hpp"

namespace tconv {

// Neighbouring columns of a product, in whole vectors.
struct Lanes {
    Index first, count, width;

    Index vectors(Index lanes) const { return width / lanes; }
    Index behind(Index lanes) const { return count - (width - lanes); }  // of the last vector
};

template <class T>
std::vector<Lanes> lanes_of(Index columns, const Kernels<T>& kernels);

inline Index width_of(const std::vector<Lanes>& all) { return all.back().first + all.back().width; }

// Neighbouring pixels that belong to one row, from `begin` to at most `end`.
inline Index end_of_row(Index begin, Index end, Index columns) { return std::min(end, (begin / columns + 1) * columns); }

// From an image, and from a pixel of its axes, to the next in an array with such strides.
inline std::vector<Index> steps_of(std::span<const Index> strides) {
    std::vector<Index> steps(strides.begin() + 1, strides.end());
    steps[0] = strides[0];
    return steps;
}

template <class T>
class Met {
   public:
    // Of inputs (batch, channels, *in_size) and the gradient of their results (batch, channels, *out), which stays where it
    // is. Outputs that no array has are zeros.
    Met(const Form& layer, const Kernels<T>& kernels, std::span<const Index> in_size, const View<const T>& grad);

    Index pixels() const { return batch_ * pixels_; }
    Index pixels_of_image() const { return pixels_; }
    Index row() const { return in_size_.back(); }

    // Where the pixels begin..end of all images lie, in an array with such steps or among the gradients.
    void places(std::span<const Index> steps, Index begin, Index end, std::vector<Index>& to) const;
    void places(Index begin, Index end, std::vector<Index>& to) const { places(steps_, begin, end, to); }
    // How many neighbouring pixels are as far apart as those of a row, in an array with such steps.
    Index evenly_spaced(std::span<const Index> steps) const;
    Index step() const { return steps_.back(); }  // from a pixel of a row to the next

    // The first number of a group at each place, and from there to what the pixel meets: runs of neighbouring numbers,
    // all columns one after the other. A column is a tap, and within it an output channel.
    const T* data(Index group) const { return data_ + group * layer_.out_channels; }
    const std::vector<Index>& runs() const { return runs_; }
    Index run() const { return run_; }
    Index columns() const { return static_cast<Index>(runs_.size()) * run_; }
    Index column(Index number) const { return runs_[static_cast<std::size_t>(number / run_)] + number % run_; }

   private:
    void copy(const View<const T>& grad, const std::vector<Index>& reached);

    const Form& layer_;
    const Kernels<T>& kernels_;
    const std::vector<Index> in_size_;
    Index batch_, pixels_ = 1, run_;
    const T* data_;
    std::optional<Borrowed<T>> copy_;
    std::vector<Index> steps_, runs_;
};

// How the taps of a layer make runs.
inline bool taps_are_neighbours(const Form& layer) { return layer.groups == 1 && layer.axes.back().dilation == 1; }

extern template class Met<float>;
extern template class Met<double>;

}  // namespace tconv
