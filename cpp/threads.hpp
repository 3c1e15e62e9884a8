// Work shared among threads. The only place that starts any.
#pragma once
#include <functional>

#include "backend.hpp"

namespace tconv {

int num_threads();
void set_num_threads(int count);  // 0: back to the default

// How many threads are worth while for so much work: small work is done faster than another thread is woken.
int threads_for(double multiplications);

// Call body(task) once for every task 0..count, on the calling thread and, if the work is worth it, on threads of the
// pool. Which thread does what may differ from call to call; each output belongs to one task, so results do not.
void parallel(Index count, double multiplications, const std::function<void(Index)>& body);

}  // namespace tconv
