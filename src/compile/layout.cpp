#include "compile/layout.hpp"

#include <algorithm>

#include <linseed/ops/shape.hpp>

#include "compile/rewriter.hpp"
#include "kernels/conv.hpp"
#include "ops/conv.hpp"
#include "ops/elementwise.hpp"
#include "ops/pool.hpp"
#include "ops/reduce.hpp"
#include "ops/shape.hpp"

namespace linseed::compile {

namespace {

using detail::ProgramData;
using kernels::in_lanes;
using kernels::lanes;

/// [N, ..., C] to [N / 16, ..., C * 16].
Array to_lanes(const Array& x) {
  const std::int64_t blocks = x.extent(0) / lanes;
  return reshape(transpose(reshape(x, {blocks, lanes, -1}), {0, 2, 1}), in_lanes(x.shape()));
}
/// And back to `shape`.
Array from_lanes(const Array& x, const Shape& shape) {
  return reshape(transpose(reshape(x, {x.extent(0), -1, lanes}), {0, 2, 1}), shape);
}

/// An operand that is the same for all samples, as it is broadcast to a result in lanes.
Array for_all_lanes(const Array& x, const Shape& result) {
  if (x.rank() == 0 || x.shape().back() == 1 || result.rank() == 1) return x;
  Shape apart = x.shape();
  apart.push_back(1);
  Shape repeated = x.shape();
  repeated.push_back(lanes);
  Shape together = x.shape();
  together.back() *= lanes;
  return reshape(broadcast_to(reshape(x, apart), repeated), together);
}

class Layout {
 public:
  Layout(const ProgramData& program, VectorSet vectors)
      : program_(program),
        vectors_(vectors),
        rewriter_(program),
        chosen_(program.nodes.size(), 0),
        runs_(program.nodes.size(), 0),
        in_lanes_(program.nodes.size()) {}

  /// Whether anything is to be done.
  bool choose() {
    bool any = false;
    for (std::size_t i = 0; i < program_.nodes.size(); ++i) {
      const Node& node = program_.nodes[i];
      if (node.op == nullptr || !is_suitable_conv(node, false)) continue;
      any = true;
      runs_[i] = 1;
      chosen_[i] = node.op != &ops::conv_kernel_grad;
    }
    while (any && (spread_forward() || spread_backward())) {
    }
    return any;
  }

  Program rewrite() {
    find_ordinary_uses();
    return rewriter_.run([&](int index, const Node& node) {
      const auto i = static_cast<std::size_t>(index);
      if (!runs_[i]) return rewriter_.record(node, rewriter_.operands(node));
      const Array value = run_in_lanes(node);
      if (!chosen_[i]) return value;
      in_lanes_[i] = value;
      return ordinary_[i] ? from_lanes(value, node.result.shape) : Array();
    });
  }

 private:
  [[nodiscard]] const Node& node(int index) const { return program_.nodes[static_cast<std::size_t>(index)]; }
  [[nodiscard]] bool chosen(int index) const { return chosen_[static_cast<std::size_t>(index)] != 0; }
  [[nodiscard]] const Shape& shape_of(int index) const { return node(index).result.shape; }

  /// Whether the node is a convolution that is best computed in lanes, where its operands are there or are not. What
  /// the pass winograd takes is left to it.
  [[nodiscard]] bool is_suitable_conv(const Node& self, bool in_lanes) const {
    const bool forward = self.op == &ops::conv, kernel = self.op == &ops::conv_kernel_grad;
    if ((!forward && !kernel && self.op != &ops::conv_input_grad) || self.result.dtype != DType::float32) return false;
    const auto& conv = std::get<attr::Conv>(self.attributes);
    const Shape& y = forward ? self.result.shape : shape_of(self.operands[kernel ? 1 : 0]);
    using kernels::cpu::ConvResult;
    const ConvResult result = forward ? ConvResult::output : kernel ? ConvResult::kernel_grad : ConvResult::input_grad;
    return fills_lanes(y) && !kernels::cpu::suits_winograd(conv, y, result == ConvResult::input_grad) &&
           kernels::cpu::suits_lanes(conv, y, result, in_lanes, vectors_);
  }

