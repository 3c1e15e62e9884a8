// Small maps whose output reaches beyond the input: all pixels times all taps as one matrix product, in the way of the cells
// with every tap a phase of its own, whose results are then added up where they meet. The ways that compute an output at a
// time would multiply the zeros beyond the border, of which such maps have nearly as many as pixels. (With many images
// in channels-last arrays, the way of the cells leaves out those zeros.)
#pragma once
#include "cells.hpp"

namespace tconv {

template <class S>
class Col2im final : public Program<S> {
    static_assert(is_own_sum<S>, "products are rounded before they are added up");

   public:
    Col2im(const Form& layer, const Kernels<S>& kernels)
        : layer_(layer), cells_(one_axis(layer), kernels, Grouping::alike, LaneOrder::phase_then_channel), kernels_(kernels) {}

    static bool fits(const Query<S>& query) {
        const auto& [form, kernels, x, y, pairs] = query;
        if (form.groups > 1 || form.out_channels < kernels.lanes) return false;
        if (query.channels_last() && x.shape[0] >= kernels.rows) return false;  // cells of many images share their borders
        const double pixels = x.about_size() / static_cast<double>(x.shape[0] * x.shape[1]);
        const double kept = pixels * static_cast<double>(form.taps() * form.out_channels);
        if (kept * sizeof(S) > tuning::col2im::most_bytes) return false;
        const double outputs = y.about_size() / static_cast<double>(y.shape[0] * y.shape[1]);
        if (outputs > tuning::col2im::most_outputs) return false;
        double share = 1;  // times as many products that a cell for every output computes
        for (std::size_t a = 0; a < form.axes.size(); ++a)
            share *= static_cast<double>(ceil_div(y.shape[a + 2], form.axes[a].stride)) / static_cast<double>(x.shape[a + 2]);
        const double saved = (share - 1) * static_cast<double>(form.in_channels);
        return saved >= (query.channels_last() ? tuning::col2im::saved_to_cells : tuning::col2im::saved_to_pixels);
    }

    Index packed_bytes() const override { return cells_.packed_bytes(); }
    Packed pack(const Constants<S>& layer, const S* weights) const override {
        return cells_.pack({one_axis(layer), nullptr, Activation::none, S(0)}, weights);
    }

    Index workspace_bytes(const View<const S>& x, const View<S>& y) const override {
        const Index pixels = x.size() / x.shape[0] / x.shape[1] * std::min(x.shape[0], images_at_once(x, y));
        const Index numbers = pixels * (columns() + (pixel_step(x) == 0 ? layer_.in_channels : 0));
        return numbers * static_cast<Index>(sizeof(S)) +
               as_one_axis(pixels, in_place(x), nullptr, [&](const auto& in, const auto& out) {
                   return cells_.workspace_bytes(in, out);
               });
    }

    bool run(const Constants<S>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        const Index images = x.shape[0], at_once = std::min(images, images_at_once(x, y));
        std::vector<Index> x_shape(x.shape.begin(), x.shape.end()), y_shape(y.shape.begin(), y.shape.end());
        for (Index first = 0; first < images; first += at_once) {
            x_shape[0] = y_shape[0] = std::min(at_once, images - first);
            run_some(layer, packed, {x.at(first, 0), x_shape, x.strides}, {y.at(first, 0), y_shape, y.strides},
                     multiplications * static_cast<double>(x_shape[0]) / static_cast<double>(images));
        }
        return true;
    }

   private:
    Index images_at_once(const View<const S>& x, const View<S>& y) const {
        using namespace tuning::col2im;
        const Index kept = x.size() / x.shape[0] / x.shape[1] * columns() * static_cast<Index>(sizeof(S));
        const Index outputs = y.size() / y.shape[0] / y.shape[1];
        return std::max<Index>(1, std::min(most_bytes / kept, most_outputs / outputs));
    }

    void run_some(const Constants<S>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
                  double multiplications) const {
        thread_local Buffer<S> products;
        const Index pixels = x.size() / x.shape[1];
        S* const column = products.grow(pixels * columns());
        const Constants<S> plain{one_axis(layer_), nullptr, Activation::none, S(0)};
        Pixels from = in_place(x);
        if (from.step == 0) from = {brought(x), layer_.in_channels, 1};
        as_one_axis(pixels, from, column, [&](const auto& in, const auto& out) {
            return cells_.run(plain, packed, in, out, multiplications);
        });
        const auto meetings = plans_.get(shapes_of(x, y), [&] { return std::make_shared<const Meetings>(layer_, x, y); });
        const Index several = tuning::col2im::channels, tasks = ceil_div(layer_.out_channels, several);
        parallel(tasks, multiplications / 16, [&](Index task) {
            const Index first = task * several;
            add_up(layer, *meetings, column, y, first, std::min(several, layer_.out_channels - first));
        });
    }

