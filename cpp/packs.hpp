// The packed weights of a layer: as many as there is room for. Each way of computing has its own order, so that weights
// used in all ways would lie in memory nine times. The pack used longest ago goes when there is no room for the next one;
// a call that still computes with it keeps it until it is done.
#pragma once
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "backend.hpp"
#include "fork.hpp"

namespace tconv {

// Packs of the smallest layers are kept whatever they are: all of them together are less than what Python needs beside.
constexpr Index least_room = 256 * 1024;

// A pack may be larger than the room if it is no larger than this. Winograd's has 16 products for 9 taps or, with strides,
// for 4: for up to 9 MB of weights it stays within what one more layer of usual size takes, and pays for itself.
constexpr Index small_pack = 16 * 1024 * 1024;

class Packs {
   public:
    // Room for so many bytes.
    explicit Packs(Index room) : room_(std::max(room, least_room)) { packs_.reserve(most); }

    // The one rule: whether a pack of so many bytes may be made at all. A way that needs a larger one is not taken.
    bool admit(Index bytes) const { return bytes <= room_ || bytes <= small_pack; }

    // The pack of a way, or null if there is none now.
    std::shared_ptr<const void> find(int way) const {
        const Moment moment;
        return used(way);
    }

    // Let packs go until there is room for so many bytes more, or none is left.
    void make_room(Index bytes) const {
        std::vector<Pack> gone;  // freed when the lock is released
        gone.reserve(most);
        const Moment moment;
        drop(gone, bytes);
    }

    // Keep a pack that was just made, and return it; or the one that another thread has made meanwhile.
    std::shared_ptr<const void> keep(int way, std::shared_ptr<const void> made, Index bytes) const {
        std::vector<Pack> gone;
        gone.reserve(most);
        const Moment moment;
        if (std::shared_ptr<const void> before = used(way)) return before;
        drop(gone, bytes);
        packs_.push_back({way, bytes, made});
        return made;
    }

   private:
    struct Pack {
        int way;
        Index bytes;
        std::shared_ptr<const void> made;
    };

    static constexpr std::size_t most = 32;  // ways, at least

    std::shared_ptr<const void> used(int way) const {
        const auto found = std::find_if(packs_.begin(), packs_.end(), [&](const Pack& pack) { return pack.way == way; });
        if (found == packs_.end()) return nullptr;
        std::rotate(found, found + 1, packs_.end());
        return packs_.back().made;
    }

    void drop(std::vector<Pack>& gone, Index bytes) const {
        for (const Pack& pack : packs_) bytes += pack.bytes;
        while (!packs_.empty() && bytes > room_) {
            bytes -= packs_.front().bytes;
            gone.push_back(std::move(packs_.front()));
            packs_.erase(packs_.begin());
        }
    }

    const Index room_;
    mutable std::vector<Pack> packs_;  // the one used longest ago first
};

}  // namespace tconv
