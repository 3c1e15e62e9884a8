// Work shared among threads. The only place that starts any.
#pragma once
#include <functional>

#include "problem.hpp"

namespace tconv {

int num_threads();
void set_num_threads(int count);  // 0: back to the default

// Call body(begin, end) on disjoint ranges that cover 0..count; the ranges depend on nothing but the thread count, and
// each output is written by one call, so that results do not depend on the number of threads.
void parallel(Index count, double multiplications, const std::function<void(Index, Index)>& body);

}  // namespace tconv
