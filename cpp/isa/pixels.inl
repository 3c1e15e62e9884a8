// The kernels of pixels.hpp: fill a panel, multiply it, weave the sums into rows of the output.
namespace {

template <class T, int rows, int vectors>
void pixels(T* c, const Index* row, Index width, const T* const* x, Index x_step, const Index* taps, Index count,
            Index channels, const T* w, const T* bias) {
    constexpr int lanes = Vec<T>::lanes;
    typename Vec<T>::type sum[rows][vectors] = {};
    const T* from[vectors];
    for (int v = 0; v < vectors; ++v) from[v] = x[v];
    for (Index begin = 0, end = channels * x_step; begin < end; begin += x_step)
        for (Index s = 0; s < count; ++s, w += rows) {
            const Index at = begin + taps[s];
            typename Vec<T>::type in[vectors];
            for (int v = 0; v < vectors; ++v) in[v] = load(from[v] + at);
            for (int r = 0; r < rows; ++r)
                for (int v = 0; v < vectors; ++v) sum[r][v] += in[v] * w[r];
        }
    for (int r = 0; r < rows; ++r) {
        T* to = c + row[r] * width;
        for (int v = 0; v < vectors; ++v, to += lanes) store(to, bias ? sum[r][v] + bias[r] : sum[r][v] + load(to));
    }
}

// Vectors are written whole, so that short pieces cost no more: what lies behind a piece is written after it.
template <class T>
void gather_rows(T* panel, Index panel_step, const T* x, Index channel_step, Index channels, const Piece* pieces,
                 Index count) {
    constexpr Index lanes = Vec<T>::lanes, line = 64 / sizeof(T);
    for (Index channel = 0; channel < channels; ++channel, panel += panel_step, x += channel_step) {
        for (const Piece* piece = pieces; piece < pieces + count; ++piece) {
            T* to = panel + piece->lane;
            Index j = 0;
            if (piece->source == Piece::nothing) {
                for (; j < piece->count; j += lanes) store(to + j, typename Vec<T>::type{});
                continue;
            }
            const T* from = x + piece->source;
            for (; j + lanes <= piece->count; j += lanes) store(to + j, load(from + j));
            if (j < piece->count) store(to + j, load_some(from + j, piece->count - j));
        }
        // The next panel's inputs, most often.
        const Piece& last = pieces[count - 1];
        if (last.source != Piece::nothing)
            for (Index j = 0; j < last.count; j += line) __builtin_prefetch(x + last.source + last.count + j);
    }
}

// A square of one small vector of channels from as many pixels, turned over.
inline void turn(float* to, Index to_step, const float* from, Index from_step) {
    typedef Vec<float, 16>::type Four;
    const Four a = load<float, 16>(from), b = load<float, 16>(from + from_step);
    const Four c = load<float, 16>(from + 2 * from_step), d = load<float, 16>(from + 3 * from_step);
    const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Four ef = __builtin_shufflevector(a, b, 2, 6, 3, 7), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store<float, 16>(to, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
    store<float, 16>(to + to_step, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
    store<float, 16>(to + 2 * to_step, __builtin_shufflevector(ef, gh, 0, 1, 4, 5));
    store<float, 16>(to + 3 * to_step, __builtin_shufflevector(ef, gh, 2, 3, 6, 7));
}

inline void turn(double* to, Index to_step, const double* from, Index from_step) {
    const auto a = load<double, 16>(from), b = load<double, 16>(from + from_step);
    store<double, 16>(to, __builtin_shufflevector(a, b, 0, 2));
    store<double, 16>(to + to_step, __builtin_shufflevector(a, b, 1, 3));
}

// For arrays whose channels are neighbours.
template <class T>
void gather_turned(T* panel, Index panel_step, const T* x, Index step, Index channels, const Piece& piece) {
    constexpr Index square = 16 / sizeof(T);
    Index j = 0;
    for (; j + square <= piece.count; j += square) {
        Index channel = 0;
        for (; channel + square <= channels; channel += square)
            turn(panel + channel * panel_step + j, panel_step, x + j * step + channel, step);
        for (; channel < channels; ++channel)
            for (Index k = j; k < j + square; ++k) panel[channel * panel_step + k] = x[k * step + channel];
    }
    for (; j < piece.count; ++j)
        for (Index channel = 0; channel < channels; ++channel) panel[channel * panel_step + j] = x[j * step + channel];
}

template <class T>
void gather(T* panel, Index panel_step, const T* x, Index channel_step, Index step, Index channels, const Piece* pieces,
            Index count) {
    if (step == 1 && count > 0) return gather_rows(panel, panel_step, x, channel_step, channels, pieces, count);
    for (const Piece* piece = pieces; piece < pieces + count; ++piece) {
        T* to = panel + piece->lane;
        if (piece->source != Piece::nothing && channel_step == 1)
            gather_turned(to, panel_step, x + piece->source, step, channels, *piece);
        else
            for (Index channel = 0; channel < channels; ++channel)
                for (Index j = 0; j < piece->count; ++j)
                    to[channel * panel_step + j] =
                        piece->source == Piece::nothing ? T(0) : x[piece->source + channel * channel_step + j * step];
    }
}

template <class T, int phases, int k = 0>
inline void store_woven(T* out, const typename Vec<T>::type* in, Index low, Index high) {
    if constexpr (k < phases) {
        constexpr Index lanes = Vec<T>::lanes;
        const typename Vec<T>::type value = merged<T, phases, k, phases - 1>(in);
        if (low <= 0 && high >= lanes)
            store(out, value);
        else if (high > 0 && low < lanes)
            store_some(out, value, low > 0 ? low : 0, high < lanes ? high : lanes);
        store_woven<T, phases, k + 1>(out + lanes, in, low - lanes, high - lanes);
    }
}

template <class T, int phases>
void weave_packed(T* y, Index channel_step, const T* c, Index width, Index channels, const Strip* strips, Index count) {
    constexpr int lanes = Vec<T>::lanes;
    for (Index channel = 0; channel < channels; ++channel, y += channel_step, c += phases * width)
        for (const Strip* strip = strips; strip < strips + count; ++strip)
            for (Index cell = strip->low / phases; cell * phases < strip->high; cell += lanes) {
                typename Vec<T>::type in[phases];
                for (int phase = 0; phase < phases; ++phase) in[phase] = load(c + phase * width + strip->lane + cell);
                const Index at = cell * phases;
                store_woven<T, phases>(y + strip->y + at, in, strip->low - at, strip->high - at);
            }
}

template <class T>
void weave(T* y, Index channel_step, Index step, const T* c, Index width, Index phases, Index channels,
           const Strip* strips, Index count) {
    if (step == 1) switch (phases) {
            case 1: return weave_packed<T, 1>(y, channel_step, c, width, channels, strips, count);
            case 2: return weave_packed<T, 2>(y, channel_step, c, width, channels, strips, count);
            case 3: return weave_packed<T, 3>(y, channel_step, c, width, channels, strips, count);
            case 4: return weave_packed<T, 4>(y, channel_step, c, width, channels, strips, count);
            case 6: return weave_packed<T, 6>(y, channel_step, c, width, channels, strips, count);
            case 8: return weave_packed<T, 8>(y, channel_step, c, width, channels, strips, count);
            default: break;
        }
    for (Index channel = 0; channel < channels; ++channel, y += channel_step, c += phases * width)
        for (const Strip* strip = strips; strip < strips + count; ++strip)
            for (Index phase = 0; phase < phases; ++phase) {
                const Index before = strip->low - phase, first = before <= 0 ? 0 : (before + phases - 1) / phases;
                const T* from = c + phase * width + strip->lane;
                for (Index cell = first; cell * phases + phase < strip->high; ++cell)
                    y[strip->y + (cell * phases + phase) * step] = from[cell];
            }
}

}  // namespace
