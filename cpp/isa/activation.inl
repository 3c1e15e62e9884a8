// Activations of neighbouring outputs. All but the relus stand on one exponential of a number that is not positive:
//     exp(y) = 2^n * (1 + q),    n = round(y / ln 2),    q = expm1(y - n ln 2)
// with ln 2 as the sum of two numbers, the first so short that its product with n is exact (Cody and Waite), and a
// polynomial for q. The polynomials and quotients are minimax fits (Remez) made for this file.
// Results are off by at most, in units in the last place: sigmoid and tanh 2.5, silu 3.4, gelu 6.5, and 9 for x < -3.
#include <cstdint>

namespace {

template <class T>
struct Fit;

template <>
struct Fit<float> {
    using Bits = std::uint32_t;
    static constexpr int mantissa_bits = 23, exponent_bias = 127;
    static constexpr Bits sign = 0x80000000u, high_half = 0xfffff000u;  // whose square is exact
    static constexpr float rounder = 0x1.8p23f;                         // added, it leaves an integer
    static constexpr float lowest = -110;                               // exp(y) * -y is 0 below
    static constexpr float per_ln2 = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    // (expm1(r) - r) / r^2 for |r| <= ln 2 / 2: error 2e-8 of expm1
    static constexpr float expm1[] = {0.50000000660711765f, 0.16666538206410395f, 0.041666266176456446f,
                                      0.0083672313821589386f, 0.0013947603871946929f};
    // erfc(t / sqrt 2) / 2 * exp(t^2 / 2) as a quotient for 0 <= t <= 14.5: error 6e-9
    static constexpr float most = 14.5f;
    static constexpr float over[] = {0.50000000294998541f, 0.43830235643170782f, 0.18324063712149251f,
                                     0.040635081083216089f, 0.0041165836891701256f};
    static constexpr float under[] = {1.0f, 1.6744896940148730f, 1.2025259574165402f, 0.46948514330721080f,
                                      0.10186348802710165f, 0.010318625376863434f};
};

template <>
struct Fit<double> {
    using Bits = std::uint64_t;
    static constexpr int mantissa_bits = 52, exponent_bias = 1023;
    static constexpr Bits sign = 0x8000000000000000u, high_half = 0xfffffffff8000000u;
    static constexpr double rounder = 0x1.8p52;
    static constexpr double lowest = -752;
    static constexpr double per_ln2 = 1.4426950408889634, ln2_high = 0x1.62e42feep-1, ln2_low = 1.9082149292705877e-10;
    // error 2e-17 of expm1
    static constexpr double expm1[] = {0.50000000000000060623,    0.16666666666666687875,   0.041666666666566509559,
                                       0.0083333333333131272694,  0.0013888888934897581745, 0.00019841269906648706913,
                                       2.4801501242474521375e-5,  2.7557224401353481074e-6, 2.7627657444661560498e-7,
                                       2.5115680820552521518e-8};
    // for 0 <= t <= 38.7: error 5e-17
    static constexpr double most = 38.7;
    static constexpr double over[] = {0.49999999999999997475,   0.77469047992387244146,   0.59378080473863884386,
                                      0.28914323756169291094,   0.097614439388807256976,  0.023596514266000428722,
                                      0.0040838167855447756124, 4.8962348788821609681e-4, 3.7182159917570861283e-5,
                                      1.382500725964854335e-6};
    static constexpr double under[] = {1.0,                     2.347265520650600271,     2.560408528509609436,
                                       1.713525669307535346,    0.78150259697275690661,   0.25473330884579160562,
                                       0.060368063521206648,    0.010329812465042947874,  0.001230769494276773396,
                                       9.320185335904886411e-5, 3.4654154094119869189e-6};
};

template <class T>
using Bits = typename Vec<typename Fit<T>::Bits>::type;

template <class T>
INLINED V<T> masked(V<T> x, typename Fit<T>::Bits mask) {
    return reinterpret_cast<V<T>>(reinterpret_cast<Bits<T>>(x) & mask);
}

template <class T, int count>
INLINED V<T> polynomial(const T (&factors)[count], V<T> x) {
    V<T> sum = factors[count - 1] - V<T>{};
    for (int k = count - 2; k >= 0; --k) sum = sum * x + factors[k];
    return sum;
}

// exp(y) = (1 + q) * s * 2^-64. The last factor may make it subnormal, so it comes last.
template <class T>
struct Exponential {
    V<T> q, s;
};

constexpr int lift = 64;
constexpr float unlift = 0x1p-64f;

// exp(part + rest), which is exp(y) but for a rounding error in y. Where y is too low or NaN, s means nothing.
template <class T, class Rest>
INLINED Exponential<T> exponential(V<T> y, V<T> part, Rest rest) {
    using F = Fit<T>;
    const V<T> shifted = y * F::per_ln2 + F::rounder, n = shifted - F::rounder;
    const V<T> r = part - n * F::ln2_high - n * F::ln2_low + rest;
    const Bits<T> exponent = reinterpret_cast<Bits<T>>(shifted) + (F::exponent_bias + lift);
    return {r + r * r * polynomial(F::expm1, r), reinterpret_cast<V<T>>(exponent << F::mantissa_bits)};
}

template <class T>
INLINED Exponential<T> exponential(V<T> y) { return exponential<T>(y, y, T(-0.0)); }  // adding -0 costs nothing

// exp(y) * 2^64
template <class T>
INLINED V<T> lifted_exp(V<T> y) {
    const Exponential<T> e = exponential<T>(y);
    return y < Fit<T>::lowest ? V<T>{} : (1 + e.q) * e.s;
}

template <class T, Activation kind>
INLINED V<T> activated(V<T> x, [[maybe_unused]] T slope) {
    using F = Fit<T>;
    constexpr T down = unlift;
    if constexpr (kind == Activation::relu) {
        return x < 0 ? V<T>{} : x;  // NaN passes
    } else if constexpr (kind == Activation::leaky_relu) {
        return x < 0 ? x * slope : x;
    } else if constexpr (kind == Activation::sigmoid) {  // exp(-|x|) never overflows
        const V<T> e = lifted_exp<T>(-masked<T>(x, ~F::sign)) * down;
        return (x < 0 ? e : 1 - V<T>{}) / (1 + e);
    } else if constexpr (kind == Activation::silu) {
        const V<T> e = lifted_exp<T>(-masked<T>(x, ~F::sign));
        return (x < 0 ? x * e * down : x) / (1 + e * down);
    } else if constexpr (kind == Activation::tanh) {  // of |x|: -m / (2 + m) with m = expm1(-2|x|)
        const V<T> y = -2 * masked<T>(x, ~F::sign);
        const Exponential<T> e = exponential<T>(y);
        const V<T> s = e.s * down, m = s * e.q + (s - 1);
        const V<T> t = y < F::lowest ? 1 - V<T>{} : -m / (2 + m);
        return reinterpret_cast<V<T>>(reinterpret_cast<Bits<T>>(masked<T>(t, ~F::sign)) |
                                      reinterpret_cast<Bits<T>>(masked<T>(x, F::sign)));
    } else {  // gelu: x * P(a normal number < x); the chance of one > |x| is exp(-x^2 / 2) * over / under
        const V<T> a = masked<T>(x, ~F::sign), t = a < F::most ? a : F::most - V<T>{};
        // An error in x^2 / 2 would be as large in exp: so it is taken as an exact square and a small rest.
        const V<T> high = masked<T>(a, F::high_half), y = a * a * T(-0.5);
        const Exponential<T> e = exponential<T>(y, high * high * T(-0.5), (a - high) * (a + high) * T(-0.5));
        const V<T> beyond = (1 + e.q) * polynomial(F::over, t) / polynomial(F::under, t);
        const V<T> p = y < F::lowest ? V<T>{} : beyond * e.s;
        return x < 0 ? x * p * down : x * (1 - p * down);
    }
}

// One body for whole vectors and for the rest, so that bits do not depend on where an output lies.
template <class T, Activation kind>
void activate_all(T slope, T* y, Index count) {
    constexpr Index lanes = Vec<T>::lanes;
    for (Index left = count; left > 0; left -= lanes, y += lanes) {
        const V<T> out = activated<T, kind>(left >= lanes ? load(y) : load_some(y, left), slope);
        left >= lanes ? store(y, out) : store_some(y, out, 0, left);
    }
}

template <class T>
void activate(Activation kind, T slope, T* y, Index count) {
    switch (kind) {
        case Activation::relu: return activate_all<T, Activation::relu>(slope, y, count);
        case Activation::leaky_relu: return activate_all<T, Activation::leaky_relu>(slope, y, count);
        case Activation::tanh: return activate_all<T, Activation::tanh>(slope, y, count);
        case Activation::sigmoid: return activate_all<T, Activation::sigmoid>(slope, y, count);
        case Activation::gelu: return activate_all<T, Activation::gelu>(slope, y, count);
        case Activation::silu: return activate_all<T, Activation::silu>(slope, y, count);
        case Activation::none: return;
    }
}

}  // namespace
