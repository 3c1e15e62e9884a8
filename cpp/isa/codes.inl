// The kernels of codes.hpp. An atom's rows are short, often eight taps: so vectors are as short as a row where that is half
// or a quarter of what the instruction set has, and no lane computes what nobody asked for.

namespace {

// The bytes of the vectors for rows of so many bytes, which are 16, 32 or a multiple of 64.
template <int row>
constexpr int fitting() { return row < VECTOR_BYTES ? row : VECTOR_BYTES; }

template <class T, int bytes>
INLINED T sum_of(typename Vec<T, bytes>::type v) {
    if constexpr (bytes == 16 && sizeof(T) == 8) {
        return v[0] + v[1];
    } else if constexpr (bytes == 16) {
        return (v[0] + v[2]) + (v[1] + v[3]);
    } else {
        typename Vec<T, bytes / 2>::type half[2];
        std::memcpy(half, &v, bytes);
        return sum_of<T, bytes / 2>(half[0] + half[1]);
    }
}

template <class T, int bytes>
INLINED T most_of(typename Vec<T, bytes>::type v) {
    if constexpr (bytes == 16) {
        T most = v[0];
        for (int j = 1; j < Vec<T, bytes>::lanes; ++j) most = v[j] > most ? v[j] : most;
        return most;
    } else {
        typename Vec<T, bytes / 2>::type half[2];
        std::memcpy(half, &v, bytes);
        return most_of<T, bytes / 2>(half[0] > half[1] ? half[0] : half[1]);
    }
}

// The product of a kernel with what lies under it. `single`: a row is one vector.
template <class T, int bytes, bool single>
INLINED T response(const T* at, const Rows<T>& rows, const T* taps) {
    constexpr Index lanes = Vec<T, bytes>::lanes;
    typename Vec<T, bytes>::type sum[4] = {};
    Index r = 0;
    if constexpr (single) {
        for (; r + 4 <= rows.count; r += 4, taps += 4 * lanes)
            for (int i = 0; i < 4; ++i) sum[i] += load<T, bytes>(at + rows.offset[r + i]) * load<T, bytes>(taps + i * lanes);
        for (; r < rows.count; ++r, taps += lanes) sum[0] += load<T, bytes>(at + rows.offset[r]) * load<T, bytes>(taps);
    } else {
        for (; r < rows.count; ++r, taps += rows.width) {
            const T* const from = at + rows.offset[r];
            Index j = 0;
            for (; j + 2 * lanes <= rows.width; j += 2 * lanes) {
                sum[0] += load<T, bytes>(from + j) * load<T, bytes>(taps + j);
                sum[1] += load<T, bytes>(from + j + lanes) * load<T, bytes>(taps + j + lanes);
            }
            if (j < rows.width) sum[2] += load<T, bytes>(from + j) * load<T, bytes>(taps + j);
        }
    }
    return sum_of<T, bytes>((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// at += by * kernel, times the weights if there are any.
template <class T, int bytes, bool single>
INLINED void put(T* at, const Rows<T>& rows, const T* taps, T by, const T* weights) {
    constexpr Index lanes = Vec<T, bytes>::lanes;
    const Index width = single ? lanes : rows.width;
    for (Index r = 0; r < rows.count; ++r, taps += width) {
        T* const to = at + rows.offset[r];
        for (Index j = 0; j < width; j += lanes) {
            auto v = load<T, bytes>(taps + j) * by;
            if (weights) v *= load<T, bytes>(weights + rows.offset[r] + j);
            store<T, bytes>(to + j, load<T, bytes>(to + j) + v);
        }
    }
}

// Those of the standard library are weak symbols, which the linker keeps one of: it might be compiled for AVX-512.
INLINED float magnitude(float x) { return __builtin_fabsf(x); }
INLINED double magnitude(double x) { return __builtin_fabs(x); }
INLINED float with_sign(float size, float sign) { return __builtin_copysignf(size, sign); }
INLINED double with_sign(double size, double sign) { return __builtin_copysign(size, sign); }

template <class T, int bytes, bool single>
double descend_by(const Atoms<T>& atoms, const Rows<T>& rows, T* canvas, const T* weights, T alpha, bool positive,
                  const std::int32_t* chosen, Index count) {
    double less = 0;
    for (Index n = 0; n < count; ++n) {
        const Index a = chosen ? chosen[n] : n;
        T* const at = canvas + atoms.place[a];
        const T* const taps = rows.taps + (atoms.kernel[a] - rows.first) * rows.size;
        const T curvature = atoms.curvature[a], before = atoms.value[a];
        const T slope = response<T, bytes, single>(at, rows, taps), wanted = slope + curvature * before;
        const T beyond = (positive ? wanted : magnitude(wanted)) - alpha;  // without a branch: signs cannot be foreseen
        const T after = with_sign((beyond > 0 ? beyond : 0) / curvature, wanted), step = after - before;
        if (step == 0) continue;
        atoms.value[a] = after;
        put<T, bytes, single>(at, rows, taps, -step, atoms.weighted[a] ? weights + atoms.place[a] : nullptr);
        less += static_cast<double>(step) * static_cast<double>(slope - curvature * step / 2) -
                static_cast<double>(alpha) * static_cast<double>(magnitude(after) - magnitude(before));
    }
    return less;
}

template <class T, int bytes, bool single>
void stamp_by(const Atoms<T>& atoms, const Rows<T>& rows, T* canvas, const T* weights, T by) {
    for (Index a = 0; a < atoms.count; ++a)
        if (atoms.value[a] != 0)
            put<T, bytes, single>(canvas + atoms.place[a], rows, rows.taps + (atoms.kernel[a] - rows.first) * rows.size,
                                  by * atoms.value[a], weights && atoms.weighted[a] ? weights + atoms.place[a] : nullptr);
}

template <class T, int bytes, bool single>
void correlate_by(T* sums, const Atoms<T>& atoms, const Rows<T>& rows, const T* canvas) {
    constexpr Index lanes = Vec<T, bytes>::lanes;
    const Index width = single ? lanes : rows.width;
    for (Index a = 0; a < atoms.count; ++a) {
        if (atoms.value[a] == 0) continue;
        const T value = atoms.value[a];
        const T* const at = canvas + atoms.place[a];
        T* to = sums + (atoms.kernel[a] - rows.first) * rows.size;
        for (Index r = 0; r < rows.count; ++r, to += width)
            for (Index j = 0; j < width; j += lanes)
                store<T, bytes>(to + j, load<T, bytes>(to + j) + load<T, bytes>(at + rows.offset[r] + j) * value);
    }
}

#define BY_ROWS(function, ...)                                                                            \
    switch (rows.width * static_cast<Index>(sizeof(T))) {                                                 \
        case 16: return function<T, 16, true>(__VA_ARGS__);                                               \
        case 32: return function<T, fitting<32>(), fitting<32>() == 32>(__VA_ARGS__);                     \
        case 64: return function<T, fitting<64>(), fitting<64>() == 64>(__VA_ARGS__);                     \
        default: return function<T, VECTOR_BYTES, false>(__VA_ARGS__);                                    \
    }

template <class T>
double descend(const Atoms<T>& atoms, const Rows<T>& rows, T* canvas, const T* weights, T alpha, bool positive,
               const std::int32_t* chosen, Index count) {
    BY_ROWS(descend_by, atoms, rows, canvas, weights, alpha, positive, chosen, count)
}

template <class T>
void stamp(const Atoms<T>& atoms, const Rows<T>& rows, T* canvas, const T* weights, T by) {
    BY_ROWS(stamp_by, atoms, rows, canvas, weights, by)
}

template <class T>
void correlate(T* sums, const Atoms<T>& atoms, const Rows<T>& rows, const T* canvas) {
    BY_ROWS(correlate_by, sums, atoms, rows, canvas)
}

#undef BY_ROWS

template <class T>
INLINED V<T> sizes(V<T> v, bool positive) { return !positive ? (v < V<T>{} ? -v : v) : v; }

// Most blocks hold nothing that is picked: they are told from their largest number.
template <class T>
Index pick(std::int32_t* places, const T* x, Index count, T threshold, bool positive, T* peak) {
    constexpr Index lanes = Vec<T>::lanes, block = 8 * lanes;
    Index picked = 0;
    for (Index begin = 0, n; begin < count; begin += n) {
        n = block < count - begin ? block : count - begin;
        if (n == block) {
            V<T> top = sizes<T>(load(x + begin), positive);
            for (Index j = lanes; j < block; j += lanes) {
                const V<T> v = sizes<T>(load(x + begin + j), positive);
                top = v > top ? v : top;
            }
            const T most = most_of<T, VECTOR_BYTES>(top);
            *peak = most > *peak ? most : *peak;
            if (!(most > threshold)) continue;
        }
        for (Index j = begin; j < begin + n; ++j) {
            const T size = positive ? x[j] : magnitude(x[j]);
            places[picked] = static_cast<std::int32_t>(j);
            picked += size > threshold;
            *peak = size > *peak ? size : *peak;
        }
    }
    return picked;
}

template <class T>
INLINED V<T> shrunk(V<T> v, T threshold, bool positive) {
    const V<T> none = {}, above = v - threshold, below = v + threshold;
    const V<T> kept = above > none ? above : none;
    return positive ? kept : (below < none ? below : kept);
}

template <class T>
void proximal(T* older, const T* z, const T* g, Index count, T pace, T threshold, T momentum, bool positive, double* sums) {
    constexpr Index lanes = Vec<T>::lanes, block = 64 * lanes;
    for (Index begin = 0; begin < count; begin += block) {
        const Index end = begin + block < count ? begin + block : count;
        V<T> norm = {}, change = {};
        for (Index j = begin; j < end; j += lanes) {
            const Index left = end - j;  // lanes beyond are zero, and so is what they would add
            const V<T> now = load_up_to(z + j, left), before = load_up_to(older + j, left);
            const V<T> y = now + momentum * (now - before) + pace * load_up_to(g + j, left);
            const V<T> next = shrunk<T>(y, threshold, positive), d = next - now;
            norm += next < V<T>{} ? -next : next;
            change += d * d;
            left >= lanes ? store(older + j, next) : store_some(older + j, next, 0, left);
        }
        sums[0] += total<T>(norm);
        sums[1] += total<T>(change);
    }
}

}  // namespace
