// The kernels of depthwise.hpp.
namespace {

// --- channels first: cells of a row are the lanes; phases of a cell are interleaved in registers ---

// out[part] holds the outputs part*lanes.. of neighbouring cells, in the order of memory.
template <class T, int phases, int part = 0>
INLINED void interleave(V<T> (&out)[phases], const V<T> (&sum)[phases]) {
    if constexpr (part < phases) {
        out[part] = merged<T, phases, part, phases - 1>(sum);
        interleave<T, phases, part + 1>(out, sum);
    }
}

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

// One patch of one block, for one channel.
template <class T>
struct Task {
    const Block<T>& block;
    const Patch& patch;
    T* y;
    const T* w;
    T bias;
};

template <class T, int phases>
constexpr int most_vectors() { return (REGISTERS - 1) / (phases + 1) >= 4 ? 4 : 2; }

// Some vectors of cells, each x_step after the one before it.
template <class T, int phases, int vectors>
INLINED void sum_up(V<T> (&sum)[vectors][phases], const Task<T>& task, const T* x, Index x_step) {
    for (int v = 0; v < vectors; ++v)
        for (int phase = 0; phase < phases; ++phase) sum[v][phase] = task.bias - V<T>{};
    feed_all<T, 0, 1>(sum, task.patch, task.patch.sources, x, x_step, task.w);
}

template <class T, int phases, int vectors>
INLINED void whole(const Task<T>& task, T* y, Index y_step, const T* x, Index x_step) {
    V<T> sum[vectors][phases];
    sum_up(sum, task, x, x_step);
    for (int v = 0; v < vectors; ++v, y += y_step) {
        V<T> out[phases];
        interleave<T, phases>(out, sum[v]);
        for (int i = 0; i < phases; ++i) store(y + i * Vec<T>::lanes, out[i]);
        if (task.block.ahead)
            for (int i = 0; i < phases; ++i) __builtin_prefetch(y + i * Vec<T>::lanes + task.block.ahead, 1);
    }
}

// Only the first `count` outputs of each vector of cells, which lie one after the other.
template <class T, int phases, int vectors>
void some(const Task<T>& task, T* y, Index y_step, const T* x, Index x_step, Index count) {
    constexpr Index lanes = Vec<T>::lanes;
    V<T> sum[vectors][phases];
    sum_up(sum, task, x, x_step);
    for (int v = 0; v < vectors; ++v, y += y_step) {
        V<T> out[phases];
        interleave<T, phases>(out, sum[v]);
        for (int i = 0; i < phases; ++i) {
            if (count >= (i + 1) * lanes)
                store(y + i * lanes, out[i]);
            else if (count > i * lanes)
                store_some(y + i * lanes, out[i], 0, count - i * lanes);
        }
    }
}

// The first `count` outputs of one vector of cells, which lie apart.
template <class T, int phases>
void scatter(const Task<T>& task, T* y, const T* x, Index count) {
    const Index step = task.block.y_step;
    V<T> sum[1][phases], out[phases];
    T row[phases * Vec<T>::lanes];
    sum_up(sum, task, x, 0);
    interleave<T, phases>(out, sum[0]);
    for (int i = 0; i < phases; ++i) store(row + i * Vec<T>::lanes, out[i]);
    for (Index first = 0; first < count; first += phases, y += task.block.y_cell) {
        if (step == 1 && first + phases <= count)
            std::memcpy(y, row + first, phases * sizeof(T));
        else
            for (Index phase = 0; phase < phases && first + phase < count; ++phase) y[phase * step] = row[first + phase];
    }
}

// Some rows below one another: each weight that is loaded serves all of them. The last vector of a row is taken from
// where it fits, if it does: that computes some outputs again.
template <class T, int phases, int rows>
INLINED void down(const Task<T>& task, T* y, const T* x, Index begin) {
    constexpr Index lanes = Vec<T>::lanes, width = phases * lanes;
    const Index y_step = task.block.y_row, x_step = task.block.pitch, outputs = task.patch.outputs;
    Index done = begin * phases;
    for (; done + width <= outputs; done += width)
        whole<T, phases, rows>(task, y + done, y_step, x + done / phases, x_step);
    const Index left = outputs - done;
    if (left > 0 && outputs >= width && left % phases == 0)
        whole<T, phases, rows>(task, y + outputs - width, y_step, x + (outputs - width) / phases, x_step);
    else if (left > 0)
        some<T, phases, rows>(task, y + done, y_step, x + done / phases, x_step, left);
}

// One row, several vectors at a time.
template <class T, int phases>
INLINED void along(const Task<T>& task, T* y, const T* x) {
    constexpr Index vectors = most_vectors<T, phases>(), lanes = Vec<T>::lanes, cells = vectors * lanes;
    Index cell = 0;
    for (; (cell + cells) * phases <= task.patch.outputs; cell += cells)
        whole<T, phases, vectors>(task, y + cell * phases, phases * lanes, x + cell, lanes);
    down<T, phases, 1>(task, y, x, cell);
}

template <class T, int phases, int rows = most_vectors<T, phases>()>
void run_rows(const Task<T>& task, Index row, Index end) {
    const Block<T>& block = task.block;
    for (; row + rows <= end; row += rows) {
        T* y = task.y + task.patch.output + row * block.y_row;
        const T* x = block.panel + row * block.pitch;
        if (block.y_step != 1 || block.y_cell != phases) {
            for (Index r = 0; r < rows; ++r)
                for (Index cell = 0; cell * phases < task.patch.outputs; cell += Vec<T>::lanes) {
                    const Index left = task.patch.outputs - cell * phases, width = phases * Vec<T>::lanes;
                    scatter<T, phases>(task, y + r * block.y_row + cell * block.y_cell, x + r * block.pitch + cell,
                                       left < width ? left : width);
                }
        } else if constexpr (rows == 1) {
            along<T, phases>(task, y, x);
        } else {
            down<T, phases, rows>(task, y, x, 0);
        }
    }
    if constexpr (rows > 1)
        if (row < end) run_rows<T, phases, rows / 2>(task, row, end);
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
template <class S, class T = Sum<S>>
void stencil(const Block<T>& block, T* y, const S* x, const T* w, T bias) {
    fill_panel(block, x);
    for (Index row = 0; row < block.patch_rows; row += block.band)
        for (Index s = 0; s < block.patch_count; ++s) {
            const Task<T> task{block, block.patches[s], y, w, bias};
            const Index end = row + block.band < task.patch.rows ? row + block.band : task.patch.rows;
            switch (task.patch.phases) {
                case 1: run_rows<T, 1>(task, row, end); break;
                case 2: run_rows<T, 2>(task, row, end); break;
                case 3: run_rows<T, 3>(task, row, end); break;
                default: run_rows<T, 4>(task, row, end);
            }
        }
}

// --- channels last: channels are the lanes ---

// Some pixels of one phase, one vector of channels: each vector of weights that is loaded serves all of them.
template <class T, int bytes, int pixels, class S>
inline void blend_at(T* y, Index y_step, const S* x, Index x_step, const T* w, const T* bias, const Source* sources,
                     Index count) {
    typename Vec<T, bytes>::type sum[pixels];
    for (int p = 0; p < pixels; ++p) sum[p] = bias ? load<T, bytes>(bias) : typename Vec<T, bytes>::type{};
    for (Index s = 0; s < count; ++s) {
        const auto weight = load<T, bytes>(w + sources[s].weight);
        const S* from = x + sources[s].input;
        for (int p = 0; p < pixels; ++p) sum[p] += load_as<T, bytes>(from + p * x_step) * weight;
    }
    for (int p = 0; p < pixels; ++p) store<T, bytes>(y + p * y_step, sum[p]);
}

// All channels of some pixels, in vectors that get shorter towards the end.
template <class T, int bytes, int pixels, class S>
inline void blend_channels(T* y, Index y_step, const S* x, Index x_step, const T* w, const T* bias,
                           const Source* sources, Index count, Index channels, Index j) {
    constexpr int lanes = bytes / static_cast<int>(sizeof(T));
    for (; j + lanes <= channels; j += lanes)
        blend_at<T, bytes, pixels>(y + j, y_step, x + j, x_step, w + j, bias ? bias + j : bias, sources, count);
    if constexpr (lanes > 1)
        if (j < channels)
            blend_channels<T, bytes / 2, pixels>(y, y_step, x, x_step, w, bias, sources, count, channels, j);
}

template <class S, int pixels = 4, class T = Sum<S>>
void blend(T* y, Index y_step, const S* x, Index x_step, const T* w, const T* bias, const Source* sources, Index count,
           Index all, Index channels) {
    Index p = 0;
    for (; p + pixels <= all; p += pixels)
        blend_channels<T, VECTOR_BYTES, pixels>(y + p * y_step, y_step, x + p * x_step, x_step, w, bias, sources, count,
                                                channels, 0);
    if (p == all) return;
    if (2 * (all - p) > pixels && p > 0) {  // again from where they fit
        p = all - pixels;
        return blend_channels<T, VECTOR_BYTES, pixels>(y + p * y_step, y_step, x + p * x_step, x_step, w, bias, sources,
                                                       count, channels, 0);
    }
    if constexpr (pixels > 1)
        blend<S, pixels / 2>(y + p * y_step, y_step, x + p * x_step, x_step, w, bias, sources, count, all - p, channels);
}

}  // namespace
