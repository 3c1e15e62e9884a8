// Sparse codes of every backend of this processor: a sweep lowers the objective by what it says, the residual stays that of
// the codes, all numbers of threads give the same bits, and backends agree. Several threads work at once, each on its own.
#include <cmath>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "codes.hpp"
#include "dispatch.hpp"
#include "threads.hpp"

using namespace tconv;

extern const Backend odd_backend;

namespace {

struct Case {
    CodeShape shape;
    bool masked;
};

const Case cases[] = {
    {{1, 1, 4, {5}, {1}, {600}}, false},           {{2, 2, 3, {21}, {3}, {90}}, true},
    {{1, 1, 5, {8, 8}, {1, 1}, {33, 40}}, false},  {{2, 2, 3, {3, 11}, {2, 1}, {20, 19}}, true},
    {{1, 3, 2, {4, 17}, {1, 2}, {9, 12}}, false},  {{1, 1, 2, {3, 4, 5}, {1, 2, 1}, {6, 7, 8}}, true},
};

// What is left of some noise after a few sweeps, and how much less the objective became in each.
template <class T>
std::vector<T> swept(const Case& c, const Backend* backend, bool& right) {
    Codes<T> codes(c.shape, backend);
    std::mt19937 random(1);
    std::normal_distribution<double> normal;
    const std::vector<Index>& canvas = codes.canvas();
    const Index width = canvas.back(), pitch = codes.canvas_strides()[canvas.size() - 2], rows = CodeShape::of(canvas) / width;
    std::vector<T> target;
    for (Index r = 0; r < rows; ++r)
        for (Index j = 0; j < width; ++j) {
            const T weight = c.masked ? T(random() % 3) / 2 : T(1);
            codes.weights()[r * pitch + j] = weight;
            target.push_back(weight * static_cast<T>(normal(random)));
        }
    const auto begin = [&] {
        for (Index r = 0; r < rows; ++r) std::copy_n(target.data() + r * width, width, codes.residual() + r * pitch);
    };
    begin();
    std::vector<T> kernels(static_cast<std::size_t>(c.shape.kernels * c.shape.taps()));
    for (T& tap : kernels) tap = static_cast<T>(normal(random) / std::sqrt(static_cast<double>(c.shape.taps())));
    std::vector<Index> plain;
    for (std::size_t a = 2; a < canvas.size(); ++a) plain.insert(plain.end(), {0, c.masked ? 0 : canvas[a]});
    codes.set(kernels.data(), plain);
    const Index places = c.shape.places_of_kernel();
    std::vector<T> responses(static_cast<std::size_t>(c.shape.kernels * places));
    for (T& one : responses) one = static_cast<T>(normal(random));  // any choice of atoms will do
    for (Index image = 0; image < c.shape.images; ++image)
        codes.screen(image, 0, c.shape.places.front(), responses.data(), T(1), false);
    const auto objective = [&] {
        double sum = 0;
        for (Index r = 0; r < rows; ++r)
            for (Index j = 0; j < width; ++j) {
                const double rest = static_cast<double>(codes.residual()[r * pitch + j]);
                const double weight = static_cast<double>(codes.weights()[r * pitch + j]);
                if (weight > 0) sum += rest * rest / weight / 2;
            }
        return sum + 0.1 * codes.norm();
    };
    const double tight = sizeof(T) == sizeof(float) ? 1e-4 : 1e-10;
    for (int sweep = 0; sweep < 3; ++sweep) {
        const double before = objective(), less = codes.descend(T(0.1), sweep == 1, sweep);
        if (sweep != 1) right = right && std::abs(before - objective() - less) <= tight * before;
    }
    std::vector<T> found(codes.residual(), codes.residual() + rows * pitch);
    std::vector<T> sums(kernels.size()), one(static_cast<std::size_t>(c.shape.taps()), T(0.01));
    codes.correlate(sums.data());
    found.insert(found.end(), sums.begin(), sums.end());
    codes.move(1, one.data());
    for (std::size_t t = 0; t < one.size(); ++t) kernels[one.size() + t] += one[t];
    const std::vector<T> moved(codes.residual(), codes.residual() + rows * pitch);
    codes.set(kernels.data(), plain);
    begin();
    codes.subtract();
    for (std::size_t i = 0; i < moved.size(); ++i)
        right = right && std::abs(static_cast<double>(moved[i] - codes.residual()[i])) <= 10 * tight;
    std::vector<T> lags(static_cast<std::size_t>(c.shape.kernels * c.shape.kernels * CodeShape::of(codes.lags())), T(0));
    codes.overlaps(lags.data());
    found.insert(found.end(), lags.begin(), lags.end());
    std::vector<T> dense(static_cast<std::size_t>(c.shape.images) * responses.size(), T(0));
    codes.write(dense.data());
    codes.clear();
    codes.read(dense.data());
    std::vector<T> again(dense.size(), T(0));
    codes.write(again.data());
    right = right && again == dense;
    return found;
}

template <class T>
bool agrees(const Case& c, const Choice& choice) {
    bool right = true, each[3] = {true, true, true};
    const std::vector<T> expected = swept<T>(c, &portable_backend, right);
    std::vector<T> found[3];
    std::vector<std::thread> callers;
    for (int n = 0; n < 3; ++n) callers.emplace_back([&, n] {
        const Employed workers({n + 1, false, nullptr});
        found[n] = swept<T>(c, choice.backend, each[n]);
    });
    for (std::thread& caller : callers) caller.join();
    const double bound = sizeof(T) == sizeof(float) ? 1e-3 : 1e-10;
    for (int n = 0; n < 3; ++n) {
        right = right && each[n] && found[n] == found[0];
        for (std::size_t i = 0; i < expected.size(); ++i)
            right = right && std::abs(static_cast<double>(found[n][i] - expected[i])) <= bound;
    }
    if (!right)
        std::printf("%s, float%d: wrong codes for %zu axes, kernels of %lld\n", choice.name.c_str(),
                    static_cast<int>(8 * sizeof(T)), c.shape.kernel.size(), static_cast<long long>(c.shape.kernel.back()));
    return right;
}

}  // namespace

int main() {
    set_num_threads(4);
    int wrong = 0;
    std::vector<Choice> all = choices();
    all.push_back({odd_backend.name, odd_backend.description, &odd_backend, true});
    for (const Choice& choice : all) {
        if (!choice.supported || !choice.backend) continue;
        for (const Case& c : cases) wrong += !agrees<float>(c, choice) + !agrees<double>(c, choice);
        std::printf("%s: %zu codes\n", choice.name.c_str(), std::size(cases));
    }
    return wrong != 0;
}
