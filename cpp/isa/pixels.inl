// The kernels of pixels.hpp: fill a panel, multiply it, weave the sums into rows of the output.
namespace {

template <class E, int rows, int vectors>
void pixels(Sum<E>* c, const Index* row, Index width, const E* const* x, Index x_step, const Index* taps, Index count,
            Index channels, const E* w, const Sum<E>* bias) {
    using T = Sum<E>;
    constexpr int lanes = Vec<T>::lanes;
    typename Vec<T>::type sum[rows][vectors] = {};
    const E* from[vectors];
    for (int v = 0; v < vectors; ++v) from[v] = x[v];
    for (Index begin = 0, end = channels * x_step; begin < end; begin += x_step)
        for (Index s = 0; s < count; ++s, w += rows) {
            const Index at = begin + taps[s];
            if constexpr (is_wide<E, rows, vectors>) {
                V<T> weights[rows];
                for (int r = 0; r < rows; ++r) weights[r] = w[r] - V<T>{};
                for (int v = 0; v < vectors; ++v) {
                    const V<T> in = load_elements(from[v] + at);
                    for (int r = 0; r < rows; ++r) sum[r][v] += in * weights[r];
                }
            } else {
                Elements<E> in[vectors];
                for (int v = 0; v < vectors; ++v) in[v] = load_elements(from[v] + at);
                for (int r = 0; r < rows; ++r)
                    for (int v = 0; v < vectors; ++v) add_product(sum[r][v], in[v], w[r]);
            }
        }
#pragma GCC unroll 8  // else all sums go through memory once more
    for (int r = 0; r < rows; ++r) {
        T* to = c + row[r] * width;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v, to += lanes) store(to, bias ? sum[r][v] + bias[r] : sum[r][v] + load(to));
    }
}

template <class T>
void join(T* y, const T* const* x, Index rows, Index count) {
    for (Index j = 0; j < count; j += Vec<T>::lanes) {
        auto sum = load(x[0] + j);
        for (Index row = 1; row < rows; ++row) sum += load(x[row] + j);
        store(y + j, sum);
    }
}

// Vectors are written whole, so that short pieces cost no more: what lies behind a piece is written after it.
template <class S, class E>
void gather_rows(E* panel, Index panel_step, const S* x, Index channel_step, Index channels, const Piece* pieces,
                 Index count) {
    constexpr Index lanes = Vec<Sum<S>>::lanes, line = 64 / sizeof(S), several = tconv::channels_of<E>;
    for (; channels > 0; channels -= several, panel += panel_step, x += several * channel_step) {
        for (const Piece* piece = pieces; piece < pieces + count; ++piece) {
            E* to = panel + piece->lane;
            Index j = 0;
            if (piece->source == Piece::nothing) {
                for (; j < piece->count; j += lanes) store_elements(to + j, Elements<E>{});
                continue;
            }
            const S* from = x + piece->source;
            for (; j + lanes <= piece->count; j += lanes)
                store_elements(to + j, elements_at<E>(from + j, channel_step, channels));
            if (j < piece->count)
                store_elements(to + j, some_elements_at<E>(from + j, channel_step, channels, piece->count - j));
        }
        // The next panel's inputs, most often.
        const Piece& last = pieces[count - 1];
        if (last.source != Piece::nothing)
            for (Index channel = 0; channel < (channels < several ? channels : several); ++channel)
                for (Index j = 0; j < last.count; j += line)
                    __builtin_prefetch(x + channel * channel_step + last.source + last.count + j);
    }
}

