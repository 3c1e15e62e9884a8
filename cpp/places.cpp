#include "places.hpp"

#include <algorithm>

namespace tconv {
namespace {

// Walks through the cells of a group and says where one reads.
class Reader {
   public:
    Reader(const Walk& walk, const std::vector<Tap>& taps) : walk_(walk), taps_(taps) {
        const std::size_t dims = walk.in_size.size();
        steps_.assign(walk.x_strides.begin() + 2, walk.x_strides.end());
        if (walk.transposed)
            for (std::size_t a = dims, step = 1; a-- > 0; step *= static_cast<std::size_t>(walk.in_size[a]))
                steps_[a] = static_cast<Index>(step);
        image_step_ = walk.transposed ? steps_[0] * walk.in_size[0] : walk.x_strides[0];
        low_.assign(dims, 0);
        high_ = walk.in_size;
        for (const Tap& tap : taps) {
            distances_.push_back(0);
            for (std::size_t a = 0; a < dims; ++a) {
                distances_.back() += tap.offset[a] * steps_[a];
                low_[a] = std::max(low_[a], tap.offset[a]);  // cells low..high have an input for every tap
                high_[a] = std::min(high_[a], walk.in_size[a] + tap.offset[a]);
            }
        }
    }

    void stand_at(Index image, const std::vector<Index>& cell) {
        cell_ = cell;
        from_ = image * image_step_;
        complete_ = true;
        for (std::size_t a = 0; a < cell.size(); ++a) {
            from_ += cell[a] * steps_[a];
            complete_ = complete_ && cell[a] >= low_[a] && cell[a] < high_[a];
        }
    }

    Index input(std::size_t tap) const {
        if (!complete_)
            for (std::size_t a = 0; a < cell_.size(); ++a)
                if (const Index i = cell_[a] - taps_[tap].offset[a]; i < 0 || i >= walk_.in_size[a]) return Places::nothing;
        return from_ - distances_[tap];
    }

   private:
    const Walk& walk_;
    const std::vector<Tap>& taps_;
    std::vector<Index> steps_, distances_, low_, high_, cell_;
    Index image_step_, from_ = 0;
    bool complete_ = false;
};

}  // namespace

void Places::locate(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells,
                    Index begin, Index end, Index tile_rows) {
    const auto& taps = group.taps.front();  // all phases of a group read the same
    const std::size_t dims = axes.size(), rows = static_cast<std::size_t>(tile_rows);
    inputs.clear();
    number.clear();
    used.clear();
    y.clear();
    o.clear();
    lowest = INT64_MAX;
    highest = 0;
    std::vector<Reader> readers(rows, Reader(walk, taps));
    std::vector<Index> cell(dims);
    Index rest = begin % cells.total, image = begin / cells.total;
    for (std::size_t a = dims; a-- > 0; rest /= cells.count[a]) cell[a] = cells.first[a] + rest % cells.count[a];
    for (Index tile = begin; tile < end; tile += tile_rows) {
        const auto count = static_cast<std::size_t>(std::min(tile_rows, end - tile));
        for (std::size_t r = 0; r < count; ++r) {
            readers[r].stand_at(image, cell);
            Index row = image * walk.y_strides[0];
            for (std::size_t a = 0; a + 1 < dims; ++a)
                row += (axes[a].stride * cell[a] + group.residue[a] - axes[a].crop_lo) * walk.y_strides[a + 2];
            y.push_back(row);
            o.push_back(axes.back().stride * cell.back() + group.residue.back() - axes.back().crop_lo);
            std::size_t a = dims;
            while (a-- > 0) {
                if (++cell[a] < cells.first[a] + cells.count[a]) break;
                cell[a] = cells.first[a];
                if (a == 0) ++image;
            }
        }
        const std::size_t before = number.size();
        for (std::size_t t = 0; t < taps.size(); ++t) {
            const std::size_t at = inputs.size();
            bool any = false;
            for (std::size_t r = 0; r < count; ++r) {
                inputs.push_back(readers[r].input(t));
                if (inputs.back() == nothing) continue;
                any = true;
                lowest = std::min(lowest, inputs.back());
                highest = std::max(highest, inputs.back());
            }
            if (any)
                number.push_back(static_cast<Index>(t));
            else
                inputs.resize(at);
        }
        used.push_back(static_cast<Index>(number.size() - before));
    }
}

}  // namespace tconv
