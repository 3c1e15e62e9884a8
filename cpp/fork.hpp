// A lock that a forked child can take as well. One held by another thread while the process forks would never be released
// in the child; fork() waits for this one, so nobody else has it then.
#pragma once
#include <pthread.h>

#include <mutex>

namespace tconv {

namespace fork_safe {

// Never destroyed: it may be taken while the process ends.
inline std::mutex& lock = *new std::mutex;

inline const int registered =
    pthread_atfork([] { lock.lock(); }, [] { lock.unlock(); }, [] { lock.unlock(); });

}  // namespace fork_safe

// Holds the one lock of the core while it lives: for a moment, to look something up or to put it in its place. Nothing is
// made, freed or waited for meanwhile.
class Moment {
   public:
    Moment() : held_(fork_safe::lock) {}

   private:
    const std::lock_guard<std::mutex> held_;
};

}  // namespace tconv
