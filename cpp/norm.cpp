#include "norm.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "reference.hpp"
#include "threads.hpp"
#include "tuning.hpp"

namespace tconv {
namespace {

using namespace tuning::norm;

// What one call works on: its moments, and the constants of each channel that come of them.
template <class S>
class Call {
    using T = Sum<S>;

  public:
    Call(const Kernels<S>& kernels, const Norm<S>& norm, const Images& images, const S* x, S* y)
        : kernels_(kernels), norm_(norm), images_(images), x_(x), y_(y), depth_(images.channels / norm.groups),
          nontemporal_(x != y && images.size() * static_cast<Index>(sizeof(S)) > tuning::nontemporal_bytes) {}

    void run() { images_.last ? run_last() : run_first(); }

  private:
    double work() const { return work_of_element * static_cast<double>(images_.size()); }

    // The moments of a group from those of its parts, which lie `step` apart and have `counts` numbers.
    static Moments together(const Moments* moments, Index step, const std::vector<double>& counts, double all) {
        Moments sum{0, 0};
        const Moments* one = moments;
        for (const double count : counts) {
            sum.mean += one->mean * (count / all);
            one += step;
        }
        one = moments;
        for (const double count : counts) {
            const double d = one->mean - sum.mean;
            sum.squares += one->squares + count * d * d;
            one += step;
        }
        return sum;
    }

    T* constants(Index image) { return constants_.data() + image * 3 * width_; }

    // A mean in double precision is a number of the input's precision and a rest, which goes into what is added at the
    // end: so the difference from it is exact where the mean is large and the deviations are small.
    void set_constants(Index image, Index group, const Moments& moments) {
        const double variance = moments.squares / static_cast<double>(depth_ * images_.pixels);  // NaN stays
        const double by = 1 / std::sqrt((variance < 0 ? 0 : variance) + norm_.eps);
        const T centre = static_cast<T>(moments.mean);
        const double rest = moments.mean - static_cast<double>(centre);
        for (Index c = group * depth_; c < (group + 1) * depth_; ++c) {
            const T scale = static_cast<T>(norm_.weight ? by * static_cast<double>(norm_.weight[c]) : by);
            const double bias = norm_.bias ? static_cast<double>(norm_.bias[c]) : 0;
            for (T* to = constants(image) + c; to < constants(image) + width_; to += images_.channels) {
                to[0] = centre;
                to[width_] = scale;
                to[2 * width_] = static_cast<T>(bias - rest * static_cast<double>(scale));
            }
        }
    }

    // Channels first: a group is one run of memory, in chunks.

    Index run_length() const { return depth_ * images_.pixels; }
    Index chunks() const { return ceil_div(run_length(), chunk_size); }
    Index chunk_begin(Index chunk) const { return std::min(chunk * chunk_size, run_length()); }

    void measure_chunk(Index run, Index chunk) {
        const Index begin = chunk_begin(chunk);
        moments_[static_cast<std::size_t>(run * chunks() + chunk)] =
            kernels_.moments(x_ + run * run_length() + begin, chunk_begin(chunk + 1) - begin);
    }

    void bring_together(Index run) {
        set_constants(run / norm_.groups, run % norm_.groups,
                      together(moments_.data() + run * chunks(), 1, counts_, static_cast<double>(run_length())));
    }

    void scale_chunk(Index run, Index chunk) {
        const Index end = chunk_begin(chunk + 1), pixels = images_.pixels;
        const T* const of = constants(run / norm_.groups) + run % norm_.groups * depth_;
        for (Index begin = chunk_begin(chunk), next; begin < end; begin = next) {
            const Index c = begin / pixels, at = run * run_length() + begin;
            next = std::min(end, (c + 1) * pixels);
            kernels_.scale_run(norm_.activation, norm_.slope, y_ + at, x_ + at, next - begin, of[c], of[c + width_],
                               of[c + 2 * width_], nontemporal_);
        }
        if (nontemporal_) kernels_.fence();
    }

