#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compile/fusion.hpp"
#include "compile/run.hpp"
#include "compile/step.hpp"

namespace linseed::compile {

/// Where a value is during a run.
struct Location {
  enum class Kind : std::uint8_t { none, input, constant, output, arena };
  Kind kind = Kind::none;
  std::size_t index = 0;  ///< of the input, constant or output; the offset in the arena
};

/// A program as a list of kernel calls on one arena. Made once, run many times (`Run`), from several threads too.
class Plan {
 public:
  struct Options {
    bool fuse = true;
    bool rematerialize = true;
    bool block = true;         ///< form phases
    bool join_windows = true;  ///< in phases
    VectorSet vectors = best_vector_set();
    /// Per output the input that its value is to take the place of, if it can, or -1.
    std::vector<int> homes = {};
  };

  Plan(Program program, const Options& options);
  Plan(Plan&&) noexcept;
  ~Plan();

  [[nodiscard]] const detail::ProgramData& program() const noexcept { return program_.data(); }
  [[nodiscard]] std::span<const Step> steps() const noexcept { return steps_; }
  [[nodiscard]] std::size_t arena_bytes() const noexcept { return arena_bytes_; }
  /// The most bytes of arena values that are needed at the same time, where a value that is written over an operand
  /// counts once: no places can do with less.
  [[nodiscard]] std::size_t live_bytes() const noexcept { return live_bytes_; }
  /// Per computed output the input whose buffer it is written into when that is donated, or -1.
  [[nodiscard]] std::span<const int> takeovers() const noexcept { return takeover_; }
  /// The root values behind outputs that are computed.
  [[nodiscard]] std::span<const int> computed() const noexcept { return computed_; }
  [[nodiscard]] std::span<const int> homes() const noexcept { return homes_; }
  [[nodiscard]] int root(int value) const noexcept { return root_[static_cast<std::size_t>(value)]; }
  [[nodiscard]] Location location(int root) const noexcept { return locations_[static_cast<std::size_t>(root)]; }
  [[nodiscard]] VectorSet vectors() const noexcept { return vectors_; }
  /// What each worker of a phase needs.
  [[nodiscard]] std::size_t local_bytes() const noexcept { return local_bytes_; }
  [[nodiscard]] Workplaces& workplaces() const noexcept { return *workplaces_; }
  /// The steps, each phase followed by its members.
  [[nodiscard]] std::size_t lines() const noexcept;
  /// One line each, with the milliseconds where they are given.
  [[nodiscard]] std::string to_string(std::span<const double> milliseconds = {}) const;

 private:
  void make_steps(const Schedule& schedule, const Options& options);
  void place_locals();
  void place_values(const Schedule& schedule);
  void find_takeovers();
  [[nodiscard]] std::string describe(const Step& step, std::int64_t blocks) const;

  Program program_;
  VectorSet vectors_;
  std::vector<Step> steps_;
  std::vector<int> root_;
  std::vector<Location> locations_;  // per root value
  std::vector<int> homes_;           // per output
  std::vector<int> computed_;        // the root values behind outputs that are computed
  std::vector<int> takeover_;        // per computed output: the input whose buffer it may be written into, or -1
  std::size_t arena_bytes_ = 0, live_bytes_ = 0;
  std::size_t local_bytes_ = 0;  // per worker of a phase
  std::unique_ptr<Workplaces> workplaces_;
};

}  // namespace linseed::compile
