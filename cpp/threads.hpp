// Work shared among threads. The only place that starts any.
#pragma once
#include <functional>

#include "backend.hpp"

namespace tconv {

// Threads that a call may use: what its `Workers` say, else what was set, else OMP_NUM_THREADS or the processors that this
// process could run on when the core was loaded. The environment is not read later: another thread may be writing to it.
int num_threads();
void set_num_threads(int count);  // 0: back to the default

// GCC's entry to OpenMP, GOMP_parallel(body, argument, threads, flags), which LLVM's and Intel's libraries have as well.
using Team = void (*)(void (*)(void*), void*, unsigned, unsigned);

// Its omp_get_thread_num(): a thread's number in the team, 0 for the caller's.
using Seat = int (*)();

// Make that library's threads known to calls that ask for the team; null: there is none.
void join_team(Team parallel, Seat seat);

// Threads of somebody else's pool: `schedule` has one of them call task(data) some time, or returns false.
struct Host {
    bool (*schedule)(void* pool, void (*task)(void*), void* data) = nullptr;
    void* pool = nullptr;
};

// With what a call computes.
struct Workers {
    int threads = 0;             // at most so many; 0: as set
    bool team = false;           // threads of the library that `join_team` named, rather than the pool's
    void (*look_up)() = nullptr;  // called now and then on the calling thread in work that takes long; may throw
    Host host{};                  // if it has `schedule`: its threads, rather than any others
};

// The calls of this thread have these workers, as long as it lives.
class Employed {
   public:
    explicit Employed(const Workers& workers);
    Employed(const Employed&) = delete;
    ~Employed();

   private:
    const Workers before_;
};

// For work that may take minutes, every few milliseconds: lets the caller's `look_up` end it.
void look_up();

// How many threads are worth while for so much work: small work is done faster than another thread is woken.
int threads_for(double multiplications);

// Call body(task) once for every task 0..count, on the calling thread and, if the work is worth it, on threads of the
// pool, the team or the host. Which thread does what may differ from call to call; each output belongs to one task, so results do not.
// When a task has thrown, those that have not begun are left out.
void parallel(Index count, double multiplications, const std::function<void(Index)>& body);

}  // namespace tconv
