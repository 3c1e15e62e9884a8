// Things made when they are first needed. Nobody waits for anybody: a lock held by another thread while the process forks
// would never be released in the child (the only one that may be waited for is that of fork.hpp). Several who come first
// may each make one; one of them stays.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend.hpp"

namespace tconv {

template <class Made>
class Lazy {
   public:
    Lazy() = default;
    Lazy(const Lazy&) = delete;
    ~Lazy() { delete made_.load(); }

    template <class Make>
    const Made& get(Make make) const {
        Made* found = made_.load(std::memory_order_acquire);
        if (found) return *found;
        std::unique_ptr<Made> fresh = make();
        return made_.compare_exchange_strong(found, fresh.get()) ? *fresh.release() : *found;
    }

    // Null at the first time of asking: what is used only once is not worth keeping.
    template <class Make>
    const Made* get_again(Make make) const {
        return asked_.exchange(true, std::memory_order_relaxed) ? &get(make) : nullptr;
    }

   private:
    mutable std::atomic<Made*> made_{nullptr};
    mutable std::atomic<bool> asked_{false};
};

// The last few used, each for a key of sizes.
template <class Made>
class Recent {
   public:
    template <class Make>
    std::shared_ptr<const Made> get(const std::vector<Index>& key, Make make) const {
        {
            const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
            if (lock.owns_lock())
                if (const auto at = std::find_if(made_.rbegin(), made_.rend(), [&](const auto& one) { return one.first == key; });
                    at != made_.rend()) {
                    std::rotate(at.base() - 1, at.base(), made_.end());
                    return made_.back().second;
                }
        }
        const std::shared_ptr<const Made> fresh = make();
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (lock.owns_lock()) {
            if (made_.size() == most) made_.erase(made_.begin());
            made_.emplace_back(key, fresh);
        }
        return fresh;
    }

   private:
    static constexpr std::size_t most = 64;

    mutable std::mutex mutex_;
    mutable std::vector<std::pair<std::vector<Index>, std::shared_ptr<const Made>>> made_;
};

}  // namespace tconv
