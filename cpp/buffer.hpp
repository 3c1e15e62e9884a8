// Memory for numbers that are all written before they are read: not cleared, at the start of a cache line, and on large
// pages where it is long, which the processor finds and the system fills faster.
#pragma once
#include <sys/mman.h>

#include <cstdlib>
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
    ~Buffer() { std::free(data_); }

    // Room for at least `count` numbers; what was there is lost.
    T* grow(Index count) {
        if (count <= count_ && data_) return data_;
        std::free(std::exchange(data_, nullptr));
        const std::size_t page = static_cast<std::size_t>(count) * sizeof(T) < large ? 64 : large;
        const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) / page + 1) * page;
        data_ = static_cast<T*>(std::aligned_alloc(page, bytes));
        if (!data_) throw std::bad_alloc();
        if (page == large) madvise(data_, bytes, MADV_HUGEPAGE);  // without it, it is only slower
        count_ = count;
        return data_;
    }

    T* data() { return data_; }
    const T* data() const { return data_; }
    Index count() const { return count_; }

   private:
    static constexpr std::size_t large = 2 * 1024 * 1024;

    T* data_ = nullptr;
    Index count_ = 0;
};

}  // namespace tconv
