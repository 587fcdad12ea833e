#include <linseed/inspect/flops.hpp>

#include "inspect/node_flops.hpp"
#include "program/op.hpp"

namespace linseed::inspect {

using linseed::detail::ProgramData;

std::int64_t node_flops(const ProgramData& program, std::size_t index) {
  const ProgramData::Node& node = program.nodes[index];
  if (node.op == nullptr || node.op->choice == nullptr) return 0;
  std::vector<kernels::Input> inputs;
  for (const int operand : node.operands) {
    const Abstract& type = program.nodes[static_cast<std::size_t>(operand)].result;
    inputs.push_back({nullptr, type.shape, type.dtype});
  }
  return node.op->choice(node.attributes, inputs, {nullptr, node.result.shape, node.result.dtype}, best_vector_set())
      .flops;
}

std::int64_t flops(const Program& program) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < program.data().nodes.size(); ++i) total += node_flops(program.data(), i);
  return total;
}

}  // namespace linseed::inspect
