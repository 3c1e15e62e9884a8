// parallel() from several threads at once while the number of threads changes, and packs that come and go, also in children
// forked meanwhile. Each task must be met exactly once; ThreadSanitizer sees whether two threads ever have the same.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "packs.hpp"
#include "threads.hpp"

namespace {

constexpr double much_work = 1e9;

bool each_once(int repeats) {
    for (const tconv::Index count : {1, 2, 7, 1000}) {
        std::vector<int> met(static_cast<std::size_t>(count));
        for (int repeat = 1; repeat <= repeats; ++repeat) {
            tconv::parallel(count, much_work, [&](tconv::Index task) { ++met[static_cast<std::size_t>(task)]; });
            for (const int times : met)
                if (times != repeat) return false;
        }
    }
    return true;
}

// A host with few threads to lend: some tasks begin at once, some when the work is long done, some are refused.
class Hosting {
   public:
    ~Hosting() {
        for (std::thread& thread : threads_) thread.join();
        for (const Late& late : late_) late.task(late.data);
    }

    static bool schedule(void* pool, void (*task)(void*), void* data) {
        Hosting& host = *static_cast<Hosting*>(pool);
        const int number = host.number_++;
        if (number % 7 == 6) return false;
        if (number % 7 == 5)
            host.late_.push_back({task, data});
        else
            host.threads_.emplace_back(task, data);
        return true;
    }

   private:
    struct Late {
        void (*task)(void*);
        void* data;
    };

    std::vector<std::thread> threads_;
    std::vector<Late> late_;
    int number_ = 0;
};

bool a_host_s_threads() {
    Hosting host;
    tconv::Workers workers{3};
    workers.host = {Hosting::schedule, &host};
    const tconv::Employed employed(workers);
    return each_once(5);
}

// Packs of three ways where there is room for one: whoever looks finds what belongs there, however often it goes.
bool packs_are_right(const tconv::Packs& packs, int repeats) {
    for (int repeat = 0; repeat < repeats; ++repeat)
        for (const int way : {0, 1, 2}) {
            std::shared_ptr<const void> found = packs.find(way);
            if (!found) {
                packs.make_room(tconv::least_room);
                found = packs.keep(way, std::make_shared<const std::vector<int>>(1000, way), tconv::least_room);
            }
            for (const int number : *std::static_pointer_cast<const std::vector<int>>(found))
                if (number != way) return false;
        }
    return true;
}

// A child computes on its own, whatever its parent was doing; the alarm ends one that hangs.
[[maybe_unused]] bool child_computes(const tconv::Packs& packs) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(each_once(3) && packs_are_right(packs, 3) ? 0 : 1);
    }
    int status = -1;
    return waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

int main() {
    std::atomic<int> wrong{0};
    std::atomic<bool> done{false};
    const tconv::Packs packs(tconv::least_room);
    tconv::set_num_threads(4);
    if (!each_once(10)) ++wrong;
    if (!a_host_s_threads()) ++wrong;

    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&] {
            while (!done)
                if (!each_once(5) || !packs_are_right(packs, 5)) ++wrong;
        });
    for (int i = 0; i < 10 && !wrong; ++i) {
        tconv::set_num_threads(1 + i % 5);
        const tconv::Employed employed({i % 3, false, nullptr});
        if (!each_once(5) || !packs_are_right(packs, 5)) ++wrong;
#if !defined(__SANITIZE_THREAD__)  // which is blind, and confused, in the child of a process with threads
        if (!child_computes(packs)) {
            std::puts("a forked child failed or hung");
            ++wrong;
        }
#endif
    }
    done = true;
    for (std::thread& caller : callers) caller.join();
    std::printf("races: %s\n", wrong ? "WRONG" : "each task once");
    return wrong != 0;
}
