#include "train/interrupt.hpp"

#include <atomic>
#include <mutex>

namespace linseed::training::detail {

namespace {

// A signal handler can reach nothing but what is global.
std::atomic<int> interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free);
std::mutex guards_mutex;
int guards = 0;
bool replaced = false;
struct sigaction previous;

void count_interrupt(int) { interrupts.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

InterruptGuard::InterruptGuard(bool active) : active_(active), before_(interrupts.load(std::memory_order_relaxed)) {
  if (!active_) return;
  const std::lock_guard lock(guards_mutex);
  if (guards++ > 0) return;
  sigaction(SIGINT, nullptr, &previous);
  replaced = previous.sa_handler != SIG_IGN;
  if (!replaced) return;
  struct sigaction counting {};
  counting.sa_handler = count_interrupt;
  sigemptyset(&counting.sa_mask);
  counting.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigaction(SIGINT, &counting, nullptr);
}

InterruptGuard::~InterruptGuard() {
  if (!active_) return;
  const std::lock_guard lock(guards_mutex);
  if (--guards == 0 && replaced) sigaction(SIGINT, &previous, nullptr);
}

bool InterruptGuard::interrupted() const noexcept {
  return active_ && interrupts.load(std::memory_order_relaxed) != before_;
}

}  // namespace linseed::training::detail
