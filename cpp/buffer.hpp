// Memory for numbers that are all written before they are read: not cleared, at the start of a cache line, and on large
// pages where it is long, which the processor finds and the system fills faster.
#pragma once
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "backend.hpp"

namespace tconv {

template <class T>
class Buffer {
   public:
    Buffer() = default;
    explicit Buffer(Index count) { grow(count); }
    Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    Buffer& operator=(Buffer&&) = delete;
    ~Buffer() { release(); }

    // Room for at least `count` numbers; what was there is lost.
    T* grow(Index count) {
        if (count <= count_ && data_) return data_;
        release();
        const std::size_t bytes = bytes_of(count);
        data_ = static_cast<T*>(bytes < large ? std::aligned_alloc(64, bytes) : pages(bytes));
        if (!data_) throw std::bad_alloc();
        count_ = count;
        return data_;
    }

    // The same, and new memory is zeros: for what is computed with in whole vectors, though some lanes are wanted by no one.
    // By chance they might be subnormal, and some processors take a hundred times as long for such numbers.
    T* grow_cleared(Index count) {
        if (count <= count_ && data_) return data_;
        grow(count);
        if (bytes_of(count_) < large) std::memset(static_cast<void*>(data_), 0, bytes_of(count_));  // else the system did
        return data_;
    }

    T* data() { return data_; }
    const T* data() const { return data_; }
    Index count() const { return count_; }

   private:
    static constexpr std::size_t large = 2 * 1024 * 1024;

    static std::size_t bytes_of(Index count) {
        const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T), page = bytes < large ? 64 : large;
        return (bytes / page + 1) * page;
    }

    // From the system, so that they go back to it: free() would keep them for other sizes.
    static void* pages(std::size_t bytes) {
        void* mapped = mmap(nullptr, bytes + large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) return nullptr;
        char* const begin = static_cast<char*>(mapped);
        const std::size_t before = large - reinterpret_cast<std::uintptr_t>(begin) % large;
        munmap(begin, before);
        if (before < large) munmap(begin + before + bytes, large - before);
#if defined(MADV_HUGEPAGE)
        madvise(begin + before, bytes, MADV_HUGEPAGE);  // without it, as on macOS, it is only slower
#endif
        return begin + before;
    }

    void release() {
        if (data_ && bytes_of(count_) >= large)
            munmap(data_, bytes_of(count_));
        else
            std::free(data_);
        data_ = nullptr;
        count_ = 0;
    }

    T* data_ = nullptr;
    Index count_ = 0;
};

}  // namespace tconv
