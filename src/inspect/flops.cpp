#include <linseed/inspect/flops.hpp>

#include "inspect/node_flops.hpp"
#include "ops/conv.hpp"
#include "ops/linalg.hpp"

namespace linseed::inspect {

using linseed::detail::ProgramData;

std::int64_t node_flops(const ProgramData& program, std::size_t index) {
  const ProgramData::Node& node = program.nodes[index];
  const auto operand_shape = [&](std::size_t i) -> const Shape& {
    return program.nodes[static_cast<std::size_t>(node.operands[i])].result.shape;
  };
  if (node.op == &ops::dot_general) {
    std::int64_t terms = 1;
    for (const int axis : std::get<attr::Dot>(node.attributes).lhs_contract)
      terms *= operand_shape(0)[static_cast<std::size_t>(axis)];
    return 2 * terms * node.result.shape.elements();
  }
  const bool is_conv = node.op == &ops::conv;
  if (!is_conv && node.op != &ops::conv_input_grad && node.op != &ops::conv_kernel_grad) return 0;
  // The kernel is [window..., channels per group, features]: of a feature, all but the last axis is summed over.
  const attr::Conv& conv = std::get<attr::Conv>(node.attributes);
  const std::int64_t features = conv.kernel_shape.back();
  const std::int64_t terms = features == 0 ? 0 : conv.kernel_shape.elements() / features;
  const std::int64_t results = is_conv                            ? node.result.shape.elements()
                               : node.op == &ops::conv_input_grad ? operand_shape(0).elements()
                                                                  : operand_shape(1).elements();
  return 2 * terms * results;
}

std::int64_t flops(const Program& program) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < program.data().nodes.size(); ++i) total += node_flops(program.data(), i);
  return total;
}

}  // namespace linseed::inspect
