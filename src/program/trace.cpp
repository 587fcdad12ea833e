#include "program/trace.hpp"

#include <atomic>

#include "core/array_node.hpp"

namespace linseed {

namespace {
// Only the order of two running traces is ever read from this; it carries no state from one call to another.
std::uint64_t next_order() {
  static std::atomic<std::uint64_t> counter{0};
  return counter.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

Trace::Trace() : order_(next_order()) {}

std::shared_ptr<Trace> innermost_trace(std::vector<Array>& operands) {
  std::shared_ptr<Trace> innermost;
  for (Array& operand : operands) {
    const detail::ArrayNode* node = &detail::ArrayNode::of(operand);
    if (!node->trace) continue;
    if (!node->trace->is_open()) {
      operand = detail::settled(operand);
      node = &detail::ArrayNode::of(operand);
      if (!node->trace) continue;
    }
    if (!innermost || node->trace->order() > innermost->order()) innermost = node->trace;
  }
  return innermost;
}

std::vector<Array> not_differentiable(const Application& application, const Array&) {
  return std::vector<Array>(application.inputs.size());
}

Array execute(const Op& op, std::span<const Array> operands, const Attributes& attributes, const Abstract& result,
              const Executor& executor) {
  if (op.shares_operand) {
    return detail::ArrayNode::concrete(detail::ArrayNode::of(operands[0]).buffer, result.shape, result.dtype);
  }
  auto buffer = detail::allocate(result.shape, result.dtype);
  std::vector<kernels::Input> inputs;
  inputs.reserve(operands.size());
  for (const Array& operand : operands) {
    const detail::ArrayNode& node = detail::ArrayNode::of(operand);
    inputs.push_back({node.buffer.get(), node.shape, node.dtype});
  }
  const kernels::Kernel kernel = op.fast != nullptr ? op.fast : op.reference;
  kernel(attributes, inputs, {buffer.get(), result.shape, result.dtype}, executor);
  return detail::ArrayNode::fresh(std::move(buffer), result.shape, result.dtype);
}

Array apply_op(const Op& op, std::span<const Array> operands, const Attributes& attributes) {
  std::vector<Array> settled(operands.begin(), operands.end());
  if (const auto trace = innermost_trace(settled)) return trace->record(op, settled, attributes);

  std::vector<Abstract> abstracts;
  abstracts.reserve(settled.size());
  for (const Array& operand : settled) abstracts.push_back(abstract(operand));
  static const Executor serial;
  return execute(op, settled, attributes, op.shape_rule(abstracts, attributes), serial);
}

std::vector<Array> apply_custom(const std::shared_ptr<const CustomVjp>& custom, std::span<const Array> operands) {
  std::vector<Array> settled(operands.begin(), operands.end());
  if (const auto trace = innermost_trace(settled)) return trace->record_custom(custom, settled);
  return custom->primal(settled);
}

}  // namespace linseed