  /// Whether an operand of a result [N, ..., C] has its samples too, or the same for all; nothing else can be in lanes.
  enum class Samples { all, none, other };
  [[nodiscard]] static Samples samples_of(const Shape& operand, const Shape& result) {
    if (operand.rank() < result.rank() || operand[0] == 1) return Samples::none;
    return operand.back() == result.back() ? Samples::all : Samples::other;
  }

  static bool is_window(const Op* op) {
    return op == &ops::window_sum || op == &ops::window_sum_transpose || op == &ops::max_pool ||
           op == &ops::max_pool_grad || op == &ops::max_pool_gather;
  }
  static bool is_pointwise(const Op& op) { return op.micro_op || &op == &ops::cast || &op == &ops::broadcast_to; }
  static bool sums_over_samples(const Node& self) {
    if (self.op != &ops::reduce_sum) return false;
    const auto& axes = std::get<attr::AxisSet>(self.attributes).axes;
    return std::find(axes.begin(), axes.end(), 0) != axes.end();
  }

  /// Whether the op can run on its operands in lanes.
  [[nodiscard]] bool can_run(const Node& self) const {
    if (self.op == nullptr || self.operands.empty()) return false;
    const Shape& operand = shape_of(self.operands[0]);
    const Shape& result = self.result.shape;
    if (self.op == &ops::reduce_sum) {
      if (operand.rank() == 0 || !fills_lanes(operand)) return false;
      const auto& axes = std::get<attr::AxisSet>(self.attributes).axes;
      return sums_over_samples(self) || std::find(axes.begin(), axes.end(), operand.rank() - 1) == axes.end();
    }
    if (result.rank() == 0 || !fills_lanes(result)) return false;
    if (is_window(self.op)) return true;
    if (self.op == &ops::reshape) return operand.rank() > 0 && operand[0] == result[0];
    return is_pointwise(*self.op) && std::all_of(self.operands.begin(), self.operands.end(), [&](int index) {
             return samples_of(shape_of(index), result) != Samples::other;
           });
  }
  [[nodiscard]] static bool fills_lanes(const Shape& shape) { return shape.elements() > 0 && shape[0] % lanes == 0; }

  /// Whether a node that runs in lanes reads operand `i` there; it reads others in the ordinary layout.
  [[nodiscard]] bool reads_in_lanes(const Node& self, std::size_t i) const {
    if (self.op == &ops::conv || self.op == &ops::conv_input_grad) return i == 0;
    return !is_pointwise(*self.op) || samples_of(shape_of(self.operands[i]), self.result.shape) == Samples::all;
  }

  [[nodiscard]] bool reads_lanes(const Node& self) const {
    for (std::size_t i = 0; i < self.operands.size(); ++i) {
      if (chosen(self.operands[i]) && reads_in_lanes(self, i)) return true;
    }
    return false;
  }

  /// What reads values in lanes and can run on them does.
  bool spread_forward() {
    bool changed = false;
    for (std::size_t i = 0; i < program_.nodes.size(); ++i) {
      const Node& self = program_.nodes[i];
      if (runs_[i] || self.op == nullptr || !reads_lanes(self) || !(can_run(self) || is_suitable_conv(self, true)))
        continue;
      runs_[i] = 1;
      chosen_[i] = !sums_over_samples(self) && self.op != &ops::conv_kernel_grad;
      changed = true;
    }
    return changed;
  }

  /// What is read only by what runs in lanes is computed there, if it can be.
  bool spread_backward() {
    std::vector<char> only(program_.nodes.size(), 1), read(program_.nodes.size(), 0);
    for (const int output : program_.outputs) only[static_cast<std::size_t>(output)] = 0;
    bool changed = false;
    for (std::size_t i = program_.nodes.size(); i-- > 0;) {
      const Node& self = program_.nodes[i];
      if (!runs_[i] && read[i] && only[i] && can_run(self) && !sums_over_samples(self)) {
        runs_[i] = chosen_[i] = 1;
        changed = true;
      }
      for (std::size_t k = 0; k < self.operands.size(); ++k) {
        const auto operand = static_cast<std::size_t>(self.operands[k]);
        read[operand] = 1;
        if (!runs_[i] || !reads_in_lanes(self, k)) only[operand] = 0;
      }
    }
    return changed;
  }

