#include <linseed/core/executor.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <linseed/core/error.hpp>

namespace linseed {

namespace {

/// Looks for `ready()` busily for a moment, since sleeping and waking take longer than a short task, or than what a
/// training step does between two long ones; gives way to others between looks. Returns whether it came true. Where there are more threads than processors, waiting keeps
/// others from working: then it is asked once.
template <class Ready>
bool spin_until(const Ready& ready, bool patient) noexcept {
  constexpr auto patience = std::chrono::microseconds(200);
  constexpr int looks = 64;  // between two looks at the clock
  if (!patient) return ready();
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < looks; ++i) {
      if (ready()) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() - start < patience);
  return ready();
}

/// Hands out numbers below `count`. Each worker begins with a share of its own, then helps the others with theirs.
class Shares {
 public:
  explicit Shares(int workers) : shares_(static_cast<std::size_t>(workers)) {}

  void reset(std::int64_t count, bool backwards) noexcept {
    const auto workers = static_cast<std::int64_t>(shares_.size());
    for (std::int64_t w = 0; w < workers; ++w) {
      Share& share = shares_[static_cast<std::size_t>(w)];
      share.begin = count * w / workers;
      share.size = count * (w + 1) / workers - share.begin;
      share.taken.store(0, std::memory_order_relaxed);
    }
    backwards_ = backwards;
  }
  template <class Use>
  void drain(int worker, const Use& use) noexcept {
    for (std::size_t i = 0, w = static_cast<std::size_t>(worker); i < shares_.size(); ++i, ++w) {
      Share& share = shares_[w < shares_.size() ? w : w - shares_.size()];
      while (share.taken.load(std::memory_order_relaxed) < share.size) {
        const std::int64_t k = share.taken.fetch_add(1, std::memory_order_relaxed);
        if (k < share.size) use(share.begin + (backwards_ ? share.size - 1 - k : k));
      }
    }
  }

 private:
  struct alignas(64) Share {  // a line of the caches
    std::int64_t begin = 0, size = 0;
    std::atomic<std::int64_t> taken = 0;
  };
  std::vector<Share> shares_;
  bool backwards_ = false;
};

void run_serially(std::int64_t count, const detail::Task& task, bool backwards) {
  for (std::int64_t i = 0; i < count; ++i) task(backwards ? count - 1 - i : i, 0);
}

}  // namespace

/// One job at a time, for the workers and the caller. Whoever waits spins for a moment, then sleeps.
class Executor::Pool {
 public:
  explicit Pool(int threads)
      : patient_(threads <= static_cast<int>(std::thread::hardware_concurrency())), shares_(threads) {
    workers_.reserve(static_cast<std::size_t>(threads - 1));
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_.store(true, std::memory_order_relaxed);
      job_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  void run(std::int64_t count, const detail::Task& task, bool backwards) {
    // A second caller, or a task that calls again, does its work alone: the pool has one job at a time.
    const std::unique_lock turn(turn_, std::try_to_lock);
    if (!turn.owns_lock()) return run_serially(count, task, backwards);
    bool sleepers = false;
    {
      const std::lock_guard lock(mutex_);  // a worker that goes to sleep sees the job or is seen asleep
      task_ = &task;
      shares_.reset(count, backwards);
      busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
      job_.fetch_add(1, std::memory_order_release);
      sleepers = asleep_ > 0;
    }
    if (sleepers) wake_.notify_all();
    drain(0);
    const auto done = [this] { return busy_.load(std::memory_order_acquire) == 0; };
    if (spin_until(done, patient_)) return;
    std::unique_lock lock(mutex_);
    done_.wait(lock, done);
  }

 private:
  void drain(int worker) {
    shares_.drain(worker, [&](std::int64_t i) { (*task_)(i, worker); });
  }

  void work(int worker) {
    for (std::uint64_t seen = 0;; ++seen) {
      const auto called = [&] { return job_.load(std::memory_order_acquire) != seen; };
      if (!spin_until(called, patient_)) {
        std::unique_lock lock(mutex_);
        ++asleep_;
        wake_.wait(lock, called);
        --asleep_;
      }
      if (stopping_.load(std::memory_order_relaxed)) return;
      drain(worker);
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        const std::lock_guard lock(mutex_);  // the caller sees zero before it sleeps, or hears this
        done_.notify_one();
      }
    }
  }

  const bool patient_;
  std::vector<std::thread> workers_;
  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  // The job; written while no worker reads it, before `job_` counts up.
  const detail::Task* task_ = nullptr;
  Shares shares_;
  std::atomic<std::uint64_t> job_{0};
  std::atomic<int> busy_{0};
  std::atomic<bool> stopping_{false};
  int asleep_ = 0;
};

VectorSet best_vector_set() noexcept {
// clang ignores the pragma by which the kernels name their instruction set.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return wide ? VectorSet::avx512 : VectorSet::avx2;
  }
#endif
  return VectorSet::portable;
}

std::string_view to_string(VectorSet set) noexcept {
  switch (set) {
    case VectorSet::avx512: return "avx512";
    case VectorSet::avx2: return "avx2";
    default: return "portable";
  }
}

Executor::Executor(int threads, VectorSet vectors) : vectors_(std::min(vectors, best_vector_set())) {
  if (threads < 1) {
    throw ValueError("Executor", "The number of threads must be positive.", {.got = std::to_string(threads)});
  }
  if (threads > 1) pool_ = std::make_shared<Pool>(threads);
}

int Executor::threads() const noexcept { return pool_ ? pool_->threads() : 1; }

void Executor::parallel_for(std::int64_t count, detail::Task task, bool backwards) const {
  if (pool_ && count > 1) return pool_->run(count, task, backwards);
  run_serially(count, task, backwards);
}

}  // namespace linseed
