#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace linseed {

/// A bar that moves on a terminal: "epoch 3/10 [=========>      ]  61%  loss 0.4123  5120/s  0:04 left". What does not
/// fit into the terminal's width is left out. On anything but a terminal it is silent, and what is worth keeping is
/// printed as plain lines by its user.
class Progress {
 public:
  /// Writes to `stream`, which must outlive the bar. With a `total` of 0, which means unknown, it only counts. The work
  /// began `seconds` ago.
  Progress(std::FILE* stream, std::string label, std::int64_t total, double seconds = 0.0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows that `done` of `total` are done, with a few words behind the bar, the rate since the work began, and the
  /// time left at that rate; redraws at most ten times a second.
  void update(std::int64_t done, std::string_view words);
  /// Wipes the bar away.
  void clear();

 private:
  std::FILE* stream_;
  std::string label_;
  std::int64_t total_;
  double seconds_;
  bool is_terminal_;
  bool drawn_ = false;
  double made_, next_draw_;  // seconds of a clock; <chrono> would cost everybody who includes this
};

}  // namespace linseed
