#include "ops/linalg.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "kernels/linalg.hpp"

namespace linseed {

namespace {

using AxisList = InlineVector<int, max_rank>;

bool contains(const AxisList& axes, int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }

AxisList range(std::size_t begin, std::size_t count) {
  AxisList result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(static_cast<int>(begin + i));
  return result;
}

AxisList free_axes(int rank, const AxisList& batch, const AxisList& contract) {
  AxisList result;
  for (int axis = 0; axis < rank; ++axis) {
    if (!contains(batch, axis) && !contains(contract, axis)) result.push_back(axis);
  }
  return result;
}

void require_paired(const Abstract& lhs, const Abstract& rhs, const AxisList& left, const AxisList& right,
                    std::string_view what) {
  for (std::size_t i = 0; i < left.size(); ++i) {
    const std::int64_t a = lhs.shape[static_cast<std::size_t>(left[i])];
    const std::int64_t b = rhs.shape[static_cast<std::size_t>(right[i])];
    if (a == b) continue;
    throw ShapeError(
        "dot_general", fmt::format("The {} axes differ in extent.", what),
        {.got = fmt::format("{} and {}: {} against {}", to_string(lhs.shape), to_string(rhs.shape), a, b)});
  }
}

Abstract dot_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& dot = std::get<attr::Dot>(attributes);
  const auto& [lhs, rhs] = std::pair(inputs[0], inputs[1]);
  ops::require_same_dtype("dot_general", inputs);
  require_paired(lhs, rhs, dot.lhs_batch, dot.rhs_batch, "batch");
  require_paired(lhs, rhs, dot.lhs_contract, dot.rhs_contract, "contracted");
  Shape shape;
  for (const int axis : dot.lhs_batch) shape.push_back(lhs.shape[static_cast<std::size_t>(axis)]);
  for (const int axis : free_axes(lhs.shape.rank(), dot.lhs_batch, dot.lhs_contract))
    shape.push_back(lhs.shape[static_cast<std::size_t>(axis)]);
  for (const int axis : free_axes(rhs.shape.rank(), dot.rhs_batch, dot.rhs_contract))
    shape.push_back(rhs.shape[static_cast<std::size_t>(axis)]);
  if (dot.order.empty()) return {shape, lhs.dtype};
  Shape ordered;
  for (const int axis : dot.order) ordered.push_back(shape[static_cast<std::size_t>(axis)]);
  return {ordered, lhs.dtype};
}

// The gradient of one operand: the cotangent against the other operand over the other's free axes, then its axes put
// back where the operand has them.
Array operand_gradient(const Op& op, const Array& g, const Array& own, const Array& other, const AxisList& own_batch,
                       const AxisList& own_contract, const AxisList& other_batch, const AxisList& other_contract,
                       bool own_is_left) {
  const AxisList own_free = free_axes(own.rank(), own_batch, own_contract);
  const AxisList other_free = free_axes(other.rank(), other_batch, other_contract);
  const std::size_t batches = own_batch.size();
  const std::size_t other_start = own_is_left ? batches + own_free.size() : batches;
  const Array product = apply_op(
      op, {g, other}, attr::Dot{range(other_start, other_free.size()), other_free, range(0, batches), other_batch});
  // `product` has batch axes, own free axes, then the contracted axes in the order in which `other` holds them.
  std::vector<int> place(static_cast<std::size_t>(own.rank()));
  int next = 0;
  for (const int axis : own_batch) place[static_cast<std::size_t>(axis)] = next++;
  for (const int axis : own_free) place[static_cast<std::size_t>(axis)] = next++;
  for (int axis = 0; axis < other.rank(); ++axis) {
    const auto found = std::find(other_contract.begin(), other_contract.end(), axis);
    if (found != other_contract.end()) {
      place[static_cast<std::size_t>(own_contract[static_cast<std::size_t>(found - other_contract.begin())])] = next++;
    }
  }
  return transpose(product, place);
}

template <const Op& op>
std::vector<Array> dot_gradient(const Application& a, const Array& cotangent) {
  const auto& dot = a.as<attr::Dot>();
  std::vector<int> back(dot.order.size());
  for (std::size_t i = 0; i < back.size(); ++i) back[static_cast<std::size_t>(dot.order[i])] = static_cast<int>(i);
  const Array g = back.empty() ? cotangent : transpose(cotangent, back);
  return ops::gradients(
      a,
      [&] {
        return operand_gradient(op, g, a.inputs[0], a.inputs[1], dot.lhs_batch, dot.lhs_contract, dot.rhs_batch,
                                dot.rhs_contract, /*own_is_left=*/true);
      },
      [&] {
        return operand_gradient(op, g, a.inputs[1], a.inputs[0], dot.rhs_batch, dot.rhs_contract, dot.lhs_batch,
                                dot.lhs_contract, /*own_is_left=*/false);
      });
}

AxisList checked(const std::vector<int>& axes, int rank) {
  AxisList result;
  for (const int axis : axes) {
    const int place = normalize_axis(axis, rank, "dot_general");
    if (contains(result, place)) throw ShapeError("dot_general", fmt::format("Axis {} is given twice.", axis));
    result.push_back(place);
  }
  return result;
}

void require_disjoint(const AxisList& contract, const AxisList& batch) {
  for (const int axis : contract) {
    if (contains(batch, axis))
      throw ShapeError("dot_general", fmt::format("Axis {} is both paired and summed over.", axis));
  }
}

}  // namespace

