#include "compile/passes.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "compile/layout.hpp"
#include "compile/reassociation.hpp"
#include "compile/rewriter.hpp"
#include "compile/winograd.hpp"
#include "core/array_node.hpp"
#include "kernels/linalg.hpp"
#include "ops/elementwise.hpp"
#include "ops/linalg.hpp"
#include "ops/reduce.hpp"
#include "ops/shape.hpp"
#include "program/program.hpp"

namespace linseed::compile {

namespace {

using detail::ArrayNode;
using detail::ProgramData;

// ---- dead code ----

Program dead_code(const Program& program) {
  const ProgramData& data = program.data();
  std::vector<char> live(data.nodes.size(), 0);
  for (const int output : data.outputs) live[static_cast<std::size_t>(output)] = 1;
  for (std::size_t i = data.nodes.size(); i-- > 0;) {
    if (!live[i]) continue;
    for (const int operand : data.nodes[i].operands) live[static_cast<std::size_t>(operand)] = 1;
  }
  Rewriter rewriter(data);
  return rewriter.run([&](int i, const Node& node) {
    return live[static_cast<std::size_t>(i)] ? rewriter.record(node, rewriter.operands(node)) : Array();
  });
}

// ---- constant folding ----

constexpr std::int64_t largest_folded = 4096;  // elements; larger constants would cost more memory than time

Program constant_folding(const Program& program) {
  Rewriter rewriter(program.data());
  return rewriter.run([&](int, const Node& node) {
    const std::vector<Array> operands = rewriter.operands(node);
    const bool constant = std::all_of(operands.begin(), operands.end(), [](const Array& x) { return x.has_value(); });
    return constant && node.result.shape.elements() <= largest_folded ? apply_op(*node.op, operands, node.attributes)
                                                                      : rewriter.record(node, operands);
  });
}

// ---- common subexpressions ----

/// Identifies an Array: values of the program by their node, small constants by their elements, others by address.
std::string identity_of(const Array& array) {
  const ArrayNode& node = ArrayNode::of(array);
  if (node.trace) return fmt::format("%{}", node.index);
  const std::size_t bytes = static_cast<std::size_t>(array.size()) * size_of(array.dtype());
  if (bytes > 64) return fmt::format("{}@{}", describe(array), node.buffer.get());
  std::string text = fmt::format("{}=", describe(array));
  text.append(static_cast<const char*>(node.buffer.get()), bytes);
  return text;
}

Program common_subexpressions(const Program& program) {
  struct Known {
    const Op* op;
    const Attributes* attributes;
    Array value;
  };
  std::multimap<std::string, Known> known;  // by operands
  std::map<std::string, Array> constants;
  Rewriter rewriter(program.data());
  const auto compute_once = [&](int, const Node& node) {
    const std::vector<Array> operands = rewriter.operands(node);
    std::string key;
    for (const Array& operand : operands) key += identity_of(operand) + ";";
    const auto [first, last] = known.equal_range(key);
    for (auto place = first; place != last; ++place) {
      if (place->second.op == node.op && *place->second.attributes == node.attributes) return place->second.value;
    }
    const Array value = rewriter.record(node, operands);
    known.emplace(key, Known{node.op, &node.attributes, value});
    return value;
  };
  return rewriter.run(compute_once, [&](const Array& constant) {
    return constants.try_emplace(identity_of(constant), constant).first->second;
  });
}

// ---- algebra ----

/// What the new program knows of the values it has so far.
class Definitions {
 public:
  struct Definition {
    const Op* op;
    const Attributes* attributes;
    std::vector<Array> operands;
  };
  void keep(const Array& value, Definition definition) { known_.emplace(&ArrayNode::of(value), std::move(definition)); }
  /// How `value` was computed, if by `op`.
  [[nodiscard]] const Definition* find(const Array& value, const Op& op) const {
    const auto place = known_.find(&ArrayNode::of(value));
    return place != known_.end() && place->second.op == &op ? &place->second : nullptr;
  }

