#include "threads.hpp"

#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "tuning.hpp"

namespace tconv {
namespace {

std::atomic<int> chosen{0};

int available() {
    if (const char* text = std::getenv("OMP_NUM_THREADS"))
        if (const int count = std::atoi(text); count > 0) return count;
#if defined(__linux__)  // elsewhere nobody can narrow a process down to some processors
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

// Read when the core is loaded, which Python does under its lock.
const int at_start = available();

thread_local Workers workers;

constexpr std::chrono::microseconds look_out{200};
constexpr std::chrono::milliseconds between_looks{50};

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// One call's tasks, in as many regions as there are threads. A thread works on the region of its seat, and on what is left
// in the others when it is done there. In every call the same seat has the same part of the memory: what it wrote in one
// call is still in its processor's cache when the next reads it.
struct Job {
    Job(Index tasks, Index threads, const std::function<void(Index)>& work)
        : count(tasks), regions(static_cast<std::size_t>(threads)), body(work) {
        for (Index i = 0; i < threads; ++i) {
            regions[static_cast<std::size_t>(i)].next = count * i / threads;
            regions[static_cast<std::size_t>(i)].end = count * (i + 1) / threads;
        }
    }

    // On a cache line of its own, so that nobody waits for the others' counting.
    struct alignas(64) Region {
        std::atomic<Index> next;
        Index end;
    };

    const Index count;
    std::vector<Region> regions;
    const std::function<void(Index)>& body;
    std::atomic<Index> done{0};
    std::atomic<bool> failed{false};
    std::exception_ptr error;  // of the first task that failed; read when all are done

    // The caller's part: it works, and waits for what others have begun.
    void finish() {
        work(0);
        for (int spins = 0; done.load() < count; ++spins)
            if (spins > 200) std::this_thread::yield();
    }

    void work(std::size_t seat) noexcept {
        for (std::size_t i = 0; i < regions.size(); ++i) {
            Region& region = regions[(seat + i) % regions.size()];
            for (Index task; (task = region.next.fetch_add(1)) < region.end; done.fetch_add(1)) try {
                    if (!failed.load(std::memory_order_relaxed)) body(task);
                } catch (...) {
                    if (!failed.exchange(true)) error = std::current_exception();
                }
        }
    }
};

// Workers look out for the next job for a moment, on a processor of their own, and then sleep: a longer look would
// disturb other libraries, and one woken from sleep may be put on the caller's own processor. Jobs of several callers
// queue; each caller works on its own, so nobody waits for a worker that is busy elsewhere.
class Pool {
   public:
    void run(const std::shared_ptr<Job>& job, int helpers) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            while (workers_ < helpers) start();
            helpers = std::min(helpers, workers_);
            try {
                for (int i = 0; i < helpers; ++i) queue_.push_back(job);
            } catch (const std::bad_alloc&) {  // fewer will do: who left now would take the job from those who have it
            }
            queued_ = queue_.size();
        }
        for (int i = 0; i < helpers; ++i) wake_.notify_one();
        job->finish();
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            std::erase(queue_, job);
            queued_ = queue_.size();
        }
    }

    // Whether some worker would begin at once.
    bool awake() const { return looking_ > 0; }

   private:
    void start() {
        try {
            std::thread([this, seat = workers_ + 1] { serve(static_cast<std::size_t>(seat)); }).detach();
            ++workers_;
        } catch (const std::exception&) {
            workers_ = std::max(workers_, 1 << 20);  // no further thread to be had: do not try again
        }
    }

    void serve(std::size_t seat) {
        for (;;) {
            std::shared_ptr<Job> job;
            const auto bedtime = std::chrono::steady_clock::now() + look_out;
            ++looking_;
            while (queued_ == 0 && std::chrono::steady_clock::now() < bedtime) pause();
            --looking_;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [this] { return !queue_.empty(); });
                job = std::move(queue_.front());
                queue_.pop_front();
                queued_ = queue_.size();
            }
            job->work(seat);
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::shared_ptr<Job>> queue_;
    std::atomic<std::size_t> queued_{0};  // its length, to be looked at without the lock
    std::atomic<int> looking_{0};         // workers that look out
    int workers_ = 0;
};