  /// Marks the values in lanes that somebody needs in the ordinary layout.
  void find_ordinary_uses() {
    ordinary_.assign(program_.nodes.size(), 0);
    for (const int output : program_.outputs) ordinary_[static_cast<std::size_t>(output)] = 1;
    for (std::size_t i = 0; i < program_.nodes.size(); ++i) {
      const Node& self = program_.nodes[i];
      for (std::size_t k = 0; k < self.operands.size(); ++k) {
        if (!runs_[i] || !reads_in_lanes(self, k)) ordinary_[static_cast<std::size_t>(self.operands[k])] = 1;
      }
    }
  }

  /// The value in lanes of an old node.
  const Array& value_in_lanes(int index) {
    Array& value = in_lanes_[static_cast<std::size_t>(index)];
    if (!value.defined()) value = to_lanes(rewriter_.value(index));
    return value;
  }

  Array run_in_lanes(const Node& self) {
    const Shape result = self.result.shape;
    const auto& operands = self.operands;
    if (self.op == &ops::conv)
      return apply_op(ops::conv_in_lanes, {value_in_lanes(operands[0]), rewriter_.value(operands[1])}, self.attributes);
    if (self.op == &ops::conv_input_grad) {
      return apply_op(ops::conv_input_grad_in_lanes, {value_in_lanes(operands[0]), rewriter_.value(operands[1])},
                      self.attributes);
    }
    if (self.op == &ops::conv_kernel_grad) {
      return apply_op(ops::conv_kernel_grad_in_lanes, {value_in_lanes(operands[0]), value_in_lanes(operands[1])},
                      self.attributes);
    }
    if (self.op == &ops::reshape) return reshape(value_in_lanes(operands[0]), in_lanes(result));
    if (self.op == &ops::reduce_sum) return sum_in_lanes(self);
    if (is_window(self.op)) {
      attr::Window window = std::get<attr::Window>(self.attributes);
      window.input_shape = in_lanes(window.input_shape);
      std::vector<Array> values;
      for (const int operand : operands) values.push_back(value_in_lanes(operand));
      return apply_op(*self.op, values, window);
    }
    std::vector<Array> values;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      values.push_back(reads_in_lanes(self, i) ? value_in_lanes(operands[i])
                                               : for_all_lanes(rewriter_.value(operands[i]), result));
    }
    if (self.op == &ops::broadcast_to) return broadcast_to(values[0], in_lanes(result));
    return apply_op(*self.op, values, self.attributes);
  }

  Array sum_in_lanes(const Node& self) {
    const Array& x = value_in_lanes(self.operands[0]);
    attr::AxisSet over = std::get<attr::AxisSet>(self.attributes);
    const int rank = shape_of(self.operands[0]).rank();
    if (rank == 1) over.axes.push_back(1);
    const bool over_lanes = over.axes.back() == x.rank() - 1;
    const Array sums = apply_op(ops::reduce_sum, {x}, over);
    if (!sums_over_samples(self) || over_lanes) return sums;
    Shape apart = self.result.shape;
    apart.push_back(lanes);
    return apply_op(ops::reduce_sum, {reshape(sums, apart)}, attr::AxisSet{{self.result.shape.rank()}});
  }

  const ProgramData& program_;
  VectorSet vectors_;
  Rewriter rewriter_;
  std::vector<char> chosen_;     // per old value: whether it is in lanes
  std::vector<char> runs_;       // per old node: whether it runs on values in lanes
  std::vector<char> ordinary_;   // per old value: whether it is needed in the ordinary layout
  std::vector<Array> in_lanes_;  // per old value, where it is known
};

}  // namespace

Program layout(const Program& program, VectorSet vectors) {
  Layout layout(program.data(), vectors);
  return layout.choose() ? layout.rewrite() : program;
}

}  // namespace linseed::compile
