#pragma once

#include <csignal>

namespace linseed::training::detail {

/// While one of these lives, SIGINT sets a flag instead of ending the program. A second SIGINT does what the system
/// does by default. The program's own handler comes back when the last of these ends; where SIGINT is ignored (as
/// behind nohup) it stays so. Any thread may have one.
class InterruptGuard {
 public:
  explicit InterruptGuard(bool active);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether SIGINT came since this was made.
  [[nodiscard]] bool interrupted() const noexcept;

 private:
  bool active_;
  int before_;
};

}  // namespace linseed::training::detail
