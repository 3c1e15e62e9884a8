// Gradients of every backend of this processor against the sums of the definition, on a few layers in both layouts, called
// by several threads at once; guard cells around the results must stay. Numbers are small integers: sums are exact.
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dispatch.hpp"
#include "gradients/gradients.hpp"
#include "sizes.hpp"
#include "threads.hpp"

using namespace tconv;

extern const Backend odd_backend;

namespace {

const Sizes cases[] = {
    {"overlap", 2, 19, 21, 1, {9, 21}, {18, 42}, {{3, 2, 1, 1}, {3, 2, 1, 1}}},
    {"no overlap, many pixels", 2, 37, 33, 1, {19, 33}, {38, 66}, {{2, 2, 1, 0}, {2, 2, 1, 0}}},
    {"few columns", 1, 66, 3, 1, {23, 31}, {46, 62}, {{4, 2, 1, 1}, {4, 2, 1, 1}}},
    {"few pixels, many weights", 1, 300, 20, 1, {3, 5}, {6, 10}, {{4, 2, 1, 1}, {4, 2, 1, 1}}},
    {"groups", 1, 10, 14, 2, {9, 33}, {17, 65}, {{3, 2, 1, 1}, {3, 2, 1, 1}}},
    {"dilation", 1, 9, 11, 1, {70}, {143}, {{3, 2, 3, 1}}},
    {"outputs that nothing reaches", 1, 3, 5, 1, {9}, {60}, {{2, 6, 1, -4}}},
    {"one of each", 1, 1, 1, 1, {40}, {40}, {{3, 1, 1, 1}}},
    {"3-D", 1, 6, 8, 1, {4, 5, 6}, {8, 10, 12}, {{2, 2, 1, 0}, {2, 2, 1, 0}, {2, 2, 1, 0}}},
    {"depthwise", 2, 19, 19, 19, {9, 21}, {18, 42}, {{4, 2, 1, 1}, {4, 2, 1, 1}}},
    {"depthwise, few channels, long rows", 1, 2, 2, 2, {2100}, {6303}, {{5, 3, 2, 1}}},
    {"rows in slabs", 1, 3, 70, 1, {160, 33}, {319, 65}, {{3, 2, 1, 1}, {3, 2, 1, 1}}},
};

constexpr std::size_t guards = 32;

// An array (batch, channels, *size) with its strides, between guards.
template <class T>
struct Array {
    Array(Index batch, Index channels, const Size& size, bool last) : shape{batch, channels}, strides(size.size() + 2) {
        shape.insert(shape.end(), size.begin(), size.end());
        Index step = 1;
        if (last) strides[1] = step, step *= channels;
        for (std::size_t a = shape.size(); a-- > 2; step *= shape[a]) strides[a] = step;
        if (!last) strides[1] = step, step *= channels;
        strides[0] = step;
        numbers.assign(static_cast<std::size_t>(product(shape)) + 2 * guards, T(99));
    }

    void draw(std::minstd_rand& random) {
        for (std::size_t i = guards; i + guards < numbers.size(); ++i) numbers[i] = static_cast<T>(static_cast<int>(random() % 9) - 4);
    }

    template <class V>
    View<V> view() { return {numbers.data() + guards, shape, strides}; }

    Size shape, strides;
    std::vector<T> numbers;
};

// Calls use(place of the input, place of the output, tap) for all that meet; places are of image 0 and channel 0.
template <class T, class Use>
void each_meeting(const Sizes& c, const Array<T>& x, const Array<T>& y, Use use) {
    const Size kernel = c.kernel();
    for (Index pixel = 0; pixel < product(c.in); ++pixel)
        for (Index tap = 0; tap < product(kernel); ++tap) {
            Index i = pixel, k = tap, from = 0, to = 0;
            bool inside = true;
            for (std::size_t a = c.axes.size(); a-- > 0; i /= c.in[a], k /= kernel[a]) {
                const Axis& axis = c.axes[a];
                const Index o = axis.stride * (i % c.in[a]) + axis.dilation * (k % kernel[a]) - axis.crop_lo;
                inside = inside && o >= 0 && o < c.out[a];
                from += i % c.in[a] * x.strides[a + 2], to += o * y.strides[a + 2];
            }
            if (inside) use(from, to, tap);
        }
}

template <class T>
bool agrees(const Sizes& c, const Backend& backend, bool last) {
    const Index inputs = c.in_channels / c.groups, outputs = c.out_channels / c.groups;
    Form form{c.axes, c.groups, inputs, outputs};
    const Size kernel = c.kernel();
    std::minstd_rand random(1);
    Array<T> x(c.batch, c.in_channels, c.in, last), grad(c.batch, c.out_channels, c.out, last);
    Array<T> weight(c.in_channels, outputs, kernel, last), of_x = x, of_weight = weight;
    for (Array<T>* each : {&x, &grad, &weight}) each->draw(random);
    std::fill(of_x.numbers.begin() + guards, of_x.numbers.end() - guards, T(0));
    std::fill(of_weight.numbers.begin() + guards, of_weight.numbers.end() - guards, T(0));
    const auto w_at = [&](Index in, Index out, Index tap) {
        return guards + static_cast<std::size_t>(in * weight.strides[0] + out * weight.strides[1] + tap * weight.strides.back());
    };
    each_meeting(c, x, grad, [&](Index from, Index to, Index tap) {
        for (Index n = 0; n < c.batch; ++n)
            for (Index in = 0; in < c.in_channels; ++in)
                for (Index out = 0; out < outputs; ++out) {
                    const Index channel = in / inputs * outputs + out;
                    const auto i = guards + static_cast<std::size_t>(n * x.strides[0] + in * x.strides[1] + from);
                    const auto o = guards + static_cast<std::size_t>(n * grad.strides[0] + channel * grad.strides[1] + to);
                    of_x.numbers[i] += grad.numbers[o] * weight.numbers[w_at(in, out, tap)];
                    of_weight.numbers[w_at(in, out, tap)] += grad.numbers[o] * x.numbers[i];
                }
    });
    bool same[3] = {};
    std::vector<std::thread> threads;
    for (bool& right : same)
        threads.emplace_back([&] {
            Array<T> mine(c.batch, c.in_channels, c.in, last), of_mine(c.in_channels, outputs, kernel, last);
            const bool done = gradients<T>(form, kernels_of<T>(backend), x.template view<const T>(), weight.numbers.data() + guards,
                                           last, grad.template view<const T>(), mine.template view<T>(),
                                           of_mine.numbers.data() + guards);
            right = done && mine.numbers == of_x.numbers && of_mine.numbers == of_weight.numbers;
        });
    for (std::thread& thread : threads) thread.join();
    if (same[0] && same[1] && same[2]) return true;
    std::printf("%s differs: %s, %s, channels %s\n", backend.name, c.name, sizeof(T) == 4 ? "float32" : "float64", last ? "last" : "first");
    return false;
}

}  // namespace

int main() {
    std::vector<std::pair<std::string, const Backend*>> backends;
    for (const Choice& choice : choices())
        if (choice.supported && choice.backend) backends.emplace_back(choice.name, choice.backend);
    backends.emplace_back("odd", &odd_backend);
    set_num_threads(3);
    int wrong = 0;
    for (const auto& [name, backend] : backends) {
        const int before = wrong;
        for (const Sizes& c : cases)
            for (const bool last : {false, true}) wrong += !agrees<float>(c, *backend, last) + !agrees<double>(c, *backend, last);
        if (wrong == before) std::printf("%s: agrees\n", name.c_str());
    }
    return wrong != 0;
}
