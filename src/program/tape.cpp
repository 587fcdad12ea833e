#include "program/tape.hpp"

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

#include "core/array_node.hpp"

namespace linseed {

using detail::ArrayNode;

int Tape::entry_of(const Array& array) const {
  const ArrayNode& node = ArrayNode::of(array);
  return node.trace.get() == this ? node.index : -1;
}

Array Tape::add(Entry entry) {
  const Array value = entry.output;
  entries_.push_back(std::move(entry));
  return ArrayNode::traced(shared_from_this(), static_cast<int>(entries_.size()) - 1, value.shape(), value.dtype(),
                           value);
}

Array Tape::add_input(const Array& value) {
  inputs_.push_back(static_cast<int>(entries_.size()));
  return add({.output = detail::settled(value)});
}

Array Tape::record(const Op& op, std::span<const Array> operands, const Attributes& attributes) {
  Entry entry{.op = &op, .attributes = attributes};
  for (const Array& operand : operands) {
    entry.parents.push_back(entry_of(operand));
    entry.inputs.push_back(entry.parents.back() < 0 ? operand : ArrayNode::of(operand).value);
  }
  entry.output = apply_op(op, entry.inputs, attributes);
  // What does not vary with the inputs is a constant here.
  if (op.gradient == not_differentiable || !is_floating(entry.output.dtype())) return entry.output;
  return add(std::move(entry));
}

std::vector<Array> Tape::record_custom(const std::shared_ptr<const CustomVjp>& custom,
                                       std::span<const Array> operands) {
  auto call = std::make_shared<CustomCall>();
  call->rule = custom;
  for (const Array& operand : operands) {
    call->parents.push_back(entry_of(operand));
    call->inputs.push_back(call->parents.back() < 0 ? operand : ArrayNode::of(operand).value);
  }
  std::tie(call->outputs, call->residuals) = custom->forward(call->inputs);
  call->first = static_cast<int>(entries_.size());
  std::vector<Array> results;
  for (const Array& output : call->outputs) results.push_back(add({.output = detail::settled(output), .custom = call}));
  return results;
}

namespace {

void accumulate(Array& total, const Array& term, const Array& primal, std::string_view op) {
  if (!term.defined()) return;
  if (!(abstract(term) == abstract(primal))) {
    throw ShapeError("grad", fmt::format("The gradient rule of {} gave a cotangent unlike its operand.", op),
                     {.got = describe(term), .expected = describe(primal)});
  }
  total = total.defined() ? total + term : term;
}

}  // namespace

std::vector<Array> Tape::pull_back(std::span<const Array> outputs, std::span<const Array> cotangents) const {
  std::vector<Array> pending(entries_.size());
  int last = -1;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (cotangents[i].defined() && !(abstract(cotangents[i]) == abstract(outputs[i]))) {
      throw ShapeError("vjp", "A cotangent is unlike its output.",
                       {.got = describe(cotangents[i]), .expected = describe(outputs[i])});
    }
    const int entry = entry_of(outputs[i]);
    if (entry < 0) continue;
    accumulate(pending[static_cast<std::size_t>(entry)], cotangents[i],
               entries_[static_cast<std::size_t>(entry)].output, "the output");
    last = std::max(last, entry);
  }
  std::vector<char> wanted;
  for (int i = last; i >= 0; --i) {
    const Entry& entry = entries_[static_cast<std::size_t>(i)];
    if (entry.custom) {
      // The results of one call stand together: at the first of them all their cotangents are complete.
      const CustomCall& call = *entry.custom;
      if (i != call.first) continue;
      std::vector<Array> given;
      bool any = false;
      for (std::size_t k = 0; k < call.outputs.size(); ++k) {
        Array& cotangent = pending[static_cast<std::size_t>(i) + k];
        any = any || cotangent.defined();
        given.push_back(cotangent.defined() ? std::exchange(cotangent, Array()) : zeros_like(call.outputs[k]));
      }
      if (!any) continue;
      const std::vector<Array> gradients = call.rule->backward(call.residuals, given);
      for (std::size_t k = 0; k < call.parents.size(); ++k) {
        if (call.parents[k] < 0) continue;
        accumulate(pending[static_cast<std::size_t>(call.parents[k])], gradients[k], call.inputs[k],
                   "a custom_vjp function");
      }
      continue;
    }
    if (entry.op == nullptr || !pending[static_cast<std::size_t>(i)].defined()) continue;
    wanted.clear();
    for (std::size_t k = 0; k < entry.parents.size(); ++k)
      wanted.push_back(entry.parents[k] >= 0 && is_floating(entry.inputs[k].dtype()));
    const Array cotangent = std::exchange(pending[static_cast<std::size_t>(i)], Array());
    const std::vector<Array> gradients =
        entry.op->gradient({entry.inputs, entry.output, entry.attributes, wanted}, cotangent);
    for (std::size_t k = 0; k < entry.parents.size(); ++k) {
      if (wanted[k])
        accumulate(pending[static_cast<std::size_t>(entry.parents[k])], gradients[k], entry.inputs[k], entry.op->name);
    }
  }
  std::vector<Array> result;
  for (const int input : inputs_) result.push_back(pending[static_cast<std::size_t>(input)]);
  return result;
}

}  // namespace linseed