 private:
  std::map<const void*, Definition> known_;
};

/// The only number in a constant.
std::optional<double> number_in(const Array& x) {
  if (!x.has_value() || x.size() != 1) return std::nullopt;
  return x.item<double>();
}

/// `x` as the reduction over `axes` of something that it multiplies: it must not vary along them.
std::optional<Array> constant_along(const Array& x, const Shape& product, const InlineVector<int, max_rank>& axes) {
  const int missing = product.rank() - x.rank();
  Shape kept;
  for (int axis = 0; axis < product.rank(); ++axis) {
    const bool reduced = std::find(axes.begin(), axes.end(), axis) != axes.end();
    const std::int64_t own = axis < missing ? 1 : x.shape()[static_cast<std::size_t>(axis - missing)];
    if (reduced && own != 1) return std::nullopt;
    if (!reduced) kept.push_back(own);
  }
  return reshape(x, kept);
}

bool same_value(const Array& a, const Array& b) { return &ArrayNode::of(a) == &ArrayNode::of(b); }

/// The sum of `x` over `axes`, if `m` is the mean of `x` over them.
std::optional<Array> sum_behind_mean(Array m, const Array& x, const InlineVector<int, max_rank>& axes,
                                     const Definitions& definitions) {
  double count = 1.0;
  for (const int axis : axes) count *= static_cast<double>(x.shape()[static_cast<std::size_t>(axis)]);
  bool divided = false;
  while (true) {
    const Definitions::Definition* step = nullptr;
    if ((step = definitions.find(m, ops::reshape)) || (step = definitions.find(m, ops::broadcast_to))) {
      m = step->operands[0];
    } else if (!divided && ((step = definitions.find(m, ops::mul)) || (step = definitions.find(m, ops::div)))) {
      const auto number = number_in(step->operands[1]);
      const double expected = step->op == &ops::mul ? 1.0 / count : count;
      if (!number || std::abs(*number - expected) > 1e-6 * expected) return std::nullopt;
      m = step->operands[0];
      divided = true;
    } else {
      break;
    }
  }
  const auto* sum = definitions.find(m, ops::reduce_sum);
  const bool is_sum = sum != nullptr && same_value(sum->operands[0], x) &&
                      std::get<attr::AxisSet>(*sum->attributes).axes == axes && (divided || count == 1.0);
  return is_sum ? std::optional(m) : std::nullopt;
}

/// The sum of `x` over `axes` if it is zero but for rounding, as that of deviations from a mean is: gradients through a
/// variance are full of them. Gives a zero that is NaN where the sum would be.
std::optional<Array> vanishing_sum(const Array& x, const InlineVector<int, max_rank>& axes,
                                   const Definitions& definitions) {
  const auto inside = [&](const Array& part) {
    return part.shape() == x.shape() ? vanishing_sum(part, axes, definitions) : std::nullopt;
  };
  if (const auto* negated = definitions.find(x, ops::neg)) return inside(negated->operands[0]);
  if (const auto* both = definitions.find(x, ops::add)) {
    const auto left = inside(both->operands[0]), right = inside(both->operands[1]);
    return left && right ? std::optional(*left + *right) : std::nullopt;
  }
  if (const auto* product = definitions.find(x, ops::mul)) {
    for (const std::size_t side : {0U, 1U}) {
      const auto factor = constant_along(product->operands[side], x.shape(), axes);
      const auto zero = factor ? inside(product->operands[1 - side]) : std::nullopt;
      if (zero) return *zero * *factor;
    }
  }
  if (const auto* deviation = definitions.find(x, ops::sub); deviation && deviation->operands[0].shape() == x.shape()) {
    const auto& [value, mean] = std::tie(deviation->operands[0], deviation->operands[1]);
    const auto sum = sum_behind_mean(mean, value, axes, definitions);
    return sum && constant_along(mean, x.shape(), axes) ? std::optional(*sum * 0.0) : std::nullopt;
  }
  return std::nullopt;
}

/// What selects one element per index along an axis, or puts one there, by a cheaper way: as in the gradient of
/// cross-entropy, where an array of zeros and a few numbers need not exist.
std::optional<Array> simpler_selection(const Op& op, std::span<const Array> operands, const Node& node,
                                       const Definitions& definitions) {
  constexpr std::int64_t most_classes = 1024;  // so many are compared within one kernel
  const Array& indices = operands[1];
  if (&op == &ops::take_along && is_floating(node.result.dtype)) {  // before a difference is taken from all elements
    const int axis = std::get<attr::Axis>(node.attributes).axis;
    const auto* difference = definitions.find(operands[0], ops::sub);
    if (difference == nullptr) return std::nullopt;
    const Array &x = difference->operands[0], &same_for_all = difference->operands[1];
    if (x.shape() != operands[0].shape() || same_for_all.rank() != x.rank() || same_for_all.extent(axis) != 1)
      return std::nullopt;
    return take_along_axis(x, indices, axis) - same_for_all;
  }
  if (&op == &ops::take_along_add && (indices.dtype() == DType::int32 || indices.dtype() == DType::uint8)) {
    const int axis = std::get<attr::Scatter>(node.attributes).axis;
    const std::int64_t extent = node.result.shape[static_cast<std::size_t>(axis)];
    if (axis != node.result.shape.rank() - 1 || indices.extent(axis) != 1 || extent > most_classes) return std::nullopt;
    const Array place = astype(indices, DType::int32);
    const Array from_start = where(place < 0, place + Array(static_cast<std::int32_t>(extent)), place);
    return where(arange(extent) == from_start, operands[0], Array(0, node.result.dtype));
  }
  return std::nullopt;
}

/// A product of matrices, or of stacks of them: one axis of each operand is summed over, at most one is free.
bool is_of_matrices(const attr::Dot& dot, std::span<const Array> operands) {
  return dot.lhs_contract.size() == 1 && operands[0].rank() <= static_cast<int>(dot.lhs_batch.size()) + 2 &&
         operands[1].rank() <= static_cast<int>(dot.rhs_batch.size()) + 2;
}

kernels::cpu::DotCall call_of(const attr::Dot& dot, std::span<const Array> operands) {
  return {dot, operands[0].shape(), operands[1].shape()};
}

/// A product of what a transpose gives as one of its operands. Its matrices keep rows or columns that are neighbours.
std::optional<Array> product_of_transposed(std::span<const Array> operands, const attr::Dot& dot,
                                           const Definitions& definitions) {
  if (!is_of_matrices(dot, operands)) return std::nullopt;
  for (const std::size_t side : {0U, 1U}) {
    const auto* transposed = definitions.find(operands[side], ops::transpose);
    if (transposed == nullptr) continue;
    const auto& permutation = std::get<attr::Transpose>(*transposed->attributes).permutation;
    attr::Dot result = dot;
    auto& batch = side == 0 ? result.lhs_batch : result.rhs_batch;
    for (auto* axes : {&batch, side == 0 ? &result.lhs_contract : &result.rhs_contract}) {
      for (int& axis : *axes) axis = permutation[static_cast<std::size_t>(axis)];
    }
    std::vector<Array> from(operands.begin(), operands.end());
    from[side] = transposed->operands[0];
    if (std::find(batch.begin(), batch.end(), from[side].rank() - 1) != batch.end()) continue;
    if (kernels::cpu::adds_alike(call_of(dot, operands), call_of(result, from), operands[0].dtype()))
      return apply_op(ops::dot_general, from, result);
  }
  return std::nullopt;
}

/// The transpose of a product, by a product that has its axes in another order or by the product the other way round.
std::optional<Array> transposed_product(const attr::Transpose& transpose, const Definitions::Definition& product) {
  const auto& dot = std::get<attr::Dot>(*product.attributes);
  const auto& order = transpose.permutation;
  const int batches = static_cast<int>(dot.lhs_batch.size());
  if (!dot.order.empty() || !is_of_matrices(dot, product.operands) || static_cast<int>(order.size()) != batches + 2)
    return std::nullopt;
  attr::Dot result = dot;
  result.order = order;
  std::vector<Array> operands = product.operands;
  if (order.back() == batches) {
    std::swap(operands[0], operands[1]);
    std::swap(result.lhs_batch, result.rhs_batch);
    std::swap(result.lhs_contract, result.rhs_contract);
    for (int& axis : result.order) axis = axis < batches ? axis : 2 * batches + 1 - axis;
    if (std::is_sorted(result.order.begin(), result.order.end())) result.order = {};
    if (batches == 0) return apply_op(ops::dot_general, operands, result);
  }
  const bool ends_with_columns = result.order.empty() || result.order.back() == batches + 1;
  if (!ends_with_columns ||
      !kernels::cpu::adds_alike(call_of(dot, product.operands), call_of(result, operands), operands[0].dtype()))
    return std::nullopt;
  return apply_op(ops::dot_general, operands, result);
}

/// The value of `op(operands)` by a cheaper way, if there is one. `only_use` says that nothing else needs its first
/// operand.
std::optional<Array> simpler(const Op& op, std::span<const Array> operands, const Node& node,
                             const Definitions& definitions, bool only_use) {
  const auto same_type = [&](const Array& x) { return abstract(x) == node.result; };
  const Array& x = operands.empty() ? Array() : operands[0];

  if (&op == &ops::add || &op == &ops::sub || &op == &ops::mul || &op == &ops::div) {  // which broadcast by themselves
    for (const std::size_t side : {0U, 1U}) {
      const auto* spread = definitions.find(operands[side], ops::broadcast_to);
      if (spread == nullptr || operands[1 - side].shape() != node.result.shape) continue;
      const Array& own = spread->operands[0];
      return side == 0 ? apply_op(op, {own, operands[1]}) : apply_op(op, {operands[0], own});
    }
  }
  if (&op == &ops::mul || &op == &ops::div || &op == &ops::sub) {
    const double neutral = &op == &ops::sub ? 0.0 : 1.0;
    if (number_in(operands[1]) == neutral && same_type(x)) return x;
    if (&op == &ops::mul && number_in(x) == neutral && same_type(operands[1])) return operands[1];
  }
  if (&op == &ops::div && operands[1].size() < x.size()) {  // one division per group instead of one per element
    if (const auto* root = definitions.find(operands[1], ops::sqrt)) return x * rsqrt(root->operands[0]);
  }
  if (&op == &ops::neg) {
    if (const auto* inner = definitions.find(x, ops::neg)) return inner->operands[0];
  }
  if (&op == &ops::reshape) {
    if (same_type(x)) return x;
    if (const auto* inner = definitions.find(x, ops::reshape)) return reshape(inner->operands[0], node.result.shape);
  }
  if (&op == &ops::take_along || &op == &ops::take_along_add) {
    return simpler_selection(op, operands, node, definitions);
  }
  if (&op == &ops::broadcast_to && same_type(x)) return x;
  if (&op == &ops::stop_gradient) return x;
  if (&op == &ops::transpose) {
    const auto& outer = std::get<attr::Transpose>(node.attributes).permutation;
    if (std::is_sorted(outer.begin(), outer.end())) return x;
    if (const auto* inner = definitions.find(x, ops::transpose)) {
      const auto& first = std::get<attr::Transpose>(*inner->attributes).permutation;
      std::vector<int> both;
      for (const int axis : outer) both.push_back(first[static_cast<std::size_t>(axis)]);
      return transpose(inner->operands[0], both);
    }
    const auto* product = definitions.find(x, ops::dot_general);
    if (product != nullptr && (only_use || node.result.shape.rank() == 2))
      return transposed_product(std::get<attr::Transpose>(node.attributes), *product);
  }
  if (&op == &ops::dot_general)
    return product_of_transposed(operands, std::get<attr::Dot>(node.attributes), definitions);
  if (&op == &ops::reduce_sum) {
    const auto& axes = std::get<attr::AxisSet>(node.attributes).axes;
    if (axes.empty()) return x;
    if (x.size() > 0) {
      if (const auto zero = vanishing_sum(x, axes, definitions)) return reshape(*zero, node.result.shape);
    }
    const auto sum = [&](const Array& of) { return apply_op(ops::reduce_sum, {of}, node.attributes); };
    if (const auto* inner = definitions.find(x, ops::neg)) return -sum(inner->operands[0]);
    // Not of nothing: 0 is its sum even where the factor is NaN.
    if (const auto* product = definitions.find(x, ops::mul); product != nullptr && x.size() > 0) {
      for (const int side : {0, 1}) {
        const Array& factor = product->operands[static_cast<std::size_t>(side)];
        const Array& other = product->operands[static_cast<std::size_t>(1 - side)];
        if (other.shape() != x.shape()) continue;
        if (const auto constant = constant_along(factor, x.shape(), axes)) return sum(other) * *constant;
      }
    }
  }
  return std::nullopt;
}

Program algebra(const Program& program) {
  const ProgramData& data = program.data();
  std::vector<int> uses(data.nodes.size(), 0);
  for (const int output : data.outputs) ++uses[static_cast<std::size_t>(output)];
  for (const Node& node : data.nodes) {
    for (const int operand : node.operands) ++uses[static_cast<std::size_t>(operand)];
  }
  Rewriter rewriter(data);
  Definitions definitions;
  return rewriter.run([&](int, const Node& node) {
    const std::vector<Array> operands = rewriter.operands(node);
    const bool only_use = !operands.empty() && uses[static_cast<std::size_t>(node.operands[0])] == 1;
    if (auto value = simpler(*node.op, operands, node, definitions, only_use)) return *value;
    const Array value = rewriter.record(node, operands);
    definitions.keep(value, {node.op, &node.attributes, operands});
    return value;
  });
}

}  // namespace

std::span<const Pass> simplifications() {
  static const Pass all[] = {
      {"constant_folding", "computes what depends on constants alone", constant_folding},
      {"algebra",
       "drops what changes nothing, takes constant factors out of sums, knows that deviations from a mean add up to "
       "zero",
       algebra},
      {"common_subexpressions", "computes equal values once", common_subexpressions},
      {"dead_code", "drops what no output needs", dead_code},
  };
  return all;
}

Pass reassociation_pass() {
  return {"reassociation", "adds what is the same along some axes before it is added to elements", reassociation};
}

Pass layout_pass(VectorSet vectors) {
  return {"layout", "puts samples side by side where channels are few",
          [vectors](const Program& program) { return layout(program, vectors); }};
}

Pass winograd_pass() {
  return {"winograd", "computes 3x3 convolutions of many channels with fewer products", winograd};
}

}  // namespace linseed::compile
