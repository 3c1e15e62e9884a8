// Work shared among threads. The only place that starts any.
#pragma once
#include <functional>

#include "backend.hpp"

namespace tconv {

int num_threads();
void set_num_threads(int count);  // 0: back to the default

// GCC's entry to OpenMP, GOMP_parallel(body, argument, threads, flags), which LLVM's and Intel's libraries have as well.
using Team = void (*)(void (*)(void*), void*, unsigned, unsigned);

// Its omp_get_thread_num(): a thread's number in the team, 0 for the caller's.
using Seat = int (*)();

// Work with the threads of that library from now on; null: with the pool again.
void join_team(Team parallel, Seat seat);

// How many threads are worth while for so much work: small work is done faster than another thread is woken.
int threads_for(double multiplications);

// Call body(task) once for every task 0..count, on the calling thread and, if the work is worth it, on threads of the
// pool or the team. Which thread does what may differ from call to call; each output belongs to one task, so results do not.
void parallel(Index count, double multiplications, const std::function<void(Index)>& body);

}  // namespace tconv