// A square of one small vector of channels from as many pixels, transposed.
template <class E, class S>
inline void transpose(E* to, Index to_step, const S* from, Index from_step) {
    if constexpr (sizeof(E) == 8) {
        const auto a = load<E, 16>(from), b = load<E, 16>(from + from_step);
        store<E, 16>(to, __builtin_shufflevector(a, b, 0, 2));
        store<E, 16>(to + to_step, __builtin_shufflevector(a, b, 1, 3));
    } else {
        typedef typename Vec<float, 16>::type Four;
        const auto four = [](const S* numbers) {
            Four elements;
            if constexpr (tconv::channels_of<E> == 1)
                elements = load_as<float, 16>(numbers);
            else
                std::memcpy(&elements, numbers, sizeof elements);
            return elements;
        };
        const auto put_four = [](E* place, Four elements) { std::memcpy(place, &elements, sizeof elements); };
        const Four a = four(from), b = four(from + from_step), c = four(from + 2 * from_step), d = four(from + 3 * from_step);
        const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
        const Four ef = __builtin_shufflevector(a, b, 2, 6, 3, 7), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        put_four(to, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
        put_four(to + to_step, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
        put_four(to + 2 * to_step, __builtin_shufflevector(ef, gh, 0, 1, 4, 5));
        put_four(to + 3 * to_step, __builtin_shufflevector(ef, gh, 2, 3, 6, 7));
    }
}

// For arrays whose channels are neighbours.
template <class S, class E>
void gather_transposed(E* panel, Index panel_step, const S* x, Index step, Index channels, const Piece& piece) {
    constexpr Index square = 16 / sizeof(E), several = tconv::channels_of<E>;
    const Index whole = channels / several, elements = (channels + several - 1) / several;
    const auto one = [&](Index pixel, Index element) {
        const Index channel = element * several;
        panel[element * panel_step + pixel] = element_at<E>(x + pixel * step + channel, 1, channels - channel);
    };
    constexpr Index line = 64 / sizeof(E);  // of the panel: written as a whole, as its rows may lie in one set of the cache
    Index j = 0;
    for (Index end; j + square <= piece.count; j = end) {
        end = j + (piece.count - j < line ? (piece.count - j) / square * square : line);
        Index element = 0;
        for (; element + square <= whole; element += square)
            for (Index k = j; k < end; k += square)
                transpose(panel + element * panel_step + k, panel_step, x + k * step + element * several, step);
        for (; element < elements; ++element)
            for (Index k = j; k < end; ++k) one(k, element);
    }
    for (; j < piece.count; ++j)
        for (Index element = 0; element < elements; ++element) one(j, element);
}

// Every other number of a row.
template <class T>
INLINED void gather_alternate(T* to, const T* x, Index count) {
    constexpr int lanes = Vec<T>::lanes;
    Index j = 0;
    for (; j + lanes < count; j += lanes) {  // whole vectors, and the number behind the last one is there, too
        const V<T> low = load(x + 2 * j), high = load(x + 2 * j + lanes);
        store(to + j, alternate<T>(low, high, std::make_integer_sequence<int, lanes>()));
    }
    for (; j < count; ++j) to[j] = x[2 * j];
}

template <class S, class E>
void gather(E* panel, Index panel_step, const S* x, Index channel_step, Index step, Index channels, const Piece* pieces,
            Index count) {
    if (step == 1 && count > 0) return gather_rows(panel, panel_step, x, channel_step, channels, pieces, count);
    constexpr Index several = tconv::channels_of<E>;
    for (const Piece* piece = pieces; piece < pieces + count; ++piece) {
        E* to = panel + piece->lane;
        const bool nothing = piece->source == Piece::nothing;
        if (!nothing && channel_step == 1) {
            gather_transposed(to, panel_step, x + piece->source, step, channels, *piece);
            continue;
        }
        for (Index channel = 0; channel < channels; channel += several, to += panel_step) {
            if constexpr (std::is_same_v<S, E>)
                if (step == 2 && !nothing) {
                    gather_alternate(to, x + piece->source + channel * channel_step, piece->count);
                    continue;
                }
            for (Index j = 0; j < piece->count; ++j) {
                const Index at = piece->source + channel * channel_step + j * step;
                to[j] = nothing ? E{} : element_at<E>(x + at, channel_step, channels - channel);
            }
        }
    }
}

template <class S, class E>
void address(const E** to, const Index* at, Index count, const S* x, Index first, const E* zeros) {
    for (Index k = 0; k < count; ++k)
        to[k] = at[k] == tconv::nowhere ? zeros : reinterpret_cast<const E*>(x + (at[k] - first));
}

template <class S, class E>
void bring(E* to, Index elements, const S* x, Index channel_step, Index step, Index channels, Index pixels) {
    constexpr Index lanes = Vec<Sum<S>>::lanes, several = tconv::channels_of<E>, at_once = 16;
    const Index filled = (channels + several - 1) / several;
#if defined(__AVX512BF16__)
    if constexpr (several == 2)
        if (channel_step == 1 && elements % lanes == 0) {  // whole vectors, with the zeros behind
            for (Index pixel = 0; pixel < pixels; ++pixel, x += step)
                for (Index channel = 0; channel < several * elements; channel += several * lanes, to += lanes) {
                    const Index left = channels - channel < several * lanes ? channels - channel : several * lanes;
                    const auto some = static_cast<__mmask32>(left > 0 ? ~0u >> (several * lanes - left) : 0);
                    store_elements(to, reinterpret_cast<Elements<E>>(_mm512_maskz_loadu_epi16(some, x + channel)));
                }
            return;
        }
#endif
    if (channel_step == 1) {
        for (Index pixel = 0; pixel < pixels; ++pixel, to += elements, x += step) {
            Index channel = 0;
            if constexpr (several == 1) {
                for (; channel + lanes <= channels; channel += lanes) store(to + channel, load_as<E>(x + channel));
            } else {
                channel = channels / several * several;
                std::memcpy(to, x, static_cast<std::size_t>(channel) * sizeof(S));
            }
            for (; channel < channels; channel += several)
                to[channel / several] = element_at<E>(x + channel, 1, channels - channel);
            std::memset(to + filled, 0, static_cast<std::size_t>(elements - filled) * sizeof(E));
        }
        return;
    }
    for (Index pixel = 0; pixel < pixels && filled < elements; ++pixel)
        std::memset(to + pixel * elements + filled, 0, static_cast<std::size_t>(elements - filled) * sizeof(E));
    for (Index begin = 0; begin < filled; begin += at_once) {  // so many at a time stay in the cache
        const Index end = begin + at_once < filled ? begin + at_once : filled;
        for (Index pixel = 0; pixel < pixels; ++pixel)
            for (Index element = begin; element < end; ++element) {
                const Index channel = element * several;
                to[pixel * elements + element] =
                    element_at<E>(x + channel * channel_step + pixel * step, channel_step, channels - channel);
            }
    }
}

// Interleaved phases, in vectors that are `step` apart; of those between low and high.
template <class S, int phases>
INLINED void store_woven(S* out, Index step, const V<Sum<S>> (&in)[phases], Index low, Index high, bool nontemporal) {
    constexpr Index lanes = Vec<Sum<S>>::lanes;
    V<Sum<S>> woven[phases];
    interleave<Sum<S>, phases>(woven, in);
#pragma GCC unroll 16
    for (int k = 0; k < phases; ++k, out += step, low -= step, high -= step) {
        if (low <= 0 && high >= lanes) {
            if (tconv::is_own_sum<S> && nontemporal)
                store_nontemporal<Sum<S>, VECTOR_BYTES>(out, woven[k]);
            else
                store_as(out, woven[k]);
        } else if (high > 0 && low < lanes) {
            store_some_as(out, woven[k], low > 0 ? low : 0, high < lanes ? high : lanes);
        }
    }
}

template <class S, int phases>
void weave_packed(S* y, Index channel_step, const Sum<S>* c, Index width, Index channels, const Strip* strips, Index count,
                  bool nontemporal) {
    constexpr int lanes = Vec<Sum<S>>::lanes;
    for (Index channel = 0; channel < channels; ++channel, y += channel_step, c += phases * width)
        for (const Strip* strip = strips; strip < strips + count; ++strip)
            for (Index cell = strip->low / phases; cell * phases < strip->high; cell += lanes) {
                V<Sum<S>> in[phases];
                for (int phase = 0; phase < phases; ++phase) in[phase] = load(c + phase * width + strip->lane + cell);
                const Index at = cell * phases;
                store_woven<S, phases>(y + strip->y + at, lanes, in, strip->low - at, strip->high - at, nontemporal);
            }
}

// Phases of which so many as there are lanes fill a vector of a cell.
template <class S>
void weave_blocks(S* y, Index channel_step, const Sum<S>* c, Index width, Index phases, Index channels, const Strip* strips,
                  Index count, bool nontemporal) {
    constexpr int lanes = Vec<Sum<S>>::lanes;
    for (Index channel = 0; channel < channels; ++channel, y += channel_step, c += phases * width)
        for (const Strip* strip = strips; strip < strips + count; ++strip)
            for (Index cell = strip->low / phases; cell * phases < strip->high; cell += lanes)
                for (Index first = 0; first < phases; first += lanes) {
                    V<Sum<S>> in[lanes];
                    for (int phase = 0; phase < lanes; ++phase) in[phase] = load(c + (first + phase) * width + strip->lane + cell);
                    const Index at = cell * phases + first;
                    store_woven<S, lanes>(y + strip->y + at, phases, in, strip->low - at, strip->high - at, nontemporal);
                }
}

// Half precision of an even number of phases: two neighbouring phases of a cell make a word, and words are woven.
template <class S, int phases>
void weave_words(S* y, Index channel_step, const float* c, Index width, Index channels, const Strip* strips, Index count,
                 bool nontemporal) {
    constexpr int lanes = Vec<float>::lanes, words = phases / 2, halves = 2 * lanes;
    using Word = std::uint32_t;
    for (Index channel = 0; channel < channels; ++channel, y += channel_step, c += phases * width)
        for (const Strip* strip = strips; strip < strips + count; ++strip)
            for (Index cell = strip->low / phases; cell * phases < strip->high; cell += lanes) {
                const float* from = c + strip->lane + cell;
                V<Word> in[words], out[words];
                for (int k = 0; k < words; ++k)
                    in[k] = words_of<S>(load(from + 2 * k * width), load(from + (2 * k + 1) * width));
                interleave<Word, words>(out, in);
                const Index at = cell * phases, low = strip->low - at, high = strip->high - at;
                S* const to = y + strip->y + at;
                for (int k = 0; k < words; ++k) {
                    const bool whole = low <= k * halves && high >= (k + 1) * halves;
                    if (nontemporal && whole && stream(to + k * halves, out[k])) continue;
                    store_words(to + k * halves, out[k], low - k * halves, high - k * halves);
                }
            }
}

template <class S>
void weave(S* y, Index channel_step, Index step, const Sum<S>* c, Index width, Index phases, Index channels,
           const Strip* strips, Index count, bool nontemporal) {
    const auto woven = [&](auto how) { how(y, channel_step, c, width, channels, strips, count, nontemporal); };
    if constexpr (!tconv::is_own_sum<S>)
        if (step == 1) switch (phases) {
                case 2: return woven(weave_words<S, 2>);
                case 4: return woven(weave_words<S, 4>);
                case 6: return woven(weave_words<S, 6>);
                case 8: return woven(weave_words<S, 8>);
                case 12: return woven(weave_words<S, 12>);
                case 16: return woven(weave_words<S, 16>);
                default: break;
            }
    if (step == 1) switch (phases) {
            case 1: return woven(weave_packed<S, 1>);
            case 2: return woven(weave_packed<S, 2>);
            case 3: return woven(weave_packed<S, 3>);
            case 4: return woven(weave_packed<S, 4>);
            case 6: return woven(weave_packed<S, 6>);
            case 8: return woven(weave_packed<S, 8>);
            case 9: return woven(weave_packed<S, 9>);
            case 12: return woven(weave_packed<S, 12>);
            case 16: return woven(weave_packed<S, 16>);
            default: break;
        }
    if (step == 1 && phases % Vec<Sum<S>>::lanes == 0)
        return weave_blocks(y, channel_step, c, width, phases, channels, strips, count, nontemporal);
    for (Index channel = 0; channel < channels; ++channel, y += channel_step, c += phases * width)
        for (const Strip* strip = strips; strip < strips + count; ++strip)
            for (Index phase = 0; phase < phases; ++phase) {
                const Index before = strip->low - phase, first = before <= 0 ? 0 : (before + phases - 1) / phases;
                const Sum<S>* from = c + phase * width + strip->lane;
                for (Index cell = first; cell * phases + phase < strip->high; ++cell)
                    y[strip->y + (cell * phases + phase) * step] = from_sum(y, from[cell]);
            }
}

}  // namespace
