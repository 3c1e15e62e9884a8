// The size of a cache, by which the work is divided.
#pragma once
#include <unistd.h>

#include <atomic>

#include "backend.hpp"

namespace tconv {

inline std::atomic<Index> assumed_cache{0};

// Of the second level, in bytes; 0 where the system does not tell.
inline Index second_cache_bytes() {
    if (const Index bytes = assumed_cache) return bytes;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    static const Index told = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return told > 0 ? told : 0;
#else
    return 0;
#endif
}

// What it is for layers that are made from now on, whatever the system tells; 0: that.
inline void assume_second_cache(Index bytes) { assumed_cache = bytes; }

}  // namespace tconv