namespace ops {

constexpr Op dot_general{.name = "dot_general",
                         .shape_rule = dot_rule,
                         .gradient = dot_gradient<dot_general>,
                         .reference = kernels::reference::dot_general,
                         .fast = kernels::cpu::dot_general,
                         .choice = kernels::cpu::choose_dot};
constexpr Op dot_general_portable{.name = "dot_general_portable",
                                  .shape_rule = dot_rule,
                                  .gradient = dot_gradient<dot_general_portable>,
                                  .reference = kernels::reference::dot_general,
                                  .fast = kernels::cpu::dot_general_portable,
                                  .choice = kernels::cpu::choose_dot_portable};

Family linalg_family() {
  static constexpr const Op* all[] = {&dot_general, &dot_general_portable};
  return all;
}

}  // namespace ops

Array dot_general(const Array& lhs, const Array& rhs, const DotAxes& axes) {
  if (axes.lhs_contract.size() != axes.rhs_contract.size() || axes.lhs_batch.size() != axes.rhs_batch.size()) {
    throw ShapeError("dot_general", "Each axis of the left operand needs a partner on the right.");
  }
  const auto [left, right] = ops::promoted(lhs, rhs);
  const attr::Dot dot{checked(axes.lhs_contract, lhs.rank()), checked(axes.rhs_contract, rhs.rank()),
                      checked(axes.lhs_batch, lhs.rank()), checked(axes.rhs_batch, rhs.rank())};
  require_disjoint(dot.lhs_contract, dot.lhs_batch);
  require_disjoint(dot.rhs_contract, dot.rhs_batch);
  return apply_op(ops::dot_general, {left, right}, dot);
}

Array matmul(const Array& a, const Array& b) {
  if (a.rank() == 0 || b.rank() == 0) {
    throw ShapeError("matmul", "Scalars are not multiplied as matrices.", {.hint = "use *"});
  }
  const int contracted = b.rank() == 1 ? 0 : b.rank() - 2;
  if (a.extent(-1) != b.extent(contracted)) {
    throw ShapeError("matmul", "Inner extents differ.",
                     {.got = fmt::format("{} and {}: {} against {}", to_string(a.shape()), to_string(b.shape()),
                                         a.extent(-1), b.extent(contracted))});
  }
  if (b.rank() <= 2) return dot_general(a, b, {.lhs_contract = {a.rank() - 1}, .rhs_contract = {contracted}});
  if (a.rank() == 1) return dot_general(b, a, {.lhs_contract = {b.rank() - 2}, .rhs_contract = {0}});

  const Shape batch =
      broadcast_shapes({a.shape().begin(), a.shape().end() - 2}, {b.shape().begin(), b.shape().end() - 2}, "matmul");
  const auto stretched = [&](const Array& x) {
    Shape shape = batch;
    shape.push_back(x.extent(-2));
    shape.push_back(x.extent(-1));
    return broadcast_to(x, shape);
  };
  const int rank = batch.rank() + 2;
  const AxisList leading = range(0, batch.size());
  const std::vector<int> batches(leading.begin(), leading.end());
  return dot_general(
      stretched(a), stretched(b),
      {.lhs_contract = {rank - 1}, .rhs_contract = {rank - 2}, .lhs_batch = batches, .rhs_batch = batches});
}

Array dot(const Array& a, const Array& b) {
  if (a.rank() == 0 || b.rank() == 0) return a * b;
  const int contracted = b.rank() == 1 ? 0 : b.rank() - 2;
  return dot_general(a, b, {.lhs_contract = {a.rank() - 1}, .rhs_contract = {contracted}});
}

}  // namespace linseed
