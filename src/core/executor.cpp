#include <linseed/core/executor.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <linseed/core/error.hpp>

namespace linseed {

class Executor::Pool {
 public:
  explicit Pool(int threads) {
    workers_.reserve(static_cast<std::size_t>(threads - 1));
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  void run(std::int64_t count, detail::Task task) {
    // A second caller, or a task that calls again, does its work alone: the pool has one job at a time.
    const std::unique_lock turn(turn_, std::try_to_lock);
    if (!turn.owns_lock()) {
      for (std::int64_t i = 0; i < count; ++i) task(i);
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      task_ = &task;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      busy_ = static_cast<int>(workers_.size());
      ++job_;
    }
    wake_.notify_all();
    drain(task, count);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    task_ = nullptr;
  }

 private:
  void drain(const detail::Task& task, std::int64_t count) {
    for (std::int64_t i = next_.fetch_add(1, std::memory_order_relaxed); i < count;
         i = next_.fetch_add(1, std::memory_order_relaxed)) {
      task(i);
    }
  }

  void work() {
    std::uint64_t seen = 0;
    for (;;) {
      const detail::Task* task = nullptr;
      std::int64_t count = 0;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || job_ != seen; });
        if (stopping_) return;
        seen = job_;
        task = task_;
        count = count_;
      }
      drain(*task, count);
      const std::lock_guard lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const detail::Task* task_ = nullptr;
  std::int64_t count_ = 0;
  std::atomic<std::int64_t> next_{0};
  std::uint64_t job_ = 0;
  int busy_ = 0;
  bool stopping_ = false;
};

Executor::Executor(int threads) {
  if (threads < 1) {
    throw ValueError("Executor", "The number of threads must be positive.", {.got = std::to_string(threads)});
  }
  if (threads > 1) pool_ = std::make_shared<Pool>(threads);
}

int Executor::threads() const noexcept { return pool_ ? pool_->threads() : 1; }

void Executor::parallel_for(std::int64_t count, detail::Task task) const {
  if (pool_ && count > 1) {
    pool_->run(count, task);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) task(i);
}

}  // namespace linseed
