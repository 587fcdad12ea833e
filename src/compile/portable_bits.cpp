#include "compile/portable_bits.hpp"

#include <algorithm>

#include "compile/rewriter.hpp"
#include "kernels/linalg.hpp"
#include "ops/linalg.hpp"

namespace linseed::compile {

Program portable_bits(const Program& program) {
  const auto& nodes = program.data().nodes;
  const auto uses_blas = [&](const Node& node) {
    const auto shape = [&](std::size_t i) { return nodes[static_cast<std::size_t>(node.operands[i])].result.shape; };
    return node.op == &ops::dot_general &&
           kernels::cpu::uses_blas(node.attributes, shape(0), shape(1), node.result.dtype);
  };
  if (std::none_of(nodes.begin(), nodes.end(), uses_blas)) return program;
  Rewriter rewriter(program.data());
  return rewriter.run([&](int, const Node& node) {
    const std::vector<Array> operands = rewriter.operands(node);
    return uses_blas(node) ? apply_op(ops::dot_general_portable, operands, node.attributes)
                           : rewriter.record(node, operands);
  });
}

}  // namespace linseed::compile
