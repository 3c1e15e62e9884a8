#include "lent.hpp"

#include <algorithm>
#include <list>
#include <mutex>
#include <numeric>

namespace tconv {
namespace {

constexpr Index kept_at_most = 1 << 29;

struct Kept {
    std::mutex mutex;
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
    {
        const std::lock_guard<std::mutex> lock(kept().mutex);
        auto& memory = kept().memory;
        auto best = memory.end();
        for (auto one = memory.begin(); one != memory.end(); ++one) {
            const bool fits = one->count() >= bytes && one->count() <= bytes + bytes / 4;
            if (fits && (best == memory.end() || one->count() < best->count())) best = one;
        }
        if (best != memory.end()) {
            Bytes found = std::move(*best);
            memory.erase(best);
            return found;
        }
    }
    return Bytes(bytes);
}

void give_back(Bytes memory) {
    const std::lock_guard<std::mutex> lock(kept().mutex);
    kept().memory.push_back(std::move(memory));
    while (kept().bytes() > kept_at_most) kept().memory.pop_front();
}

Index free_memory() {
    const std::lock_guard<std::mutex> lock(kept().mutex);
    const Index bytes = kept().bytes();
    kept().memory.clear();
    return bytes;
}

}  // namespace tconv
