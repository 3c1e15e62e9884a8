// The packed weights of layers that XLA calls. XLA hands over a weight's memory at every call and does not say whether the
// numbers in it are those of the last one: so a layer is found by where its weight lies, and used if a checksum of all its
// numbers is what it was.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "fork.hpp"
#include "layer.hpp"
#include "stamps.hpp"

namespace tconv::xla {

using Numbers = std::vector<std::int64_t>;

// All that tells a layer from others but the numbers of its weight.
struct Identity {
    const void* weight;
    Numbers form;

    bool operator==(const Identity&) const = default;
};

using Checksum = std::vector<std::uint64_t>;

// The layers of arrays of S that were used last, as long as their weights take no more than `room` together; their packs
// take at most twice that.
template <class S>
class Layers {
   public:
    static constexpr Index room = Index{256} << 20;
    static constexpr std::size_t most = 256;

    Layers() { kept_.reserve(most + 1); }

    std::shared_ptr<const Layer<S>> find(const Identity& identity, const Checksum& checksum) {
        const Moment moment;
        const auto found = at(identity);
        if (found == kept_.end() || found->checksum != checksum) return nullptr;
        std::rotate(found, found + 1, kept_.end());
        return kept_.back().layer;
    }

    void keep(Identity identity, Checksum checksum, std::shared_ptr<const Layer<S>> layer) {
        const Index bytes = layer->weights() * static_cast<Index>(sizeof(S));
        if (bytes > room) return;
        std::vector<Kept> gone;  // freed when the lock is released
        gone.reserve(most + 1);
        Kept now{std::move(identity), std::move(checksum), std::move(layer), bytes};
        const Moment moment;
        if (const auto before = at(now.identity); before != kept_.end()) drop(before, gone);
        bytes_ += bytes;
        kept_.push_back(std::move(now));
        while (bytes_ > room || kept_.size() > most) drop(kept_.begin(), gone);
    }

    void clear() {
        std::vector<Kept> gone;
        gone.reserve(most + 1);
        const Moment moment;
        gone.swap(kept_);
        bytes_ = 0;
    }

   private:
    struct Kept {
        Identity identity;
        Checksum checksum;
        std::shared_ptr<const Layer<S>> layer;
        Index bytes;
    };
    using Place = typename std::vector<Kept>::iterator;

    Place at(const Identity& identity) {
        return std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) { return kept.identity == identity; });
    }

    void drop(Place place, std::vector<Kept>& gone) {
        bytes_ -= place->bytes;
        gone.push_back(std::move(*place));
        kept_.erase(place);
    }

    std::vector<Kept> kept_;  // the one used longest ago first
    Index bytes_ = 0;
};

}  // namespace tconv::xla
