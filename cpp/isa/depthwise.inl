// The kernels of depthwise.hpp.
namespace {

// --- channels first: cells of a row are the lanes; phases of a cell are interleaved in registers ---

// Add the products of the sources whose inputs feed the phases low..high-1.
template <class T, int low, int high, int phases, int vectors>
INLINED void feed(V<T> (&sum)[vectors][phases], const Source*& source, const Source* end, const T* x, Index x_step,
                 const T* w) {
    for (; source != end; ++source) {
        const T *from = x + source->input, *weight = w + source->weight;
        V<T> in[vectors];
        for (int v = 0; v < vectors; ++v) in[v] = load(from + v * x_step);
        for (int phase = low; phase < high; ++phase)
            for (int v = 0; v < vectors; ++v) sum[v][phase] += in[v] * weight[phase];
    }
}

template <class T, int low, int high, int phases, int vectors>
INLINED void feed_all(V<T> (&sum)[vectors][phases], const Patch& patch, const Source* source, const T* x, Index x_step,
                     const T* w) {
    feed<T, low, high>(sum, source, patch.sources + patch.end[tconv::range_number(low, high)], x, x_step, w);
    if constexpr (low + 1 < high)
        feed_all<T, low + 1, high>(sum, patch, source, x, x_step, w);
    else if constexpr (high < phases)
        feed_all<T, 0, high + 1>(sum, patch, source, x, x_step, w);
}

// One patch of one block, for one channel; outputs are sums, or numbers O that they are rounded to.
template <class T, class O, bool nontemporal>
struct Task {
    const Block<T>& block;
    const Patch& patch;
    O* y;
    const T* w;
    T bias;
};

template <class T, int phases>
constexpr int most_vectors() { return (REGISTERS - 1) / (phases + 1) >= 4 ? 4 : 2; }

// Some vectors of cells, each x_step after the one before it.
template <class T, class O, int phases, int vectors, bool nontemporal>
INLINED void sum_up(V<T> (&sum)[vectors][phases], const Task<T, O, nontemporal>& task, const T* x, Index x_step) {
    for (int v = 0; v < vectors; ++v)
        for (int phase = 0; phase < phases; ++phase) sum[v][phase] = task.bias - V<T>{};
    feed_all<T, 0, 1>(sum, task.patch, task.patch.sources, x, x_step, task.w);
}

template <class T, class O, int phases, int vectors, bool nontemporal>
INLINED void whole(const Task<T, O, nontemporal>& task, O* y, Index y_step, const T* x, Index x_step) {
    V<T> sum[vectors][phases];
    sum_up(sum, task, x, x_step);
    for (int v = 0; v < vectors; ++v, y += y_step) {
        V<T> out[phases];
        interleave<T, phases>(out, sum[v]);
        for (int i = 0; i < phases; ++i) {
            if constexpr (nontemporal)
                store_nontemporal<T, VECTOR_BYTES>(y + i * Vec<T>::lanes, out[i]);
            else
                store_as(y + i * Vec<T>::lanes, out[i]);
        }
        if (task.block.ahead)
            for (int i = 0; i < phases; ++i) __builtin_prefetch(y + i * Vec<T>::lanes + task.block.ahead, 1);
    }
}

// Only the first `count` outputs of each vector of cells, which lie one after the other.
template <class T, class O, int phases, int vectors, bool nontemporal>
void some(const Task<T, O, nontemporal>& task, O* y, Index y_step, const T* x, Index x_step, Index count) {
    constexpr Index lanes = Vec<T>::lanes;
    V<T> sum[vectors][phases];
    sum_up(sum, task, x, x_step);
    for (int v = 0; v < vectors; ++v, y += y_step) {
        V<T> out[phases];
        interleave<T, phases>(out, sum[v]);
        for (int i = 0; i < phases; ++i) {
            if (count >= (i + 1) * lanes)
                store_as(y + i * lanes, out[i]);
            else if (count > i * lanes)
                store_some_as(y + i * lanes, out[i], 0, count - i * lanes);
        }
    }
}

// The first `count` outputs of one vector of cells, which lie apart.
template <class T, class O, int phases, bool nontemporal>
void scatter(const Task<T, O, nontemporal>& task, O* y, const T* x, Index count) {
    const Index step = task.block.y_step;
    V<T> sum[1][phases], out[phases];
    O row[phases * Vec<T>::lanes];
    sum_up(sum, task, x, 0);
    interleave<T, phases>(out, sum[0]);
    for (int i = 0; i < phases; ++i) store_as(row + i * Vec<T>::lanes, out[i]);
    for (Index first = 0; first < count; first += phases, y += task.block.y_cell) {
        if (step == 1 && first + phases <= count)
            std::memcpy(y, row + first, phases * sizeof(O));
        else
            for (Index phase = 0; phase < phases && first + phase < count; ++phase) y[phase * step] = row[first + phase];
    }
}

// Some rows below one another: each weight that is loaded serves all of them. The last vector of a row is taken from
// where it fits, if it does: that computes some outputs again.
template <class T, class O, int phases, int rows, bool nontemporal>
INLINED void down(const Task<T, O, nontemporal>& task, O* y, const T* x, Index begin) {
    constexpr Index lanes = Vec<T>::lanes, width = phases * lanes;
    const Index y_step = task.block.y_row, x_step = task.block.pitch, outputs = task.patch.outputs;
    Index done = begin * phases;
    for (; done + width <= outputs; done += width)
        whole<T, O, phases, rows>(task, y + done, y_step, x + done / phases, x_step);
    const Index left = outputs - done;
    if (left > 0 && outputs >= width && left % phases == 0)
        whole<T, O, phases, rows>(task, y + outputs - width, y_step, x + (outputs - width) / phases, x_step);
    else if (left > 0)
        some<T, O, phases, rows>(task, y + done, y_step, x + done / phases, x_step, left);
}

// One row, several vectors at a time.
template <class T, class O, int phases, bool nontemporal>
INLINED void along(const Task<T, O, nontemporal>& task, O* y, const T* x) {
    constexpr Index vectors = most_vectors<T, phases>(), lanes = Vec<T>::lanes, cells = vectors * lanes;
    Index cell = 0;
    for (; (cell + cells) * phases <= task.patch.outputs; cell += cells)
        whole<T, O, phases, vectors>(task, y + cell * phases, phases * lanes, x + cell, lanes);
    down<T, O, phases, 1>(task, y, x, cell);
}

template <class T, class O, int phases, int rows = most_vectors<T, phases>(), bool nontemporal>
void run_rows(const Task<T, O, nontemporal>& task, Index row, Index end) {
    const Block<T>& block = task.block;
    for (; row + rows <= end; row += rows) {
        O* y = task.y + task.patch.output + row * block.y_row;
        const T* x = block.panel + row * block.pitch;
        if (block.y_step != 1 || block.y_cell != phases) {
            for (Index r = 0; r < rows; ++r)
                for (Index cell = 0; cell * phases < task.patch.outputs; cell += Vec<T>::lanes) {
                    const Index left = task.patch.outputs - cell * phases, width = phases * Vec<T>::lanes;
                    scatter<T, O, phases>(task, y + r * block.y_row + cell * block.y_cell, x + r * block.pitch + cell,
                                       left < width ? left : width);
                }
        } else if constexpr (rows == 1) {
            along<T, O, phases>(task, y, x);
        } else {
            down<T, O, phases, rows>(task, y, x, 0);
        }
    }
    if constexpr (rows > 1)
        if (row < end) run_rows<T, O, phases, rows / 2>(task, row, end);
}

// Copy the input's part of the block into the panel, row by row, so that the border stays zero.
template <class T, class S>
inline void fill_panel(const Block<T>& block, const S* x) {
    constexpr Index lanes = Vec<T>::lanes;
    if (block.rows <= 0 || block.columns <= 0) return;  // where no input is met, its place may be beyond all addresses
    for (Index s = 0; s < block.slice_count; ++s) {
        const S* from = x + block.slices[s].input;
        T* to = block.panel + block.slices[s].panel;
        for (Index row = 0; row < block.rows; ++row, to += block.pitch, from += block.x_row) {
            Index i = 0;
            if (block.x_step == 1) {
                for (; i + lanes <= block.columns; i += lanes) store(to + i, load_as<T>(from + i));
                if (i < block.columns) store(to + i, load_some_as<T>(from + i, block.columns - i));  // zeros behind
            } else {
                for (; i < block.columns; ++i) to[i] = as_sum(from[i * block.x_step]);
            }
        }
    }
}

// A band of rows after the other, all phases of it, so that the outputs are written in their order in memory.
template <class S, class O, bool nontemporal = false, class T = Sum<S>>
void stencil(const Block<T>& block, O* y, const S* x, const T* w, T bias) {
    fill_panel(block, x);
    for (Index row = 0; row < block.patch_rows; row += block.band)
        for (Index s = 0; s < block.patch_count; ++s) {
            const Task<T, O, nontemporal> task{block, block.patches[s], y, w, bias};
            const Index end = row + block.band < task.patch.rows ? row + block.band : task.patch.rows;
            switch (task.patch.phases) {
                case 1: run_rows<T, O, 1>(task, row, end); break;
                case 2: run_rows<T, O, 2>(task, row, end); break;
                case 3: run_rows<T, O, 3>(task, row, end); break;
                default: run_rows<T, O, 4>(task, row, end);
            }
        }
}

// --- channels last: channels are the lanes ---

// Some pixels of one phase, one vector of channels: each vector of weights that is loaded serves all of them.
template <class T, int bytes, int pixels, bool nontemporal, class S, class W, class O>
inline void blend_at(O* y, Index y_step, const S* x, Index x_step, const W* w, const T* bias, const Source* sources,
                     Index count) {
    typename Vec<T, bytes>::type sum[pixels];
    for (int p = 0; p < pixels; ++p) sum[p] = bias ? load<T, bytes>(bias) : typename Vec<T, bytes>::type{};
    for (Index s = 0; s < count; ++s) {
        const auto weight = load_as<T, bytes>(w + sources[s].weight);
        const S* from = x + sources[s].input;
        for (int p = 0; p < pixels; ++p) sum[p] += load_as<T, bytes>(from + p * x_step) * weight;
    }
    for (int p = 0; p < pixels; ++p) {
        if constexpr (nontemporal)
            store_nontemporal<T, bytes>(y + p * y_step, sum[p]);
        else
            store_lanes<T, bytes>(y + p * y_step, sum[p]);
    }
}

#if defined(__AVX512BF16__)
// The same for two vectors of channels of bfloat16: the pairs that are multiplied are two taps of a channel.
template <int pixels, class O>
inline void blend_pairs_at(O* y, Index y_step, const Bf16* x, Index x_step, const Bf16* w, const float* bias,
                           const Source* sources, Index count) {
    constexpr int lanes = Vec<float>::lanes;
    const auto numbers = [](const Bf16* from) { return reinterpret_cast<__m512i>(load<std::uint16_t>(bits_of(from))); };
    V<float> low[pixels] = {}, high[pixels] = {};  // of the first and of the last four of each eight channels
    for (Index s = 0; s < count; s += 2) {
        const bool both = s + 1 < count;
        const Index next = both ? s + 1 : s;
        const __m512i none = _mm512_setzero_si512(), first = numbers(w + sources[s].weight);
        const __m512i second = both ? numbers(w + sources[next].weight) : none;
        const __m512i w_low = _mm512_unpacklo_epi16(first, second), w_high = _mm512_unpackhi_epi16(first, second);
        for (int p = 0; p < pixels; ++p) {
            const __m512i a = numbers(x + sources[s].input + p * x_step);
            const __m512i b = both ? numbers(x + sources[next].input + p * x_step) : none;
            low[p] = _mm512_dpbf16_ps(low[p], reinterpret_cast<__m512bh>(_mm512_unpacklo_epi16(a, b)),
                                      reinterpret_cast<__m512bh>(w_low));
            high[p] = _mm512_dpbf16_ps(high[p], reinterpret_cast<__m512bh>(_mm512_unpackhi_epi16(a, b)),
                                       reinterpret_cast<__m512bh>(w_high));
        }
    }
    const V<float> before = bias ? load(bias) : V<float>{}, behind = bias ? load(bias + lanes) : V<float>{};
    for (int p = 0; p < pixels; ++p) {
        const V<float> one = __builtin_shufflevector(low[p], high[p], 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        const V<float> two =
            __builtin_shufflevector(low[p], high[p], 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        store_as(y + p * y_step, one + before);
        store_as(y + p * y_step + lanes, two + behind);
    }
}
#endif

// All channels of some pixels, in vectors that get shorter towards the end.
template <class T, int bytes, int pixels, bool nontemporal, class S, class W, class O>
inline void blend_channels(O* y, Index y_step, const S* x, Index x_step, const W* w, const T* bias,
                           const Source* sources, Index count, Index channels, Index j) {
    constexpr int lanes = bytes / static_cast<int>(sizeof(T));
#if defined(__AVX512BF16__)
    if constexpr (std::is_same_v<W, Bf16> && bytes == VECTOR_BYTES)
        for (; j + 2 * lanes <= channels; j += 2 * lanes)
            blend_pairs_at<pixels>(y + j, y_step, x + j, x_step, w + j, bias ? bias + j : bias, sources, count);
#endif
    for (; j + lanes <= channels; j += lanes)
        blend_at<T, bytes, pixels, nontemporal>(y + j, y_step, x + j, x_step, w + j, bias ? bias + j : bias, sources, count);
    if constexpr (lanes > 1)
        if (j < channels)
            blend_channels<T, bytes / 2, pixels, nontemporal>(y, y_step, x, x_step, w, bias, sources, count, channels, j);
}

template <class S, class E, class O, bool nontemporal = false, int pixels = 4, class T = Sum<S>>
void blend(O* y, Index y_step, const S* x, Index x_step, const tconv::TapWeight<S, E>* w, const T* bias, const Source* sources,
           Index count, Index all, Index channels) {
    Index p = 0;
    for (; p + pixels <= all; p += pixels)
        blend_channels<T, VECTOR_BYTES, pixels, nontemporal>(y + p * y_step, y_step, x + p * x_step, x_step, w, bias, sources, count,
                                                channels, 0);
    if (p == all) return;
    if (2 * (all - p) > pixels && p > 0) {  // again from where they fit
        p = all - pixels;
        return blend_channels<T, VECTOR_BYTES, pixels, nontemporal>(y + p * y_step, y_step, x + p * x_step, x_step, w, bias, sources,
                                                       count, channels, 0);
    }
    if constexpr (pixels > 1)
        blend<S, E, O, nontemporal, pixels / 2>(y + p * y_step, y_step, x + p * x_step, x_step, w, bias, sources, count, all - p, channels);
}

// --- gradients of weights: products of inputs and what they meet, summed up ---

// For some sources, which have a vector of sums each.
template <class T, int sources>
INLINED void meet_some_rows(T* sums, const T* x, Index x_row, const T* panel, Index pitch, Index rows, Index columns,
                            const Source* source) {
    constexpr Index lanes = Vec<T>::lanes;
    V<T> sum[sources] = {};
    const Index whole = columns / lanes * lanes;
    for (Index row = 0; row < rows; ++row, x += x_row, panel += pitch) {
        for (Index j = 0; j < whole; j += lanes) {
            const V<T> in = load(x + j);
            for (int s = 0; s < sources; ++s) sum[s] += in * load(panel + source[s].input + j);
        }
        if (whole == columns) continue;
        const V<T> in = load_some(x + whole, columns - whole);  // and no number behind, as it may be infinite
        for (int s = 0; s < sources; ++s) sum[s] += in * load_some(panel + source[s].input + whole, columns - whole);
    }
    for (int s = 0; s < sources; ++s) {
        T lane[lanes], all = 0;
        store(lane, sum[s]);
        for (Index l = 0; l < lanes; ++l) all += lane[l];
        sums[source[s].weight] += all;
    }
}

template <class T>
void meet_rows(T* sums, const T* x, Index x_row, const T* panel, Index pitch, Index rows, Index columns, const Source* source,
               Index count) {
    for (; count >= 8; count -= 8, source += 8) meet_some_rows<T, 8>(sums, x, x_row, panel, pitch, rows, columns, source);
    for (; count >= 3; count -= 3, source += 3) meet_some_rows<T, 3>(sums, x, x_row, panel, pitch, rows, columns, source);
    for (; count > 0; --count, ++source) meet_some_rows<T, 1>(sums, x, x_row, panel, pitch, rows, columns, source);
}

template <class T, int bytes, int sources>
inline void meet_at(T* sums, const T* x, Index x_step, const T* y, Index y_step, const Source* source, Index pixels) {
    typename Vec<T, bytes>::type sum[sources] = {};
    for (Index p = 0; p < pixels; ++p) {
        const auto in = load<T, bytes>(x + p * x_step);
        for (int s = 0; s < sources; ++s) sum[s] += in * load<T, bytes>(y + source[s].input + p * y_step);
    }
    for (int s = 0; s < sources; ++s) {
        T* const to = sums + source[s].weight;
        store<T, bytes>(to, load<T, bytes>(to) + sum[s]);
    }
}

// All channels, in vectors that get shorter towards the end.
template <class T, int bytes, int sources>
inline void meet_channels(T* sums, const T* x, Index x_step, const T* y, Index y_step, const Source* source, Index pixels,
                          Index channels, Index j) {
    constexpr int lanes = bytes / static_cast<int>(sizeof(T));
    for (; j + lanes <= channels; j += lanes) meet_at<T, bytes, sources>(sums + j, x + j, x_step, y + j, y_step, source, pixels);
    if constexpr (lanes > 1)
        if (j < channels) meet_channels<T, bytes / 2, sources>(sums, x, x_step, y, y_step, source, pixels, channels, j);
}

template <class T>
void meet_pixels(T* sums, const T* x, Index x_step, const T* y, Index y_step, const Source* source, Index count, Index pixels,
                 Index channels) {
    for (; count >= 8; count -= 8, source += 8)
        meet_channels<T, VECTOR_BYTES, 8>(sums, x, x_step, y, y_step, source, pixels, channels, 0);
    for (; count >= 3; count -= 3, source += 3)
        meet_channels<T, VECTOR_BYTES, 3>(sums, x, x_step, y, y_step, source, pixels, channels, 0);
    for (; count > 0; --count, ++source)
        meet_channels<T, VECTOR_BYTES, 1>(sums, x, x_step, y, y_step, source, pixels, channels, 0);
}

}  // namespace
