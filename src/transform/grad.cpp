#include <linseed/transform/grad.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/shape.hpp>

#include "core/array_node.hpp"
#include "program/tape.hpp"

namespace linseed::detail {

struct Differentiation::State {
  std::shared_ptr<Tape> tape = std::make_shared<Tape>();
};

Differentiation::Differentiation(std::span<const pytree::View> arguments, std::span<const std::size_t> positions)
    : state_(std::make_unique<State>()) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::vector<Array> leaves = pytree::leaves(arguments[i]);
    for (std::size_t k = 0; k < leaves.size(); ++k) {
      if (!is_floating(leaves[k].dtype())) {
        throw DTypeError("grad", "Only floating-point Arrays have gradients.",
                         {.at = pytree::paths(arguments[i], fmt::format("argument {}", positions[i]))[k],
                          .got = describe(leaves[k]),
                          .hint = "pass it as an argument that is not differentiated"});
      }
      primals_.push_back(leaves[k]);
      inputs_.push_back(state_->tape->add_input(leaves[k]));
    }
  }
}

Differentiation::~Differentiation() { state_->tape->release(); }

void Differentiation::end() noexcept { state_->tape->close(); }

std::vector<Array> Differentiation::gradients_of(const Array& loss) const {
  if (loss.rank() != 0) {
    throw ShapeError("grad", "The function must return a scalar.",
                     {.got = describe(loss), .expected = "an Array of shape ()", .hint = "reduce it with mean or sum"});
  }
  if (!is_floating(loss.dtype())) {
    throw DTypeError("grad", "The function must return a floating-point scalar.", {.got = describe(loss)});
  }
  state_->tape->close();  // rules run one trace further out, also with what they captured in this one
  const Array seed = ones_like(settled(loss));
  return pull_back({&loss, 1}, {&seed, 1});
}

std::vector<Array> Differentiation::pull_back(std::span<const Array> outputs, std::span<const Array> cotangents) const {
  if (outputs.size() != cotangents.size()) {
    throw StructureError(
        "vjp", "The cotangent has another structure than the result.",
        {.got = fmt::format("{} Arrays", cotangents.size()), .expected = fmt::format("{}", outputs.size())});
  }
  std::vector<Array> gradients = state_->tape->pull_back(outputs, cotangents);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) gradients[i] = zeros_like(primals_[i]);
  }
  return gradients;
}

void take_outside(const pytree::Type& type, void* value) {
  std::vector<Array> leaves = pytree::leaves(pytree::View{&type, value});
  for (Array& leaf : leaves) {
    if (leaf.defined()) leaf = settled(leaf);
  }
  pytree::assign_leaves(type, value, leaves);
}

std::vector<Array> call_custom_vjp(
    std::function<std::vector<Array>(std::span<const Array>)> primal,
    std::function<std::pair<std::vector<Array>, std::vector<Array>>(std::span<const Array>)> forward,
    std::function<std::vector<Array>(std::span<const Array>, std::span<const Array>)> backward,
    std::span<const Array> operands) {
  const std::size_t count = operands.size();
  auto checked = [backward = std::move(backward), count](std::span<const Array> residuals,
                                                         std::span<const Array> cotangents) {
    std::vector<Array> gradients = backward(residuals, cotangents);
    if (gradients.size() != count) {
      throw StructureError("custom_vjp",
                           "The backward function gave another number of cotangents than there are arguments.",
                           {.got = fmt::format("{} Arrays", gradients.size()), .expected = fmt::format("{}", count)});
    }
    return gradients;
  };
  return apply_custom(
      std::make_shared<const CustomVjp>(CustomVjp{std::move(primal), std::move(forward), std::move(checked)}),
      operands);
}

}  // namespace linseed::detail
