// The kernels of norm.hpp: means and squared deviations of neighbours and of columns; normalising and activating.
//
// A variance as the mean of the squares less the square of the mean loses all its digits where the mean is large. So
// deviations from a shift are summed, for which the mean of an eighth of the numbers is near enough: if it is D from the mean
// m of all n, then squares = sum((x - m)^2) is at least n*D^2/7, and in sum((x - shift)^2) = squares + n*D^2 the part that
// is taken off again is at most seven times what stays.
namespace {

constexpr Index one_of = 8;  // numbers, that many, go into the shift

template <int bytes>
INLINED double total_of(typename Vec<double, bytes>::type v) {
    if constexpr (bytes == 16) {
        return v[0] + v[1];
    } else {
        typename Vec<double, bytes / 2>::type half[2];
        std::memcpy(half, &v, bytes);
        return total_of<bytes / 2>(half[0] + half[1]);
    }
}

// The sum over the lanes, in double precision.
template <class T>
INLINED double total(V<T> v) {
    if constexpr (sizeof(T) == sizeof(double)) {
        return total_of<VECTOR_BYTES>(v);
    } else {
        typename Vec<float, VECTOR_BYTES / 2>::type half[2];
        std::memcpy(half, &v, VECTOR_BYTES);
        const V<double> low = __builtin_convertvector(half[0], V<double>), high = __builtin_convertvector(half[1], V<double>);
        return total_of<VECTOR_BYTES>(low + high);
    }
}

// The mean of x[0..count), each divided before it is added: so the sum of finite numbers is finite.
template <class S, class T = Sum<S>>
INLINED T mean_of(const S* x, Index count) {
    constexpr Index lanes = Vec<T>::lanes;
    const T share = T(1) / static_cast<T>(count);
    V<T> sum[4] = {};
    Index j = 0;
    for (; j + 4 * lanes <= count; j += 4 * lanes)
        for (int v = 0; v < 4; ++v) sum[v] += load_as<T>(x + j + v * lanes) * share;
    for (; j < count; j += lanes) sum[0] += load_up_to(x + j, count - j) * share;
    return static_cast<T>(total<T>((sum[0] + sum[1]) + (sum[2] + sum[3])));
}

template <class S>
Moments moments(const S* x, Index count) {
    using T = Sum<S>;
    constexpr Index lanes = Vec<T>::lanes, step = 4 * lanes;
    const Index sampled = count <= step ? count : (count / one_of + step - 1) / step * step;
    const T shift = mean_of(x, sampled);
    V<T> sum[4] = {}, squares[4] = {};
    Index j = 0;
    for (; j + step <= count; j += step)
        for (int v = 0; v < 4; ++v) {
            const V<T> d = load_as<T>(x + j + v * lanes) - shift;
            sum[v] += d;
            squares[v] += d * d;
        }
    for (; j < count; j += lanes) {
        V<T> d = load_up_to(x + j, count - j) - shift;
        if (j + lanes > count) {  // nothing from lanes that are not there
            const V<T> one = T(1) - V<T>{};
            d *= load_some(reinterpret_cast<const T*>(&one), count - j);
        }
        sum[0] += d;
        squares[0] += d * d;
    }
    const double n = static_cast<double>(count), s = total<T>((sum[0] + sum[1]) + (sum[2] + sum[3]));
    return {static_cast<double>(shift) + s / n, total<T>((squares[0] + squares[1]) + (squares[2] + squares[3])) - s * s / n};
}

// Some vectors of neighbouring columns; of the last one `left` lanes.
template <int vectors, class S>
INLINED void strip_moments(double* mean, double* squares, const S* x, Index rows, Index width, Index left) {
    using T = Sum<S>;
    constexpr int lanes = Vec<T>::lanes;
    const auto at = [left](const S* from, int v) {
        return v + 1 < vectors ? load_as<T>(from + v * lanes) : load_up_to(from + v * lanes, left);
    };
    const Index sampled = (rows + one_of - 1) / one_of;
    const T share = T(1) / static_cast<T>(sampled);
    V<T> shift[vectors] = {}, sum[vectors] = {}, square[vectors] = {};
    const S* from = x;
    for (Index row = 0; row < sampled; ++row, from += width)
        for (int v = 0; v < vectors; ++v) shift[v] += at(from, v) * share;
    from = x;
    for (Index row = 0; row < rows; ++row, from += width)
        for (int v = 0; v < vectors; ++v) {
            const V<T> d = at(from, v) - shift[v];
            sum[v] += d;
            square[v] += d * d;
        }
    T all[3][vectors * lanes];
    for (int v = 0; v < vectors; ++v) {
        store(all[0] + v * lanes, shift[v]);
        store(all[1] + v * lanes, sum[v]);
        store(all[2] + v * lanes, square[v]);
    }
    const double part = 1 / static_cast<double>(rows);
    const Index columns = (vectors - 1) * lanes + (left < lanes ? left : lanes);
    for (Index j = 0; j < columns; ++j) {
        const double s = static_cast<double>(all[1][j]);
        mean[j] = static_cast<double>(all[0][j]) + s * part;
        squares[j] = static_cast<double>(all[2][j]) - s * s * part;
    }
}

template <class S>
void column_moments(double* mean, double* squares, const S* x, Index rows, Index width) {
    constexpr Index lanes = Vec<Sum<S>>::lanes, most = REGISTERS / 4;
    for (Index left = width, done; left > 0; left -= done, mean += done, squares += done, x += done) {
        if (left >= most * lanes) {
            strip_moments<most>(mean, squares, x, rows, width, done = most * lanes);
        } else if (left >= 4 * lanes) {
            strip_moments<4>(mean, squares, x, rows, width, done = 4 * lanes);
        } else if (left >= 2 * lanes) {
            strip_moments<2>(mean, squares, x, rows, width, done = 2 * lanes);
        } else {
            strip_moments<1>(mean, squares, x, rows, width, done = left < lanes ? left : lanes);
        }
    }
}

template <class T, Activation kind>
INLINED V<T> scaled(V<T> x, V<T> centre, V<T> scale, V<T> shift, T slope) {
    const V<T> y = (x - centre) * scale + shift;
    if constexpr (kind == Activation::none)
        return y;
    else
        return activated<T, kind>(y, slope);
}

template <class S, Activation kind, class T = Sum<S>>
void scale_run_as(T slope, S* y, const S* x, Index count, T centre, T scale, T shift, bool nontemporal) {
    constexpr Index lanes = Vec<T>::lanes;
    const V<T> c = centre - V<T>{}, by = scale - V<T>{}, plus = shift - V<T>{};
    for (Index left = count; left > 0; left -= lanes, x += lanes, y += lanes) {
        const V<T> out = scaled<T, kind>(load_up_to(x, left), c, by, plus, slope);
        if (left < lanes)
            store_some_as(y, out, 0, left);
        else if (nontemporal)
            store_nontemporal<T, VECTOR_BYTES>(y, out);
        else
            store_as(y, out);
    }
}

template <class S, Activation kind, class T = Sum<S>>
void scale_rows_as(T slope, S* y, const S* x, Index rows, Index width, const T* centre, const T* scale, const T* shift,
                   bool nontemporal) {
    constexpr Index lanes = Vec<T>::lanes;
    for (Index row = 0; row < rows; ++row, x += width, y += width) {
        Index j = 0;
        for (; j + lanes <= width; j += lanes) {
            const V<T> out = scaled<T, kind>(load_as<T>(x + j), load(centre + j), load(scale + j), load(shift + j), slope);
            if (nontemporal)
                store_nontemporal<T, VECTOR_BYTES>(y + j, out);
            else
                store_as(y + j, out);
        }
        if (const Index left = width - j)
            store_some_as(y + j, scaled<T, kind>(load_some_as<T>(x + j, left), load_some(centre + j, left),
                                                 load_some(scale + j, left), load_some(shift + j, left), slope), 0, left);
    }
}

#define OF_KIND(function, ...)                                                                              \
    switch (kind) {                                                                                         \
        case Activation::none: return function<S, Activation::none>(__VA_ARGS__);                           \
        case Activation::relu: return function<S, Activation::relu>(__VA_ARGS__);                           \
        case Activation::leaky_relu: return function<S, Activation::leaky_relu>(__VA_ARGS__);               \
        case Activation::tanh: return function<S, Activation::tanh>(__VA_ARGS__);                           \
        case Activation::sigmoid: return function<S, Activation::sigmoid>(__VA_ARGS__);                     \
        case Activation::gelu: return function<S, Activation::gelu>(__VA_ARGS__);                           \
        case Activation::silu: return function<S, Activation::silu>(__VA_ARGS__);                           \
    }

template <class S>
void scale_run(Activation kind, Sum<S> slope, S* y, const S* x, Index count, Sum<S> centre, Sum<S> scale, Sum<S> shift,
               bool nontemporal) {
    OF_KIND(scale_run_as, slope, y, x, count, centre, scale, shift, nontemporal)
}

template <class S>
void scale_rows(Activation kind, Sum<S> slope, S* y, const S* x, Index rows, Index width, const Sum<S>* centre,
                const Sum<S>* scale, const Sum<S>* shift, bool nontemporal) {
    OF_KIND(scale_rows_as, slope, y, x, rows, width, centre, scale, shift, nontemporal)
}

#undef OF_KIND

}  // namespace
