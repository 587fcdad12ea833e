#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <linseed/core/array.hpp>

#include "kernels/kernel.hpp"
#include "kernels/micro_op.hpp"
#include "program/attributes.hpp"

namespace linseed {

/// What is known of a value before it is computed.
struct Abstract {
  Shape shape;
  DType dtype = DType::float32;
  bool operator==(const Abstract&) const = default;
};
inline Abstract abstract(const Array& array) { return {array.shape(), array.dtype()}; }

/// One recorded application of an op, as a gradient rule sees it.
struct Application {
  std::span<const Array> inputs;
  const Array& output;
  const Attributes& attributes;
  std::span<const char> wanted;  ///< which inputs' gradients are used

  template <class T>
  [[nodiscard]] const T& as() const {
    return std::get<T>(attributes);
  }
};

/// Gives the cotangent of each input from that of the output. An empty Array stands for zero, and for what is not
/// wanted.
using GradientRule = std::vector<Array> (*)(const Application&, const Array& cotangent);

/// Everything linseed knows about one kind of operation. The entries of an op family stand together in the family's
/// file under ops/; a test proves that none lacks a rule.
struct Op {
  std::string_view name;
  /// Checks operands and attributes and gives the result's shape and dtype. Throws ShapeError or DTypeError.
  Abstract (*shape_rule)(std::span<const Abstract> inputs, const Attributes& attributes);
  GradientRule gradient;
  kernels::Kernel reference;
  /// Faster than the reference kernel, same values within the family's stated tolerance; may be null.
  kernels::Kernel fast = nullptr;
  /// The result is the first operand's elements in the same order: it shares the buffer instead of copying.
  bool shares_operand = false;
  /// The step of a fused group that computes it element by element, where there is one.
  std::optional<kernels::MicroOp> micro_op = {};
  /// Tells what the fast kernel does, where it has a choice.
  kernels::Choose choice = nullptr;
};

/// The gradient rule of ops whose result does not vary smoothly with any operand: comparisons, argmax, floor.
std::vector<Array> not_differentiable(const Application&, const Array& cotangent);

/// Applies `op`: runs its kernel at once on concrete operands, records it when an operand is traced.
Array apply_op(const Op& op, std::span<const Array> operands, const Attributes& attributes = {});
inline Array apply_op(const Op& op, std::initializer_list<Array> operands, const Attributes& attributes = {}) {
  return apply_op(op, std::span<const Array>(operands.begin(), operands.size()), attributes);
}

/// Runs the kernel of `op` on concrete operands into a fresh Array of the given shape and dtype.
Array execute(const Op& op, std::span<const Array> operands, const Attributes& attributes, const Abstract& result,
              const Executor& executor);

/// The op families, for tests and for random programs.
std::vector<std::span<const Op* const>> op_families();

}  // namespace linseed
