#include "compile/winograd.hpp"

#include "compile/rewriter.hpp"
#include "kernels/conv.hpp"
#include "ops/conv.hpp"

namespace linseed::compile {

namespace {

using kernels::cpu::ConvResult;

/// Ops that compute the same result of a convolution.
struct Routines {
  ConvResult result;
  const Op *plain, *by_tiles, *in_lanes, *by_tiles_in_lanes;
};
constexpr Routines all_routines[] = {
    {ConvResult::output, &ops::conv, &ops::conv_winograd, &ops::conv_in_lanes, &ops::conv_winograd_in_lanes},
    {ConvResult::input_grad, &ops::conv_input_grad, &ops::conv_input_grad_winograd, &ops::conv_input_grad_in_lanes,
     &ops::conv_input_grad_winograd_in_lanes},
    {ConvResult::kernel_grad, &ops::conv_kernel_grad, &ops::conv_kernel_grad_winograd, &ops::conv_kernel_grad_in_lanes,
     &ops::conv_kernel_grad_winograd_in_lanes}};

/// What computes the node by tiles; null where that is not worth it.
const Op* by_tiles(const detail::ProgramData& program, const Node& node) {
  if (node.result.dtype != DType::float32) return nullptr;
  for (const auto& [result, plain, by_tiles, in_lanes, by_tiles_in_lanes] : all_routines) {
    if (node.op != plain && node.op != in_lanes) continue;
    const auto& conv = std::get<attr::Conv>(node.attributes);
    const auto y = static_cast<std::size_t>(result == ConvResult::kernel_grad);
    const Shape& shape = result == ConvResult::output
                             ? node.result.shape
                             : program.nodes[static_cast<std::size_t>(node.operands[y])].result.shape;
    if (node.op == in_lanes)
      return kernels::cpu::suits_winograd_in_lanes(conv, shape, result) ? by_tiles_in_lanes : nullptr;
    return kernels::cpu::suits_winograd(conv, shape, result == ConvResult::input_grad) ? by_tiles : nullptr;
  }
  return nullptr;
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
