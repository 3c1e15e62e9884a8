// Every backend of this processor against the reference, on a few layers; fails if one differs. Numbers are small
// multiples of 1/16, so that sums are exact in any order and what is linear must agree to the last bit, rounded or not; but
// for Winograd's algorithm with tiles of six points and more, which divides.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "dispatch.hpp"
#include "layer.hpp"
#include "sizes.hpp"

using namespace tconv;

extern const Backend odd_backend;
#if defined(__x86_64__)
extern const Kernels<Bf16, Bf16Pair> pairs_by_hand;
#endif

namespace {

struct Case : Sizes {
    Activation activation;
    bool winograd = false, divides = false;  // of half precision, it always divides
};

const Case cases[] = {
    {"2-D stride 2", 2, 3, 17, 1, {5, 37}, {10, 74}, {{4, 2, 1, 1}, {4, 2, 1, 1}}, Activation::none},
    {"2-D stride 1, groups", 1, 4, 6, 2, {4, 33}, {4, 33}, {{3, 1, 1, 1}, {3, 1, 1, 1}}, Activation::relu},
    {"1-D long kernel", 1, 3, 8, 1, {40}, {320}, {{16, 8, 1, 4}}, Activation::leaky_relu},
    {"1-D dilation", 2, 2, 5, 1, {70}, {142}, {{3, 2, 3, 2}}, Activation::gelu},
    {"1-D holes and bias only", 1, 2, 3, 1, {9}, {47}, {{2, 5, 1, -3}}, Activation::sigmoid},
    {"few pixels, many channels", 2, 9, 40, 1, {3, 4}, {6, 8}, {{2, 2, 1, 0}, {2, 2, 1, 0}}, Activation::none},
    {"depthwise", 1, 5, 5, 5, {3, 20}, {6, 40}, {{4, 2, 1, 1}, {4, 2, 1, 1}}, Activation::silu},
    {"3-D", 1, 2, 4, 2, {2, 3, 19}, {3, 4, 38}, {{3, 2, 1, 1}, {2, 1, 2, 0}, {3, 2, 1, 1}}, Activation::tanh},
    {"many small images", 9, 3, 20, 1, {3, 3}, {6, 6}, {{4, 2, 1, 1}, {4, 2, 1, 1}}, Activation::none},
    {"a tile of images, few zeros around", 33, 3, 70, 1, {12, 12}, {24, 24}, {{4, 2, 1, 1}, {4, 2, 1, 1}}, Activation::relu},
    {"a pixel", 3, 5, 6, 1, {1, 1}, {3, 4}, {{3, 1, 1, 0}, {4, 2, 1, 0}}, Activation::relu},
    {"a small map", 2, 256, 36, 1, {4, 5}, {9, 11}, {{3, 2, 1, 0}, {3, 2, 1, 0}}, Activation::silu},
    {"a small map of 3-D, cropped", 1, 64, 20, 1, {3, 2, 4}, {7, 4, 6}, {{3, 2, 1, 0}, {4, 1, 1, 1}, {2, 1, 2, 0}}, Activation::none},
    {"few channels", 2, 6, 1, 1, {7, 40}, {14, 80}, {{5, 2, 1, 2}, {5, 2, 1, 2}}, Activation::none},
    {"long sums", 1, 1100, 9, 1, {4, 5}, {8, 10}, {{3, 2, 1, 1}, {3, 2, 1, 1}}, Activation::none},
    {"Winograd", 2, 40, 36, 1, {23, 20}, {24, 20}, {{3, 1, 1, 0}, {3, 1, 1, 1}}, Activation::none, true, true},
    {"Winograd, small tiles", 2, 40, 36, 1, {8, 9}, {8, 9}, {{3, 1, 1, 1}, {3, 1, 1, 1}}, Activation::none, true},
    {"Winograd, stride 2", 1, 80, 72, 2, {16, 17}, {32, 34}, {{4, 2, 1, 1}, {5, 2, 1, 2}}, Activation::relu, true},
    {"Winograd, one axis", 2, 40, 36, 1, {200}, {203}, {{7, 1, 1, 2}}, Activation::relu, true, true},
    {"Winograd, one axis, dilation", 1, 40, 68, 2, {260}, {256}, {{11, 1, 3, 17}}, Activation::none, true, true},
    {"enough for threads", 1, 32, 32, 1, {16, 24}, {32, 48}, {{4, 2, 1, 1}, {4, 2, 1, 1}}, Activation::none},
};

// How arrays lie in memory: the input's rows may be read from their ends, channels may come last.
enum Layout { straight, reversed, channels_last };
const char* const layouts[] = {"straight", "reversed", "channels last"};

constexpr Index gap = 3;  // guard cells after each row of the output, and before the first

Size shape_of(Index batch, Index channels, const Size& size) {
    Size shape{batch, channels};
    shape.insert(shape.end(), size.begin(), size.end());
    return shape;
}

template <class S>
std::vector<S> numbers(Index count, unsigned seed) {
    std::minstd_rand random(seed);
    std::vector<S> result(static_cast<std::size_t>(count));
    for (S& value : result) value = narrowed<S>(static_cast<Sum<S>>(static_cast<int>(random() % 33) - 16) / 16);
    return result;
}

// How far apart neighbouring numbers near 1 are.
template <class S>
constexpr double step_of = sizeof(S) == sizeof(float) ? 1e-6 : 1e-15;
template <>
constexpr double step_of<Bf16> = 0x1p-7;
template <>
constexpr double step_of<F16> = 0x1p-10;

template <class S>
const char* const name_of = sizeof(S) == sizeof(float) ? "float32" : "float64";
template <>
const char* const name_of<Bf16> = "bfloat16";
template <>
const char* const name_of<F16> = "float16";

// Elements of what lies together in memory: a row of pixels, or the channels of one.
Index row_length(const Size& shape, Layout layout) { return layout == channels_last ? shape[1] : shape.back(); }

Size strides_of(const Size& shape, Layout layout, Index after_each_row) {
    Size order(shape.size()), strides(shape.size());
    std::iota(order.begin(), order.end(), 0);
    if (layout == channels_last) std::rotate(order.begin() + 1, order.begin() + 2, order.end());
    Index step = 1;
    for (std::size_t a = order.size(); a-- > 0;) {
        const auto axis = static_cast<std::size_t>(order[a]);
        strides[axis] = step;
        step *= shape[axis] + (a + 1 == order.size() ? after_each_row : 0);
    }
    return strides;
}

// The whole output buffer, guards included.
template <class S>
std::vector<S> result(const Layer<S>& layer, const Case& c, const std::vector<S>& x, const Lender<S>& lender, Layout layout) {
    const Size in = shape_of(c.batch, c.in_channels, c.in), out = shape_of(c.batch, c.out_channels, c.out);
    Size in_strides = strides_of(in, layout, 0);
    const Size out_strides = strides_of(out, layout, gap);
    if (layout == reversed) in_strides.back() = -1;
    const View<const S> from{x.data() + (layout == reversed ? in.back() - 1 : 0), in, in_strides};
    const Index row = row_length(out, layout), cells = product(out) / row * (row + gap);
    std::vector<S> y(static_cast<std::size_t>(gap + cells), narrowed<S>(99));
    layer.run(from, View<S>{y.data() + gap, out, out_strides}, &lender);
    return y;
}

template <class S>
bool agrees(const Case& c, const Choice& choice) {
    using T = Sum<S>;
    const auto x = numbers<S>(c.batch * c.in_channels * product(c.in), 1);
    const auto w = numbers<S>(c.in_channels * (c.out_channels / c.groups) * product(c.kernel()), 2);
    const auto b = numbers<T>(c.out_channels, 3);
    const Lender<S> lender = [&w] { return std::shared_ptr<const S>(std::shared_ptr<const void>(), w.data()); };
    const auto layer = [&](const Backend* backend, bool keeps) {
        return Layer<S>(w.data(), b.data(), keeps, c.in_channels, c.out_channels, c.groups, c.axes, c.activation, T(0.5),
                        backend, c.winograd);
    };
    const Layer<S> judged = layer(choice.backend, false), reference = layer(nullptr, true);
    const bool divided = is_own_sum<S> ? c.divides : c.winograd && c.axes.size() == 2;
    const double rounding = 2 * step_of<S>;
    const double tolerance = divided && is_own_sum<S> ? 30 * rounding : divided || c.activation > Activation::leaky_relu ? rounding : 0;

    // All at once: a layer may be run by several threads.
    std::vector<S> found[3];
    std::vector<std::thread> threads;
    for (const Layout layout : {straight, reversed, channels_last})
        threads.emplace_back([&, layout] { found[layout] = result(judged, c, x, lender, layout); });
    for (std::thread& thread : threads) thread.join();

    for (const Layout layout : {straight, reversed, channels_last}) {
        const std::vector<S> expected = result(reference, c, x, lender, layout);
        const Index row = row_length(shape_of(c.batch, c.out_channels, c.out), layout) + gap;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const bool guard = static_cast<Index>(i) % row < gap;
            const double is = widened(found[layout][i]), should = guard ? 99 : widened(expected[i]);
            if (std::abs(is - should) <= (guard ? 0 : tolerance * (1 + std::abs(should)))) continue;
            std::printf("%s, %s, %s, %s: %.17g instead of %.17g at %zu\n", choice.name.c_str(), c.name, name_of<S>,
                        layouts[layout], is, should, i);
            return false;
        }
    }
    return true;
}

}  // namespace

int main() {
    int wrong = 0;
    std::vector<Choice> all = choices();
    all.push_back({odd_backend.name, odd_backend.description, &odd_backend, true});
#if defined(__x86_64__)
    if (const Choice* pairs = choose("avx512bf16")) {
        static Backend by_hand = *pairs->backend;
        by_hand.pairs = &pairs_by_hand;
        all.push_back({"tiles by hand", "the kernels for AMX without AMX", &by_hand, true});
    }
#endif
    for (const Choice& choice : all) {
        if (!choice.supported || !choice.backend) continue;
        for (const Case& c : cases)
            wrong += !agrees<float>(c, choice) + !agrees<double>(c, choice) + !agrees<Bf16>(c, choice) + !agrees<F16>(c, choice);
        std::printf("%s: %zu layers\n", choice.name.c_str(), std::size(cases));
    }
    return wrong != 0;
}
