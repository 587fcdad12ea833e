#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <linseed/core/executor.hpp>

#include "compile/fusion.hpp"
#include "compile/step.hpp"

namespace linseed::compile {

/// Where a value is during a run.
struct Location {
  enum class Kind : std::uint8_t { none, input, constant, output, arena };
  Kind kind = Kind::none;
  std::size_t index = 0;  ///< of the input, constant or output; the offset in the arena
};

/// A program as a list of kernel calls on one arena. Made once, run many times, from several threads too.
class Plan {
 public:
  struct Options {
    bool fuse = true;
    bool rematerialize = true;
    bool block = true;  ///< form phases
  };

  Plan(Program program, const Options& options);
  Plan(Plan&&) noexcept;
  ~Plan();

  /// `donated[i]`: the caller gives up input i, whose buffer nobody else holds. All memory is there before the first
  /// kernel runs: a std::bad_alloc leaves the inputs as they were.
  std::vector<Array> run(std::span<const Array> inputs, std::span<const char> donated, const Executor& executor) const {
    return run(inputs, donated, executor, {});
  }
  /// The same, adding to `seconds` those of each of the `lines()`.
  std::vector<Array> run(std::span<const Array> inputs, std::span<const char> donated, const Executor& executor,
                         std::span<double> seconds) const;

  [[nodiscard]] const detail::ProgramData& program() const noexcept { return program_.data(); }
  [[nodiscard]] std::span<const Step> steps() const noexcept { return steps_; }
  [[nodiscard]] std::size_t arena_bytes() const noexcept { return arena_bytes_; }
  /// The most bytes of arena values that are needed at the same time: no plan can do with less.
  [[nodiscard]] std::size_t live_bytes() const noexcept { return live_bytes_; }
  /// Per computed output the input whose buffer it is written into when that is donated, or -1.
  [[nodiscard]] std::span<const int> takeovers() const noexcept { return takeover_; }
  /// The steps, each phase followed by its members.
  [[nodiscard]] std::size_t lines() const noexcept;
  /// One line each, with the milliseconds where they are given.
  [[nodiscard]] std::string to_string(std::span<const double> milliseconds = {}) const;

 private:
  struct Workplace;
  class Pool;

  void make_steps(const Schedule& schedule, bool block);
  void place_locals();
  void place_values(const Schedule& schedule);
  void find_takeovers();
  [[nodiscard]] std::unique_ptr<Workplace> make_workplace() const;

  Program program_;
  std::vector<Step> steps_;
  std::vector<int> root_;
  std::vector<Location> locations_;  // per root value
  std::vector<int> computed_;        // the root values behind outputs that are computed
  std::vector<int> takeover_;        // per computed output: the input whose buffer it may be written into, or -1
  std::size_t arena_bytes_ = 0, live_bytes_ = 0;
  std::size_t local_bytes_ = 0;  // per worker of a phase
  std::unique_ptr<Pool> pool_;
};

}  // namespace linseed::compile