// The OpenMP team of another library, whose threads would else contend with the pool's for the processors: after each
// piece of work they look out for the next one much longer than the pool's. A forked child has none: OpenMP's threads do
// not survive there, and it does not notice.
std::atomic<Team> team{nullptr};
std::atomic<Seat> seat_in_team{nullptr};

// Never destroyed: workers may sleep in it until the process ends. A forked child has no workers and gets a new one.
std::atomic<Pool*> pool{nullptr};

[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] {
    pool = nullptr;
    team = nullptr;
});

Pool& the_pool() {
    Pool* found = pool;
    if (!found) {
        auto fresh = std::make_unique<Pool>();
        if (pool.compare_exchange_strong(found, fresh.get())) found = fresh.release();
    }
    return *found;
}

// One of a host's threads at a job. It may begin when the job is long done: then there is nothing left to do for it.
struct Seated {
    std::shared_ptr<Job> job;
    std::size_t seat;
};

void run_by(const Host& host, const std::shared_ptr<Job>& job, std::size_t helpers) {
    for (std::size_t seat = 1; seat <= helpers; ++seat) {
        std::unique_ptr<Seated> seated(new (std::nothrow) Seated{job, seat});
        const auto task = [](void* data) {
            const std::unique_ptr<Seated> mine(static_cast<Seated*>(data));
            mine->job->work(mine->seat);
        };
        if (!seated || !host.schedule(host.pool, task, seated.get())) break;
        seated.release();
    }
    job->finish();
}

Team team_of_call() { return workers.team ? team.load() : nullptr; }

}  // namespace

int num_threads() {
    if (workers.threads > 0) return workers.threads;
    const int count = chosen;
    return count ? count : at_start;
}

void set_num_threads(int count) { chosen = count; }

void join_team(Team parallel, Seat seat) {
    seat_in_team = seat;
    team = parallel;
}

Employed::Employed(const Workers& now) : before_(std::exchange(workers, now)) {}

Employed::~Employed() { workers = before_; }

void look_up() {
    thread_local std::chrono::steady_clock::time_point last;
    if (!workers.look_up) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last < between_looks) return;
    last = now;
    workers.look_up();
}

int threads_for(double multiplications) {
    if (multiplications < 2 * tuning::threads::worth_handing_over) return 1;
    const bool awake = !team_of_call() && !workers.host.schedule && the_pool().awake();
    const double share = multiplications / (awake ? tuning::threads::worth_handing_over : tuning::threads::worth_waking);
    return share < 2 ? 1 : static_cast<int>(std::min(static_cast<double>(num_threads()), share));
}

void parallel(Index count, double multiplications, const std::function<void(Index)>& body) {
    const Index threads = count < 2 ? 1 : std::min<Index>(count, threads_for(multiplications));
    if (threads < 2) {
        for (Index task = 0; task < count; ++task) body(task);
        return;
    }
    if (const Team run = team_of_call()) {
        Job job(count, threads, body);
        const auto work = [](void* shared) { static_cast<Job*>(shared)->work(static_cast<std::size_t>(seat_in_team.load()())); };
        run(work, &job, static_cast<unsigned>(threads), 0);
        if (job.error) std::rethrow_exception(job.error);
        return;
    }
    const auto job = std::make_shared<Job>(count, threads, body);
    if (workers.host.schedule)
        run_by(workers.host, job, static_cast<std::size_t>(threads) - 1);
    else
        the_pool().run(job, static_cast<int>(threads) - 1);
    if (job->error) std::rethrow_exception(job->error);
}

}  // namespace tconv
