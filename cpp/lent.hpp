// Memory for results, used again when the result that lay in it is gone. Fresh memory is fetched from the system page by
// page and filled with zeros: for a result of 64 MB that takes as long as computing it. What a model has finished with is
// kept for its next result.
#pragma once
#include <algorithm>
#include <cstddef>

#include "buffer.hpp"

namespace tconv {

using Bytes = Buffer<std::byte>;

constexpr Index worth_lending = 1 << 20;

// Room for so many bytes, at least `worth_lending`, and perhaps for more; what is in it is left from before.
Bytes borrow(Index bytes);

// Keep it for `borrow`. At most 512 MB are kept: the oldest ones go first.
void give_back(Bytes memory);

// Such memory for `count` numbers, as long as it lives.
template <class T>
class Borrowed {
   public:
    explicit Borrowed(Index count) : memory_(borrow(std::max(count * static_cast<Index>(sizeof(T)), worth_lending))) {}
    Borrowed(const Borrowed&) = delete;
    ~Borrowed() { give_back(std::move(memory_)); }

    T* data() { return reinterpret_cast<T*>(memory_.data()); }
    const T* data() const { return reinterpret_cast<const T*>(memory_.data()); }

   private:
    Bytes memory_;
};

// Let go of all that is kept; how many bytes that was.
Index free_memory();

}  // namespace tconv