    void run_first() {
        const Index runs = images_.count * norm_.groups, all = chunks(), threads = threads_for(work());
        width_ = images_.channels;
        constants_.resize(static_cast<std::size_t>(images_.count * 3 * width_));
        moments_.resize(static_cast<std::size_t>(runs * all));
        for (Index k = 0; k < all; ++k) counts_.push_back(static_cast<double>(chunk_begin(k + 1) - chunk_begin(k)));
        if (runs >= 4 * threads || runs % threads == 0) {
            parallel(runs, work(), [&](Index run) {
                for (Index k = 0; k < all; ++k) measure_chunk(run, k);
                bring_together(run);
                for (Index k = all; k-- > 0;) scale_chunk(run, k);  // what was read last is still in the cache
            });
            return;
        }
        const Index shares = ceil_div(all, chunks_of_task);
        const auto each = [&](auto what) {
            parallel(runs * shares, work() / 2, [&](Index task) {
                const Index run = task / shares, share = task % shares;
                for (Index k = part(all, share, shares); k < part(all, share + 1, shares); ++k) (this->*what)(run, k);
            });
        };
        each(&Call::measure_chunk);
        for (Index run = 0; run < runs; ++run) bring_together(run);
        each(&Call::scale_chunk);
    }

    // Channels last: `fold_` neighbouring pixels count as one row, so that few channels fill whole vectors; blocks of rows.

    struct Block {
        Index pixel, rows, width;  // the first of its pixels
    };

    void lay_out_blocks() {
        const Index channels = images_.channels, lanes = kernels_.lanes;
        fold_ = channels >= 4 * lanes ? 1 : std::min(lanes / std::gcd(channels, lanes), images_.pixels);
        width_ = fold_ * channels;
        const Index rows = images_.pixels / fold_, most = std::clamp<Index>(block_size / width_, 16, most_rows);
        const Index blocks = ceil_div(rows, most);
        for (Index b = 0; b < blocks; ++b) {
            const Index begin = part(rows, b, blocks);
            blocks_.push_back({begin * fold_, part(rows, b + 1, blocks) - begin, width_});
        }
        if (const Index left = images_.pixels - rows * fold_) blocks_.push_back({rows * fold_, left, channels});
        for (const Block& b : blocks_) counts_.push_back(static_cast<double>(b.rows * (b.width / channels) * depth_));
    }

    Index place(Index image, const Block& block) const { return (image * images_.pixels + block.pixel) * images_.channels; }

    // The moments of a block's groups from those of its columns, which all have as many numbers.
    void measure_block(Index image, std::size_t number) {
        const Block& block = blocks_[number];
        const Index channels = images_.channels, columns = block.width;
        thread_local std::vector<double> of_columns;
        of_columns.resize(static_cast<std::size_t>(2 * columns));
        double* const mean = of_columns.data();
        double* const squares = mean + columns;
        kernels_.column_moments(mean, squares, x_ + place(image, block), block.rows, columns);
        const auto groups = static_cast<std::size_t>(norm_.groups);
        const double rows = static_cast<double>(block.rows), share = 1 / static_cast<double>(columns / channels * depth_);
        Moments* to = moments_.data() + (static_cast<std::size_t>(image) * blocks_.size() + number) * groups;
        for (Index first = 0; first < channels; first += depth_, ++to) {
            *to = {0, 0};
            for (Index at = first; at < columns; at += channels)
                for (Index c = at; c < at + depth_; ++c) to->mean += mean[c] * share;
            for (Index at = first; at < columns; at += channels)
                for (Index c = at; c < at + depth_; ++c) {
                    const double d = mean[c] - to->mean;
                    to->squares += squares[c] + rows * d * d;
                }
        }
    }

    void scale_block(Index image, std::size_t number) {
        const Block& block = blocks_[number];
        const Index at = place(image, block);
        const T* const of = constants(image);
        kernels_.scale_rows(norm_.activation, norm_.slope, y_ + at, x_ + at, block.rows, block.width, of, of + width_,
                            of + 2 * width_, nontemporal_);
        if (nontemporal_) kernels_.fence();
    }

