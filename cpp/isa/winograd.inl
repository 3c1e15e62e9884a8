// The kernels of winograd.hpp: what is done to inputs before, and to products after they are summed over the channels.
namespace {

// Along one axis four inputs d become d0-d2, d1+d2, d2-d1, d1-d3.
template <class T>
INLINED void spread(V<T> (&d)[4]) {
    const V<T> sum = d[1] + d[2], difference = d[2] - d[1];
    d[0] -= d[2];
    d[3] = d[1] - d[3];
    d[1] = sum;
    d[2] = difference;
}

// Six inputs, at the points 0, root, -root, 2*root, -2*root and infinity.
template <class T>
constexpr T root = T(0.70710678118654752440);  // of a half: see ways/winograd.hpp

template <class T>
INLINED void spread(V<T> (&d)[6]) {
    const V<T> near = d[4] - T(2) * d[2], aside = root<T> * (d[3] - T(2) * d[1]);
    const V<T> far = d[4] - T(0.5) * d[2], apart = root<T> * (T(2) * d[3] - d[1]);
    d[0] = d[0] + d[4] - T(2.5) * d[2];
    d[5] = d[1] + d[5] - T(2.5) * d[3];
    d[1] = near + aside;
    d[2] = near - aside;
    d[3] = far + apart;
    d[4] = far - apart;
}

// Along one axis four products m become two outputs m0+m1+m2, m1-m2-m3, or three m0+m1+m2, m1-m2, m1+m2-m3.
template <class T, int outputs>
INLINED void collect(V<T> (&y)[outputs], const V<T> (&m)[4]) {
    y[0] = m[0] + m[1] + m[2];
    if constexpr (outputs == 2) {
        y[1] = m[1] - m[2] - m[3];
    } else {
        y[1] = m[1] - m[2];
        y[2] = m[1] + m[2] - m[3];
    }
}

// Three taps, the first of which meets the first of a cell's inputs, at the six points, over the product of the distances
// of each to the others.
template <class T>
INLINED void transform(V<T> (&to)[6], const V<T> (&g)[3]) {
    const V<T> near = g[0] + T(0.5) * g[2], aside = root<T> * g[1], far = g[0] + T(2) * g[2], apart = T(2) * aside;
    to[0] = g[0];
    to[1] = (near + aside) * T(-1 / 1.5);
    to[2] = (near - aside) * T(-1 / 1.5);
    to[3] = (far + apart) * T(1 / 6.0);
    to[4] = (far - apart) * T(1 / 6.0);
    to[5] = g[2];
}

template <class T>
void transform_taps(T* to, Index point_step, const T* taps) {
    constexpr int lanes = Vec<T>::lanes;
    V<T> rows[6][3];
    for (int j = 0; j < 3; ++j) {
        V<T> column[3], points[6];
        for (int i = 0; i < 3; ++i) column[i] = load(taps + (3 * i + j) * lanes);
        transform<T>(points, column);
        for (int i = 0; i < 6; ++i) rows[i][j] = points[i];
    }
    for (int i = 0; i < 6; ++i) {
        V<T> points[6];
        transform<T>(points, rows[i]);
        for (int j = 0; j < 6; ++j) store(to + (6 * i + j) * point_step, points[j]);
    }
}

// Six products become four outputs or five: the powers of the points, and what is at infinity in the last one.
template <class T, int outputs>
INLINED void collect(V<T> (&y)[outputs], const V<T> (&m)[6]) {
    const V<T> near = m[1] + m[2], far = m[3] + m[4], aside = m[1] - m[2], apart = m[3] - m[4];
    y[0] = m[0] + near + far;
    y[1] = root<T> * (aside + T(2) * apart);
    y[2] = T(0.5) * near + T(2) * far;
    y[3] = root<T> * (T(0.5) * aside + T(4) * apart);
    if constexpr (outputs == 5) y[4] = T(0.25) * near + T(4) * far;
    y[outputs - 1] += m[5];
}

template <class S, int points>
void spread_tile(Sum<S>* to, Index point_step, const S* const* x, Index channels) {
    using T = Sum<S>;
    constexpr int lanes = Vec<T>::lanes;
    for (Index c = 0; c < channels; c += lanes) {
        V<T> d[points][points];
        for (int j = 0; j < points; ++j) {
            V<T> column[points];
            for (int i = 0; i < points; ++i) column[i] = load_up_to(x[points * i + j] + c, channels - c);
            spread<T>(column);
            for (int i = 0; i < points; ++i) d[i][j] = column[i];
        }
        for (int i = 0; i < points; ++i) {
            spread<T>(d[i]);
            for (int j = 0; j < points; ++j) store(to + (points * i + j) * point_step + c, d[i][j]);
        }
    }
}

template <class T, int points, int rows, int columns>
bool collect_tile(T* y, Index y_row, Index y_column, unsigned wanted, const T* m, Index point_step, T scale,
                  const T* bias, Index channels) {
    constexpr int lanes = Vec<T>::lanes;
    V<T> zeros = {};  // or NaN, where an output is not finite
    for (Index c = 0; c < channels; c += lanes) {
        V<T> half[rows][points];
        for (int j = 0; j < points; ++j) {
            V<T> column[points], out[rows];
            for (int i = 0; i < points; ++i) column[i] = load(m + (points * i + j) * point_step + c);
            collect<T, rows>(out, column);
            for (int i = 0; i < rows; ++i) half[i][j] = out[i];
        }
        const V<T> first = load(bias + c);
        for (int i = 0; i < rows; ++i) {
            V<T> out[columns];
            collect<T, columns>(out, half[i]);
            for (int j = 0; j < columns; ++j) {
                const V<T> value = out[j] * scale + first;
                zeros += value * T(0);
                if (!(wanted >> (i * columns + j) & 1)) continue;
                T* at = y + i * y_row + j * y_column + c;
                if (c + lanes <= channels)
                    store(at, value);
                else
                    store_some(at, value, 0, channels - c);
            }
        }
    }
    T sum = 0;
    for (int l = 0; l < lanes; ++l) sum += zeros[l];
    return sum == 0;
}

// By the taps on either axis, three or two: as many outputs are left as points and one more.
template <class S, int points>
constexpr tconv::TileKernels<S> tile_kernels() {
    using T = Sum<S>;
    constexpr int three = points - 2, two = points - 1;
    return {spread_tile<S, points>,
            {{collect_tile<T, points, three, three>, collect_tile<T, points, three, two>},
             {collect_tile<T, points, two, three>, collect_tile<T, points, two, two>}}};
}

template <class S>
constexpr tconv::TileKernels<S> small_tile_kernels() {
    if constexpr (tconv::is_own_sum<S>)
        return tile_kernels<S, tconv::small_tile>();
    else
        return {};
}

}  // namespace
