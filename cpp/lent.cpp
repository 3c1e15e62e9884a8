#include "lent.hpp"

#include <algorithm>
#include <list>
#include <numeric>

#include "fork.hpp"

namespace tconv {
namespace {

constexpr Index kept_at_most = 1 << 29;

struct Kept {
    std::list<Bytes> memory;  // oldest first

    Index bytes() const {
        return std::accumulate(memory.begin(), memory.end(), Index{0}, [](Index sum, const Bytes& one) { return sum + one.count(); });
    }
};

// Never destroyed: results may outlive the core.
Kept& kept() {
    static Kept& only = *new Kept;
    return only;
}

}  // namespace

Bytes borrow(Index bytes) {
    std::list<Bytes> found;
    {
        const Moment moment;
        auto& memory = kept().memory;
        auto best = memory.end();
        for (auto one = memory.begin(); one != memory.end(); ++one) {
            const bool fits = one->count() >= bytes && one->count() <= bytes + bytes / 4;
            if (fits && (best == memory.end() || one->count() < best->count())) best = one;
        }
        if (best != memory.end()) found.splice(found.end(), memory, best);
    }
    return found.empty() ? Bytes(bytes) : std::move(found.front());
}

void give_back(Bytes memory) {
    std::list<Bytes> fresh, gone;  // the latter freed when the lock is released
    fresh.push_back(std::move(memory));
    const Moment moment;
    auto& all = kept().memory;
    all.splice(all.end(), fresh);
    while (kept().bytes() > kept_at_most) gone.splice(gone.end(), all, all.begin());
}

Index free_memory() {
    std::list<Bytes> gone;
    const Moment moment;
    const Index bytes = kept().bytes();
    gone.swap(kept().memory);
    return bytes;
}

}  // namespace tconv