    // For each output of channel 0: its place, and where the products that are added up to it begin.
    struct Meetings {
        Meetings(const Form& layer, const View<const S>& x, const View<S>& y) {
            Index outputs = 1, pixels = 1;
            for (std::size_t a = 2; a < y.shape.size(); ++a) outputs *= y.shape[a], pixels *= x.shape[a];
            std::vector<std::vector<Index>> of(static_cast<std::size_t>(x.shape[0] * outputs));
            for (Index pixel = 0; pixel < x.shape[0] * pixels; ++pixel)
                for (Index tap = 0; tap < layer.taps(); ++tap) {
                    const Index o = output(layer, x, y, pixel % pixels, tap);
                    if (o < 0) continue;
                    of[static_cast<std::size_t>(pixel / pixels * outputs + o)].push_back((pixel * layer.taps() + tap) *
                                                                                        layer.out_channels);
                }
            for (Index number = 0; number < x.shape[0] * outputs; ++number) {
                Index rest = number % outputs, at = number / outputs * y.strides[0];
                for (std::size_t a = y.shape.size() - 1; a >= 2; rest /= y.shape[a--]) at += rest % y.shape[a] * y.strides[a];
                place.push_back(at);
                const std::vector<Index>& own = of[static_cast<std::size_t>(number)];
                products.insert(products.end(), own.begin(), own.end());
                end.push_back(products.size());
            }
        }

        // The output that a pixel of an image meets by a tap, or -1.
        static Index output(const Form& layer, const View<const S>& x, const View<S>& y, Index pixel, Index tap) {
            Index found = 0, step = 1;
            for (std::size_t a = layer.axes.size(); a-- > 0; step *= y.shape[a + 2]) {
                const Axis& axis = layer.axes[a];
                const Index o = axis.stride * (pixel % x.shape[a + 2]) + axis.dilation * (tap % axis.kernel) - axis.crop_lo;
                if (o < 0 || o >= y.shape[a + 2]) return -1;
                found += o * step;
                pixel /= x.shape[a + 2], tap /= axis.kernel;
            }
            return found;
        }

        std::vector<Index> place;     // of each output, elements from the start of channel 0
        std::vector<Index> products;  // of all outputs
        std::vector<std::size_t> end;
    };

    // Products of a pixel.
    Index columns() const { return layer_.taps() * layer_.out_channels; }

    // How far apart neighbouring pixels are, of all images, if that is the same everywhere; else 0.
    static Index pixel_step(const View<const S>& x) {
        Index step = 1, expected = 0;
        bool found = false;
        for (std::size_t a = x.shape.size(); a-- > 0;) {
            if (a == 1 || x.shape[a] == 1) continue;
            if (!std::exchange(found, true)) step = expected = x.strides[a];
            if (x.strides[a] != expected) return 0;
            expected *= x.shape[a];
        }
        return step;
    }

    // The pixels of all images, where they lie.
    struct Pixels {
        const S* data;
        Index step, channel_step;
    };
    static Pixels in_place(const View<const S>& x) { return {x.data, pixel_step(x), x.strides[1]}; }

    // Copied, channel by channel, so that they follow one another.
    const S* brought(const View<const S>& x) const {
        thread_local Buffer<S> together;
        S* to = together.grow(x.size());
        const Index last = x.shape.back(), rows = x.size() / x.shape[1] / last;
        for (Index row = 0; row < rows; ++row, to += last * x.shape[1]) {
            const S* from = x.data;
            Index rest = row;
            for (std::size_t a = x.shape.size() - 1; a-- > 0;) {
                if (a == 1) continue;
                from += rest % x.shape[a] * x.strides[a];
                rest /= x.shape[a];
            }
            kernels_.bring(to, x.shape[1], from, x.strides[1], x.strides.back(), x.shape[1], last);
        }
        return together.data();
    }

    // Pixels as images of a single one, and the products as their outputs.
    template <class Use>
    auto as_one_axis(Index pixels, const Pixels& from, S* column, Use use) const {
        const Index taps = layer_.taps(), channels = layer_.out_channels, in_channels = layer_.in_channels;
        const Index x_shape[] = {pixels, in_channels, 1}, x_strides[] = {from.step, from.channel_step, 1};
        const Index y_shape[] = {pixels, channels, taps}, y_strides[] = {columns(), 1, channels};
        return use(View<const S>{from.data, x_shape, x_strides}, View<S>{column, y_shape, y_strides});
    }

    // Some channels of all outputs.
    void add_up(const Constants<S>& layer, const Meetings& meetings, const S* column, const View<S>& y, Index first,
                Index count) const {
        alignas(64) S sums[tuning::col2im::channels];
        std::size_t product = 0;
        for (std::size_t number = 0; number < meetings.place.size(); ++number) {
            for (Index j = 0; j < count; ++j) sums[j] = layer.bias_of(first + j);
            for (; product < meetings.end[number]; ++product) {
                const S* const from = column + meetings.products[product] + first;
                for (Index j = 0; j < count; ++j) sums[j] += from[j];
            }
            activate(kernels_, layer, sums, count, 1);
            S* const to = y.data + meetings.place[number] + first * y.strides[1];
            for (Index j = 0; j < count; ++j) to[j * y.strides[1]] = sums[j];
        }
    }

    const Form layer_;
    const CellLanes<S, S> cells_;
    const Kernels<S>& kernels_;
    Recent<Meetings> plans_;
};

template <class S>
constexpr Way<S> col2im_way{
    "col2im", false, true, Col2im<S>::fits, [](const Query<S>&) { return 0; },
    [](const Query<S>& query, int) -> std::shared_ptr<const Program<S>> {
        return shared_program<Col2im<S>>(query.form, query.kernels);
    }};

}  // namespace tconv
