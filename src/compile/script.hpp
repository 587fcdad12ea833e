#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "compile/step.hpp"
#include "kernels/call.hpp"

namespace linseed::compile {

class Plan;

/// The steps of a plan that work on a few elements only, as flat lists of calls with all addresses filled in. In a
/// small program the way to the kernels would take longer than the kernels; here it is taken once. The calls of
/// neighbouring steps are mixed, see call_order.hpp. Belongs to one workplace.
class Script {
 public:
  Script() = default;
  /// `values`: the addresses of root values, as far as they are known.
  Script(const Plan& plan, std::span<void* const> values);

  /// Whether a fused group has so few elements that its loops are called from here. So are products of small matrices.
  static bool suits(const Step& step) noexcept;

  /// Tells where a value is from now on. `padded`: its memory goes on to a multiple of 64 bytes; otherwise a small step
  /// works on a copy of it, which this makes.
  void move(int value, void* address, bool padded = true) noexcept;
  /// Runs this step and those that follow, at most so many of them, up to one that is not small. Gives their number.
  std::size_t run(std::size_t step, std::size_t most) const noexcept;

 private:
  struct Range {
    std::size_t first = 0, last = 0;  // of a step's calls, in `places_`
    std::size_t begin = 0, end = 0;   // the steps around it that run in a row; their calls lie so in `calls_` too
  };
  struct Value {
    std::vector<void**> written = {};  // where its address is written down
    std::vector<const void**> read = {};
    void* address = nullptr;
    void* copy = nullptr;  // memory for one
    std::size_t bytes = 0;
  };
  std::vector<kernels::Call> calls_;
  std::vector<std::size_t> places_;  // in `calls_`, of the calls step by step
  std::vector<Range> ranges_;        // per step
  std::vector<Value> values_;        // per root value
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::vector<std::shared_ptr<void>> details_;  // of the calls

  class Builder;
};

}  // namespace linseed::compile
