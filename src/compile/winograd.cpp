#include "compile/winograd.hpp"

#include "compile/rewriter.hpp"
#include "kernels/conv.hpp"
#include "ops/conv.hpp"

namespace linseed::compile {

namespace {

/// What computes the node by tiles; null where that is not worth it.
const Op* by_tiles(const detail::ProgramData& program, const Node& node) {
  const bool forward = node.op == &ops::conv, kernel = node.op == &ops::conv_kernel_grad;
  if ((!forward && !kernel && node.op != &ops::conv_input_grad) || node.result.dtype != DType::float32) return nullptr;
  const auto shape_of = [&](std::size_t operand) -> const Shape& {
    return program.nodes[static_cast<std::size_t>(node.operands[operand])].result.shape;
  };
  const Shape& y = forward ? node.result.shape : shape_of(kernel ? 1 : 0);
  if (!kernels::cpu::suits_winograd(std::get<attr::Conv>(node.attributes), y, !forward && !kernel)) return nullptr;
  return forward ? &ops::conv_winograd : kernel ? &ops::conv_kernel_grad_winograd : &ops::conv_input_grad_winograd;
}

}  // namespace

Program winograd(const Program& program) {
  Rewriter rewriter(program.data());
  bool changed = false;
  Program result = rewriter.run([&](int, const Node& node) {
    const Op* op = by_tiles(program.data(), node);
    if (op == nullptr) return rewriter.record(node, rewriter.operands(node));
    changed = true;
    return apply_op(*op, rewriter.operands(node), node.attributes);
  });
  return changed ? result : program;
}

}  // namespace linseed::compile
