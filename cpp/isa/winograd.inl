// The kernels of winograd.hpp: what is done to inputs before, and to products after they are summed over the channels.
namespace {

// Along one axis four inputs d become d0-d2, d1+d2, d2-d1, d1-d3.
template <class T>
INLINED void spread(V<T>& a, V<T>& b, V<T>& c, V<T>& d) {
    const V<T> sum = b + c, difference = c - b;
    a -= c;
    d = b - d;
    b = sum;
    c = difference;
}

// Along one axis four products m become two outputs m0+m1+m2, m1-m2-m3, or three m0+m1+m2, m1-m2, m1+m2-m3.
template <class T, int outputs>
INLINED void collect(V<T> (&y)[outputs], V<T> a, V<T> b, V<T> c, V<T> d) {
    y[0] = a + b + c;
    if constexpr (outputs == 2) {
        y[1] = b - c - d;
    } else {
        y[1] = b - c;
        y[2] = b + c - d;
    }
}

template <class T>
void spread_tile(T* to, Index point_step, const T* const* x, Index channels) {
    constexpr int lanes = Vec<T>::lanes;
    for (Index c = 0; c < channels; c += lanes) {
        V<T> d[4][4];
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
                d[i][j] = c + lanes <= channels ? load(x[4 * i + j] + c) : load_some(x[4 * i + j] + c, channels - c);
        for (int j = 0; j < 4; ++j) spread<T>(d[0][j], d[1][j], d[2][j], d[3][j]);
        for (int i = 0; i < 4; ++i) {
            spread<T>(d[i][0], d[i][1], d[i][2], d[i][3]);
            for (int j = 0; j < 4; ++j) store(to + (4 * i + j) * point_step + c, d[i][j]);
        }
    }
}

template <class T, int rows, int columns>
bool collect_tile(T* y, Index y_row, Index y_column, unsigned wanted, const T* m, Index point_step, const T* bias,
                  Index channels) {
    constexpr int lanes = Vec<T>::lanes;
    V<T> zeros = {};  // or NaN, where an output is not finite
    for (Index c = 0; c < channels; c += lanes) {
        V<T> half[4][rows];
        for (int j = 0; j < 4; ++j)
            collect<T, rows>(half[j], load(m + j * point_step + c), load(m + (4 + j) * point_step + c),
                             load(m + (8 + j) * point_step + c), load(m + (12 + j) * point_step + c));
        const V<T> first = load(bias + c);
        for (int i = 0; i < rows; ++i) {
            V<T> out[columns];
            collect<T, columns>(out, half[0][i], half[1][i], half[2][i], half[3][i]);
            for (int j = 0; j < columns; ++j) {
                const V<T> value = out[j] + first;
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

}  // namespace
