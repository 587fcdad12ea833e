#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "program/op.hpp"

namespace linseed {

/// A function with its own gradient rule, on flat lists of Arrays.
struct CustomVjp {
  using Flat = std::vector<Array>;
  std::function<Flat(std::span<const Array> inputs)> primal;
  /// Gives the outputs and the residuals for `backward`.
  std::function<std::pair<Flat, Flat>(std::span<const Array> inputs)> forward;
  /// Gives one cotangent per input; an empty Array stands for zero.
  std::function<Flat(std::span<const Array> residuals, std::span<const Array> cotangents)> backward;
};

/// Records the ops of one running transform. Traces nest: the one that began last is the innermost, and an op goes to
/// the innermost trace among its operands, which sees the others as constants. So no tracer is global: operands carry
/// it.
class Trace : public std::enable_shared_from_this<Trace> {
 public:
  Trace();
  virtual ~Trace() = default;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  virtual Array record(const Op& op, std::span<const Array> operands, const Attributes& attributes) = 0;
  virtual std::vector<Array> record_custom(const std::shared_ptr<const CustomVjp>& custom,
                                           std::span<const Array> operands) = 0;

  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] std::uint64_t order() const noexcept { return order_; }

 protected:
  /// Ends recording: handles that outlive the trace stand for their values from now on.
  void close() noexcept { open_ = false; }

 private:
  std::uint64_t order_;
  bool open_ = true;
};

/// The innermost open trace among `operands`, or null. Operands whose trace has ended are replaced by their values.
std::shared_ptr<Trace> innermost_trace(std::vector<Array>& operands);

/// Calls a function that has its own gradient rule.
std::vector<Array> apply_custom(const std::shared_ptr<const CustomVjp>& custom, std::span<const Array> operands);

}  // namespace linseed
