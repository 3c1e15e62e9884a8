// The kernels of winograd_line.hpp: what is done to inputs before, and to products after they are summed over the channels.
namespace {

// a0 b0 c0 d0 a1 b1 c1 d1 ... from four vectors become a, b, c and d: the even and the odd places, twice.
template <class T, int... l>
INLINED void deal(V<T> (&p)[4], std::integer_sequence<int, l...>) {
    const V<T> even = __builtin_shufflevector(p[0], p[1], 2 * l...);
    const V<T> odd = __builtin_shufflevector(p[0], p[1], 2 * l + 1 ...);
    const V<T> more = __builtin_shufflevector(p[2], p[3], 2 * l...);
    const V<T> rest = __builtin_shufflevector(p[2], p[3], 2 * l + 1 ...);
    p[0] = __builtin_shufflevector(even, more, 2 * l...);
    p[2] = __builtin_shufflevector(even, more, 2 * l + 1 ...);
    p[1] = __builtin_shufflevector(odd, rest, 2 * l...);
    p[3] = __builtin_shufflevector(odd, rest, 2 * l + 1 ...);
}

// Where lane l of two vectors that alternate comes from: of their first halves, and of their second.
template <int lanes>
constexpr int first_half(int l) {
    return l / 2 + l % 2 * lanes;
}
template <int lanes>
constexpr int second_half(int l) {
    return first_half<lanes>(l) + lanes / 2;
}

// The reverse.
template <class T, int... l>
INLINED void undeal(V<T> (&p)[4], std::integer_sequence<int, l...>) {
    constexpr int lanes = Vec<T>::lanes;
    const V<T> even = __builtin_shufflevector(p[0], p[2], first_half<lanes>(l)...);
    const V<T> more = __builtin_shufflevector(p[0], p[2], second_half<lanes>(l)...);
    const V<T> odd = __builtin_shufflevector(p[1], p[3], first_half<lanes>(l)...);
    const V<T> rest = __builtin_shufflevector(p[1], p[3], second_half<lanes>(l)...);
    p[0] = __builtin_shufflevector(even, odd, first_half<lanes>(l)...);
    p[1] = __builtin_shufflevector(even, odd, second_half<lanes>(l)...);
    p[2] = __builtin_shufflevector(more, rest, first_half<lanes>(l)...);
    p[3] = __builtin_shufflevector(more, rest, second_half<lanes>(l)...);
}

// Runs are copied in pieces of so many bytes: what a piece copies beyond its run is overwritten by the next run.
template <class T, std::size_t bytes>
INLINED void copy_run(T* to, const T* from, Index count) {
    constexpr Index several = static_cast<Index>(bytes / sizeof(T));
    for (Index k = 0; k < count; k += several) std::memcpy(to + k, from + k, bytes);
}

template <class T, std::size_t bytes>
void split_by(T* planes, Index plane_step, const T* row, Index run, Index count) {
    for (Index b = 0; b < count; ++b, planes += run)
        for (int j = 0; j < 4; ++j, row += run) copy_run<T, bytes>(planes + j * plane_step, row, run);
}

template <class T, std::size_t bytes>
void join_by(T* row, const T* planes, Index plane_step, Index run, Index count) {
    for (Index b = 0; b < count; ++b, planes += run)
        for (int j = 0; j < 4; ++j, row += run) copy_run<T, bytes>(row, planes + j * plane_step, run);
}

template <class T>
void split_runs(T* planes, Index plane_step, const T* row, Index run, Index count) {
    const Index bytes = run * static_cast<Index>(sizeof(T));
    if (bytes <= 16) return split_by<T, 16>(planes, plane_step, row, run, count);
    if (bytes <= 32) return split_by<T, 32>(planes, plane_step, row, run, count);
    split_by<T, 64>(planes, plane_step, row, run, count);
}

template <class T>
void join_runs(T* row, const T* planes, Index plane_step, Index run, Index count) {
    const Index bytes = run * static_cast<Index>(sizeof(T));
    if (bytes <= 16) return join_by<T, 16>(row, planes, plane_step, run, count);
    if (bytes <= 32) return join_by<T, 32>(row, planes, plane_step, run, count);
    join_by<T, 64>(row, planes, plane_step, run, count);
}

// The polynomials with a root at every point but one, with the seven inputs as powers: for a and -a they differ in the
// sign of the odd powers.
template <class T>
INLINED void put_points(T* to, Index point_step, const V<T> (&d)[7]) {
    const V<T> even[3] = {d[6] + d[2] - d[4] * T(4.25), d[6] + d[2] * T(0.25) - d[4] * T(1.25),
                          d[6] + d[2] * T(4) - d[4] * T(5)};
    const V<T> odd[3] = {d[5] + d[1] - d[3] * T(4.25), d[5] * T(2) + d[1] * T(0.5) - d[3] * T(2.5),
                         d[5] * T(0.5) + d[1] * T(2) - d[3] * T(2.5)};
    store(to, (d[6] - d[0]) + (d[2] - d[4]) * T(5.25));
    for (int k = 0; k < 3; ++k) {
        store(to + (2 * k + 1) * point_step, even[k] + odd[k]);
        store(to + (2 * k + 2) * point_step, even[k] - odd[k]);
    }
}

// The four outputs: the sums over the points a of 1, a, a^2 and a^3 times the product.
template <class T>
INLINED void get_outputs(V<T> (&y)[4], const T* m, Index point_step, T bias) {
    V<T> sum[3], difference[3];
    for (int k = 0; k < 3; ++k) {
        const V<T> a = load(m + (2 * k + 1) * point_step), b = load(m + (2 * k + 2) * point_step);
        sum[k] = a + b;
        difference[k] = a - b;
    }
    y[0] = (load(m) + bias) + (sum[0] + sum[1] + sum[2]);
    y[1] = (difference[0] + bias) + difference[1] * T(2) + difference[2] * T(0.5);
    y[2] = (sum[0] + bias) + sum[1] * T(4) + sum[2] * T(0.25);
    y[3] = (difference[0] + bias) + difference[1] * T(8) + difference[2] * T(0.125);
}

// Zeros, or NaN where an output of the first lanes is not finite.
template <class T>
INLINED V<T> zeros_of(const V<T> (&y)[4], Index count) {
    V<T> zeros = (y[0] * T(0) + y[1] * T(0)) + (y[2] * T(0) + y[3] * T(0));
    for (Index l = count; l < Vec<T>::lanes; ++l) zeros[l] = 0;
    return zeros;
}

template <class T>
INLINED bool all_zero(V<T> zeros) {
    T sum = 0;
    for (int l = 0; l < Vec<T>::lanes; ++l) sum += zeros[l];
    return sum == 0;
}

template <class T>
void spread_runs(T* to, Index point_step, const T* const* x, Index count) {
    for (Index l = 0; l < count; l += Vec<T>::lanes) {
        V<T> d[7];
        for (int i = 0; i < 7; ++i) d[i] = load(x[i] + l);
        put_points<T>(to + l, point_step, d);
    }
}

template <class T>
bool collect_runs(T* planes, Index plane_step, const T* m, Index point_step, T bias, Index count) {
    constexpr Index lanes = Vec<T>::lanes;
    V<T> zeros = {};
    for (Index l = 0; l < count; l += lanes) {
        V<T> y[4];
        get_outputs<T>(y, m + l, point_step, bias);
        zeros += zeros_of<T>(y, count - l);
        for (int j = 0; j < 4; ++j) store(planes + j * plane_step + l, y[j]);
    }
    return all_zero<T>(zeros);
}

// The lanes of two vectors from the second on.
template <class T, int... l>
INLINED V<T> later(V<T> a, V<T> b, std::integer_sequence<int, l...>) {
    return __builtin_shufflevector(a, b, l + 1 ...);
}

template <class T>
void spread_row(T* to, Index point_step, const T* row, Index count) {
    constexpr int lanes = Vec<T>::lanes;
    constexpr auto numbers = std::make_integer_sequence<int, lanes>();
    const auto four = [&](V<T>(&p)[4], const T* from) {
        for (int j = 0; j < 4; ++j) p[j] = load(from + j * lanes);
        deal<T>(p, numbers);
    };
    V<T> now[4], next[4];
    four(now, row);
    for (Index l = 0; l < count; l += lanes) {
        four(next, row + 4 * (l + lanes));
        const V<T> d[7] = {now[0], now[1], now[2], now[3], later<T>(now[0], next[0], numbers),
                           later<T>(now[1], next[1], numbers), later<T>(now[2], next[2], numbers)};
        put_points<T>(to + l, point_step, d);
        for (int j = 0; j < 4; ++j) now[j] = next[j];
    }
}

template <class T>
bool collect_row(T* row, const T* m, Index point_step, T bias, Index count) {
    constexpr Index lanes = Vec<T>::lanes;
    V<T> zeros = {};
    for (Index l = 0; l < count; l += lanes, row += 4 * lanes) {
        V<T> y[4];
        get_outputs<T>(y, m + l, point_step, bias);
        zeros += zeros_of<T>(y, count - l);
        undeal<T>(y, std::make_integer_sequence<int, Vec<T>::lanes>());
        for (int j = 0; j < 4; ++j) {
            const Index rest = 4 * (count - l) - j * lanes;
            if (rest >= lanes)
                store(row + j * lanes, y[j]);
            else if (rest > 0)
                store_some(row + j * lanes, y[j], 0, rest);
        }
    }
    return all_zero<T>(zeros);
}

}  // namespace
