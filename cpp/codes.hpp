// Codes that are mostly zero, and how well a transposed convolution of them explains some images.
//
// An atom is a kernel at a place. All that an atom has to know lies under it: so it is brought to its best value, and what is
// left of the image is kept up to date, by as many products as the kernel has taps, however many places there are. Only the
// atoms that may count are kept in lists. Which these are, a strided convolution of the rest with all kernels says, which
// layer.hpp computes: `screen` reads it.
//
// The places of an image are cut along the first axis into stripes at least as high as a kernel. Every second stripe is done
// at a time: their atoms do not overlap, so that threads may share them, and results do not depend on how.
#pragma once
#include <utility>
#include <vector>

#include "buffer.hpp"
#include "problem.hpp"

namespace tconv {

struct CodeShape {
    Index images, channels, kernels;
    std::vector<Index> kernel, stride, places;  // of each axis

    Index taps() const { return channels * of(kernel); }
    Index places_of_kernel() const { return of(places); }
    static Index of(const std::vector<Index>& sizes) {
        Index product = 1;
        for (const Index n : sizes) product *= n;
        return product;
    }
};

template <class T>
class Codes {
  public:
    // `backend` null: that of any CPU. Residual and weights are zero, and there are no atoms.
    Codes(CodeShape shape, const Backend* backend);

    const CodeShape& shape() const { return shape_; }
    Index height() const { return height_; }  // of a stripe, in places

    // The canvas (images, channels, *size): every cell that an atom may reach, with room behind each row. What is not yet
    // explained, times the weights; and these, which say how much a cell counts.
    const std::vector<Index>& canvas() const { return canvas_; }
    const std::vector<Index>& canvas_strides() const { return steps_; }
    T* residual() { return residual_.data(); }
    T* weights() { return weights_.data(); }

    // Kernels (kernels, channels, *kernel); `plain` is the box, as (low, high) of each axis, in which all weights are 1.
    // Values stay; the residual is not changed.
    void set(const T* kernels, std::vector<Index> plain);

    // Bring the lists of some stripes of an image up to date: atoms that are not zero stay, those whose response is above
    // the threshold join. responses[(kernel*rows + row)*rest + place], of the rows first..first+rows of places, begin with a
    // stripe and end with one. The largest response.
    double screen(Index image, Index first, Index rows, const T* responses, T threshold, bool positive);

    // All atoms once, and those that are not zero `again` times: how much less the objective became.
    double descend(T alpha, bool positive, Index again);

    // residual -= weights * what the atoms say.
    void subtract();

    // sums[kernel, channel, *tap] = sum over the atoms of value * residual, for all kernels or for one.
    void correlate(T* sums) const { correlate(sums, 0, shape_.kernels); }
    void correlate(T* sums, Index first, Index count) const;

    // Add to one kernel, and subtract what its atoms then say more.
    void move(Index kernel, const T* change);

    // sums[kernel, other, *lag] += sum over places p of z[kernel, p] * z[other, p + lag], over all lags at which atoms meet.
    void overlaps(T* sums) const;
    std::vector<Index> lags() const;

    void read(const T* dense);         // values from (images, kernels, *places)
    void write(T* dense) const;        // values that are not zero, to such an array
    void clear();
    double norm() const;               // of all values: the sum of magnitudes
    Index count(bool all) const;       // of atoms, or of those that are not zero
    double energy(Index kernel) const; // of the values of a kernel: the sum of squares

  private:
    struct Stripe {  // its atoms, by kernel and then by place
        std::vector<Index> key, place;  // kernel*places + place in the image; on the canvas
        std::vector<std::int32_t> kernel, begin;  // begin[k]: the first of kernel k
        std::vector<std::uint8_t> weighted;
        std::vector<T> curvature, value;

        Index size() const { return static_cast<Index>(key.size()); }
        void clear();
        Atoms<T> atoms(Index from, Index to) const;
    };

    std::pair<T, bool> curvature(Index kernel, Index place) const;
    void insert(Stripe& stripe, Index image, Index kernel, Index key, T value) const;
    void copy(Stripe& to, const Stripe& from, Index at) const;
    Rows<T> rows() const {
        const auto count = static_cast<Index>(offsets_.size());
        return {taps_.data(), offsets_.data(), count, width_, count * width_, 0};
    }
    void pack(T* to, const T* kernel) const;
    template <class Body>
    void each_colour(double work, Body body);
    double work() const { return static_cast<double>(count(true)) * static_cast<double>(rows().size); }

    const CodeShape shape_;
    const Kernels<T>& kernels_;
    Index width_ = 0, height_ = 0, stripes_ = 0, rest_ = 1;
    std::vector<Index> canvas_, steps_, offsets_, plain_;
    Buffer<T> residual_, weights_;
    std::vector<T> taps_, norms_;
    std::vector<Stripe> groups_;  // image*stripes + stripe
};

}  // namespace tconv
