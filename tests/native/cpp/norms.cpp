// Group norm of every backend of this processor against the reference, on a few shapes in both layouts, called by several
// threads at once; guard cells after the result must stay.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "dispatch.hpp"
#include "norm.hpp"
#include "threads.hpp"

using namespace tconv;

extern const Backend odd_backend;

namespace {

struct Case {
    Index images, channels, pixels, groups;
    Activation activation;
    bool constants;  // weight and bias
};

const Case cases[] = {
    {1, 32, 4096, 8, Activation::silu, true},     {2, 17, 131, 17, Activation::leaky_relu, true},
    {1, 6, 50001, 2, Activation::relu, false},    {3, 1, 1, 1, Activation::tanh, true},
    {1, 200, 70, 4, Activation::gelu, true},      {2, 3, 9001, 1, Activation::sigmoid, false},
    {5, 64, 3, 32, Activation::none, true},       {0, 4, 5, 2, Activation::none, true},
};

constexpr std::size_t guards = 16;

// What results may be off by, relative to 1 and themselves: half precision is rounded once, to one of two neighbours where
// sums differ.
template <class S>
constexpr double bound = std::is_same_v<S, double> ? 5e-14 : is_own_sum<S> ? 5e-6 : std::is_same_v<S, F16> ? 1e-3 : 8e-3;

template <class S>
bool agrees(const Case& c, const Choice& choice, bool last) {
    using T = Sum<S>;
    std::mt19937 random(1);
    std::normal_distribution<double> normal(2, 1);
    const auto numbers = [&]<class N>(Index count, N) {
        std::vector<N> all(static_cast<std::size_t>(count));
        for (N& value : all) value = rounded<N>(normal(random));
        return all;
    };
    const Images images{c.images, c.channels, c.pixels, last};
    const auto x = numbers(images.size(), S{});
    const auto weight = numbers(c.channels, T{}), bias = numbers(c.channels, T{});
    const Norm<S> norm{c.groups, 1e-5, c.constants ? weight.data() : nullptr, c.constants ? bias.data() : nullptr, c.activation,
                       T(0.1)};
    const auto result = [&](const Backend* backend) {
        std::vector<S> y(x.size() + guards, rounded<S>(99));
        normalise(backend, norm, images, x.data(), y.data());
        return y;
    };
    const std::vector<S> expected = result(nullptr);
    std::vector<S> found[3];
    std::vector<std::thread> callers;
    for (std::vector<S>& one : found) callers.emplace_back([&] { one = result(choice.backend); });
    for (std::thread& caller : callers) caller.join();
    for (const std::vector<S>& one : found)
        for (std::size_t i = 0; i < one.size(); ++i) {
            const double is = static_cast<double>(widened(one[i])), should = static_cast<double>(widened(expected[i]));
            const bool same = std::memcmp(&one[i], &found[0][i], sizeof(S)) == 0;
            if (same && std::abs(is - should) <= (i < x.size() ? bound<S> * (1 + std::abs(should)) : 0)) continue;
            std::printf("%s, %lld channels of %lld pixels, %d bits, channels %s: %.17g instead of %.17g at %zu\n",
                        choice.name.c_str(), static_cast<long long>(c.channels), static_cast<long long>(c.pixels),
                        static_cast<int>(8 * sizeof(S)), last ? "last" : "first", is, should, i);
            return false;
        }
    return true;
}

}  // namespace

int main() {
    set_num_threads(4);
    int wrong = 0;
    std::vector<Choice> all = choices();
    all.push_back({odd_backend.name, odd_backend.description, &odd_backend, true});
    for (const Choice& choice : all) {
        if (!choice.supported || !choice.backend) continue;
        for (const Case& c : cases)
            for (const bool last : {false, true})
                wrong += !agrees<float>(c, choice, last) + !agrees<double>(c, choice, last) +
                         !agrees<Bf16>(c, choice, last) + !agrees<F16>(c, choice, last);
        std::printf("%s: %zu norms\n", choice.name.c_str(), std::size(cases));
    }
    return wrong != 0;
}
