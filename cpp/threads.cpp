#include "threads.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <thread>

namespace tconv {
namespace {

std::atomic<int> chosen{0};

// Threads live for one call only: nothing to lose in a fork, nothing left spinning beside other libraries. Starting one
// takes tens of microseconds, so smaller work stays on the calling thread.
constexpr double worth_a_thread = 2e6;

int available() {
    if (const char* text = std::getenv("OMP_NUM_THREADS"))
        if (const int count = std::atoi(text); count > 0) return count;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

int num_threads() {
    const int count = chosen;
    return count ? count : available();
}

void set_num_threads(int count) { chosen = count; }

void parallel(Index count, double multiplications, const std::function<void(Index, Index)>& body) {
    const Index parts = std::min({static_cast<Index>(num_threads()), count,
                                  static_cast<Index>(std::min(multiplications / worth_a_thread, 1e6)) + 1});
    std::vector<std::thread> others;
    Index started = 1;
    try {
        for (; started < parts; ++started)
            others.emplace_back(body, count * started / parts, count * (started + 1) / parts);
    } catch (const std::exception&) {
        // No further thread to be had: this one does the rest.
    }
    body(0, count / parts);
    if (started < parts) body(count * started / parts, count);
    for (std::thread& other : others) other.join();
}

}  // namespace tconv