    void run_last() {
        lay_out_blocks();
        const auto blocks = static_cast<Index>(blocks_.size());
        constants_.resize(static_cast<std::size_t>(images_.count * 3 * width_));
        moments_.resize(static_cast<std::size_t>(images_.count * blocks * norm_.groups));
        parallel(images_.count * blocks, work() / 2,
                 [&](Index task) { measure_block(task / blocks, static_cast<std::size_t>(task % blocks)); });
        const Index shares = ceil_div(norm_.groups, groups_of_task);
        parallel(images_.count * shares, work_of_element * static_cast<double>(moments_.size()), [&](Index task) {
            const Index image = task / shares, share = task % shares;
            for (Index group = part(norm_.groups, share, shares); group < part(norm_.groups, share + 1, shares); ++group)
                set_constants(image, group, together(moments_.data() + image * blocks * norm_.groups + group, norm_.groups,
                                                     counts_, static_cast<double>(run_length())));
        });
        parallel(images_.count * blocks, work() / 2,
                 [&](Index task) { scale_block(task / blocks, static_cast<std::size_t>(task % blocks)); });
    }

    const Kernels<S>& kernels_;
    const Norm<S>& norm_;
    const Images images_;
    const S* const x_;
    S* const y_;
    const Index depth_;            // channels of a group
    const bool nontemporal_;       // results are written past the caches
    Index width_ = 0, fold_ = 1;   // constants of one kind for an image
    std::vector<Block> blocks_;
    std::vector<double> counts_;   // numbers of a group in each chunk or block
    std::vector<Moments> moments_; // of each group in each chunk or block
    std::vector<T> constants_;     // of each image, of each channel: centre, scale, shift
};

template <class S>
void reference_norm(const Norm<S>& norm, const Images& images, const S* x, S* y) {
    const Index channels = images.channels, pixels = images.pixels, depth = channels / norm.groups;
    const double count = static_cast<double>(depth * pixels);
    const auto at = [&](Index n, Index c, Index p) {
        return images.last ? (n * pixels + p) * channels + c : (n * channels + c) * pixels + p;
    };
    for (Index run = 0; run < images.count * norm.groups; ++run) {
        const Index n = run / norm.groups, first = run % norm.groups * depth;
        const auto sum = [&](auto of) {  // with what rounding took from it added to the next (Kahan)
            double all = 0, lost = 0;
            for (Index c = first; c < first + depth; ++c)
                for (Index p = 0; p < pixels; ++p) {
                    const double next = of(static_cast<double>(widened(x[at(n, c, p)]))) + lost, more = all + next;
                    lost = next - (more - all);
                    all = more;
                }
            return all;
        };
        const double mean = sum([&](double v) { return v / count; });
        const double by = 1 / std::sqrt(sum([&](double v) { return (v - mean) * (v - mean); }) / count + norm.eps);
        for (Index c = first; c < first + depth; ++c) {
            const double weight = norm.weight ? static_cast<double>(norm.weight[c]) : 1;
            const double bias = norm.bias ? static_cast<double>(norm.bias[c]) : 0;
            for (Index p = 0; p < pixels; ++p) {
                const double v = (static_cast<double>(widened(x[at(n, c, p)])) - mean) * by * weight + bias;
                y[at(n, c, p)] = activated_as<S>(norm.activation, norm.slope, v);
            }
        }
    }
}

}  // namespace

template <class S>
void normalise(const Backend* backend, const Norm<S>& norm, const Images& images, const S* x, S* y) {
    if (images.size() == 0) return;
    if (!backend) return reference_norm(norm, images, x, y);
    Call<S>(kernels_of<S>(*backend), norm, images, x, y).run();
}

template void normalise(const Backend*, const Norm<float>&, const Images&, const float*, float*);
template void normalise(const Backend*, const Norm<double>&, const Images&, const double*, double*);
template void normalise(const Backend*, const Norm<Bf16>&, const Images&, const Bf16*, Bf16*);
template void normalise(const Backend*, const Norm<F16>&, const Images&, const F16*, F16*);

}  // namespace tconv
