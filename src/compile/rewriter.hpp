#pragma once

#include <memory>
#include <span>
#include <vector>

#include "program/program.hpp"

namespace linseed::compile {

using Node = detail::ProgramData::Node;

/// Builds a program anew. Values of the new program are Arrays of its trace, constants are concrete: what a rule
/// computes with them is recorded, or computed at once.
class Rewriter {
 public:
  explicit Rewriter(const detail::ProgramData& old) : old_(old), values_(old.nodes.size()) {}

  /// The new value of an old node.
  [[nodiscard]] const Array& value(int node) const { return values_[static_cast<std::size_t>(node)]; }
  [[nodiscard]] std::vector<Array> operands(const Node& node) const {
    std::vector<Array> result;
    for (const int operand : node.operands) result.push_back(value(operand));
    return result;
  }
  [[nodiscard]] Array record(const Node& node, std::span<const Array> operands) {
    return trace_->record(*node.op, operands, node.attributes);
  }

  /// Gives every node to `rule`, in order, which returns its new value; then the program of the outputs. Constants go
  /// through `constant`.
  template <class Rule>
  Program run(const Rule& rule) {
    return run(rule, [](const Array& constant) { return constant; });
  }
  template <class Rule, class Constant>
  Program run(const Rule& rule, const Constant& constant) {
    for (std::size_t i = 0; i < old_.nodes.size(); ++i) {
      const Node& node = old_.nodes[i];
      if (node.op != nullptr) {
        values_[i] = rule(static_cast<int>(i), node);
      } else {
        values_[i] = node.constant.defined() ? constant(node.constant) : trace_->add_input(node.result);
      }
    }
    std::vector<Array> outputs;
    for (const int output : old_.outputs) outputs.push_back(value(output));
    return trace_->finish(outputs);
  }

 private:
  const detail::ProgramData& old_;
  std::shared_ptr<ProgramTrace> trace_ = std::make_shared<ProgramTrace>();
  std::vector<Array> values_;
};

}  // namespace linseed::compile
