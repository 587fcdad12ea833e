#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <linseed/core/executor.hpp>
#include <linseed/tree/tree.hpp>

#include "compile/script.hpp"
#include "kernels/kernel.hpp"

namespace linseed::compile {

class Plan;

/// Memory as it is needed; what was in it is lost when it grows.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  /// Throws MemoryError.
  void require(std::size_t size);
  [[nodiscard]] std::byte* get() const noexcept { return bytes_; }

 private:
  std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
};

/// What a run works with.
struct Workplace {
  /// What becomes of an input.
  struct Use {
    bool donated = false;  ///< its elements may be overwritten: nobody else refers to them
    bool kept = false;     ///< its handle stays where it is, and stands for the output whose home it is
  };
  /// What follows from the uses alone, and so remains from run to run.
  struct Arrangement {
    std::vector<int> written_over_by;  // per input: the computed value that takes its elements, or -1
    std::vector<std::size_t> made;     // computed outputs that need a new buffer
    std::vector<std::size_t> handed;   // outputs that need a new handle
  };

  Memory arena, local;
  std::vector<void*> values;                          // per root value
  std::vector<std::vector<kernels::Input>> operands;  // per step that is a single op
  std::vector<std::vector<void*>> arrays;             // per step that is a tape
  Script script;
  std::vector<std::shared_ptr<void>> made;  // per computed output: a new buffer
  std::vector<Tree::LeafPlace> inputs;
  std::vector<Use> uses;                   // per input, of the latest run
  std::vector<const void*> bound;          // per input: where the steps expect it, or null: to be told in each run
  bool other_uses = true, moved = true;    // whether the arrangement, or some address, is out of date
  std::vector<Array> outputs;              // per output
  std::optional<Arrangement> arrangement;  // of the latest run
};

/// Keeps the workplace of the latest run for the next one, so that in steady state nothing is allocated but outputs.
/// Runs at the same time have one each.
class Workplaces {
 public:
  ~Workplaces();
  std::unique_ptr<Workplace> take() noexcept { return std::unique_ptr<Workplace>(kept_.exchange(nullptr)); }
  void keep(std::unique_ptr<Workplace> workplace) noexcept;

 private:
  std::atomic<Workplace*> kept_{nullptr};
};

/// One run of a plan. Several may be under way at the same time.
class Run {
 public:
  /// Throws MemoryError.
  explicit Run(const Plan& plan);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run();

  /// The inputs, to be filled in: defined Arrays that outlive the run.
  [[nodiscard]] std::vector<Tree::LeafPlace>& inputs() noexcept { return place_->inputs; }
  struct Bound {
    bool concrete;  ///< all of them; else this is no run
    bool unshared;  ///< all of them
  };
  /// To be called, once they are there, for all inputs, some neighbours at a time. `given_up`: what nobody else refers
  /// to may be overwritten.
  Bound bind(std::size_t first, std::size_t last, bool given_up) noexcept;
  /// Says the same of all neighbours that were bound at a time: whether each is to stay where it is, and to stand for
  /// the output whose home it is.
  void keep(std::size_t first, std::size_t last, bool kept) noexcept;

  /// Makes the outputs, still without values. An output that is the kept input at its home is left empty. All memory is
  /// there when this returns: a MemoryError leaves the inputs as they were.
  [[nodiscard]] std::span<Array> prepare(const Executor& executor);
  /// The places, among the outputs, of those that `prepare` has made.
  [[nodiscard]] std::span<const std::size_t> handed() const noexcept { return place_->arrangement->handed; }
  /// Computes the outputs. Adds to `seconds`, unless empty, those of each of the plan's lines.
  void execute(const Executor& executor, std::span<double> seconds = {}) noexcept;

 private:
  void arrange();
  void follow_inputs() noexcept;
  void move(int value, void* address, bool padded) noexcept;

  const Plan& plan_;
  std::unique_ptr<Workplace> place_;
};

}  // namespace linseed::compile
