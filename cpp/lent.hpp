// Memory for results, used again when the result that lay in it is gone. Fresh memory is fetched from the system page by
// page and filled with zeros: for a result of 64 MB that takes as long as computing it. What a model has finished with is
// kept for its next result.
#pragma once
#include <cstddef>

#include "buffer.hpp"

namespace tconv {

using Bytes = Buffer<std::byte>;

constexpr Index worth_lending = 1 << 20;

// Room for so many bytes, at least `worth_lending`, and perhaps for more; what is in it is left from before.
Bytes borrow(Index bytes);

// Keep it for `borrow`. At most 512 MB are kept: the oldest ones go first.
void give_back(Bytes memory);

// Let go of all that is kept; how many bytes that was.
Index free_memory();

}  // namespace tconv
