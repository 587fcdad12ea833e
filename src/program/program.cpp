#include "program/program.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>

#include "core/array_node.hpp"
#include "ops/shape.hpp"

namespace linseed {

using detail::ArrayNode;
using detail::ProgramData;

// ---- recording ----

Array ProgramTrace::add(ProgramData::Node node) {
  const Abstract result = node.result;
  program_->nodes.push_back(std::move(node));
  return ArrayNode::traced(shared_from_this(), static_cast<int>(program_->nodes.size()) - 1, result.shape,
                           result.dtype);
}

Array ProgramTrace::add_input(const Abstract& abstract) {
  program_->inputs.push_back(static_cast<int>(program_->nodes.size()));
  return add({.result = abstract});
}

int ProgramTrace::node_of(const Array& array) {
  const ArrayNode& node = ArrayNode::of(array);
  if (node.trace.get() == this) return node.index;
  const auto [place, inserted] = constants_.try_emplace(&node, static_cast<int>(program_->nodes.size()));
  if (inserted) {
    program_->captured_tracers = program_->captured_tracers || node.trace != nullptr;
    add({.result = abstract(array), .constant = array});
  }
  return place->second;
}

Array ProgramTrace::record(const Op& op, std::span<const Array> operands, const Attributes& attributes) {
  std::vector<Abstract> abstracts;
  for (const Array& operand : operands) abstracts.push_back(abstract(operand));
  ProgramData::Node node{.op = &op, .attributes = attributes, .result = op.shape_rule(abstracts, attributes)};
  static_cast<void>(detail::bytes_of(node.result.shape, node.result.dtype, op.name));
  for (const Array& operand : operands) node.operands.push_back(node_of(operand));
  return add(std::move(node));
}

std::vector<Array> ProgramTrace::record_custom(const std::shared_ptr<const CustomVjp>& custom,
                                               std::span<const Array> operands) {
  ProgramData::Region region{.custom = custom};
  for (const Array& operand : operands) region.operands.push_back(node_of(operand));
  region.begin = static_cast<int>(program_->nodes.size());
  std::vector<Array> results = custom->primal(operands);
  for (Array& result : results) {
    // The results must be nodes of their own: one that is an operand has other readers than this function's.
    const int node = node_of(result);
    if (node < region.begin || std::find(region.results.begin(), region.results.end(), node) != region.results.end()) {
      result = record(ops::reshape, {&result, 1}, attr::NewShape{result.shape()});
    }
    region.results.push_back(node_of(result));
  }
  region.end = static_cast<int>(program_->nodes.size());
  program_->regions.push_back(std::move(region));
  return results;
}

Program ProgramTrace::finish(std::span<const Array> outputs) {
  for (const Array& output : outputs) program_->outputs.push_back(node_of(detail::settled(output)));
  close();
  ProgramData& program = *program_;
  std::stable_sort(program.regions.begin(), program.regions.end(),
                   [](const auto& a, const auto& b) { return a.begin != b.begin ? a.begin < b.begin : a.end > b.end; });
  const int count = static_cast<int>(program.nodes.size());
  program.last_use.assign(program.nodes.size(), -1);
  for (int i = 0; i < count; ++i) {
    for (const int operand : program.nodes[static_cast<std::size_t>(i)].operands)
      program.last_use[static_cast<std::size_t>(operand)] = i;
  }
  for (const int output : program.outputs) program.last_use[static_cast<std::size_t>(output)] = count;
  Program result(std::exchange(program_, nullptr));
  result.verify();
  return result;
}

// ---- running ----

namespace {

bool is_traced(const Array& array) { return array.defined() && ArrayNode::of(array).trace != nullptr; }

}  // namespace

std::vector<Array> interpret(const ProgramData& program, std::span<const Array> inputs, const Executor& executor) {
  const int count = static_cast<int>(program.nodes.size());
  std::vector<Array> values(program.nodes.size());
  bool traced = false;
  const auto assign = [&](int node, const Array& value) {
    values[static_cast<std::size_t>(node)] = detail::settled(value);
    traced = traced || is_traced(values[static_cast<std::size_t>(node)]);
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) assign(program.inputs[i], inputs[i]);
  for (int i = 0; i < count; ++i) {
    const Array& constant = program.nodes[static_cast<std::size_t>(i)].constant;
    if (constant.defined()) assign(i, constant);
  }

  std::vector<Array> operands;
  auto region = program.regions.begin();
  for (int i = 0; i < count; ++i) {
    if (traced) {
      for (; region != program.regions.end() && region->begin <= i; ++region) {
        if (region->begin < i) continue;  // inside one that was replaced
        operands.clear();
        for (const int operand : region->operands) operands.push_back(values[static_cast<std::size_t>(operand)]);
        if (std::none_of(operands.begin(), operands.end(), is_traced)) continue;
        const std::vector<Array> results = apply_custom(region->custom, operands);
        for (std::size_t k = 0; k < results.size(); ++k)
          values[static_cast<std::size_t>(region->results[k])] = results[k];
        i = region->end;
      }
      if (i >= count) break;
    }
    const ProgramData::Node& node = program.nodes[static_cast<std::size_t>(i)];
    if (node.op == nullptr) continue;
    operands.clear();
    for (const int operand : node.operands) operands.push_back(values[static_cast<std::size_t>(operand)]);
    values[static_cast<std::size_t>(i)] = traced ? apply_op(*node.op, operands, node.attributes)
                                                 : execute(*node.op, operands, node.attributes, node.result, executor);
    for (const int operand : node.operands) {
      if (program.last_use[static_cast<std::size_t>(operand)] == i) values[static_cast<std::size_t>(operand)] = Array();
    }
  }
  std::vector<Array> outputs;
  for (const int output : program.outputs) outputs.push_back(values[static_cast<std::size_t>(output)]);
  return outputs;
}

// ---- looking at it ----

std::size_t Program::size() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(data_->nodes.begin(), data_->nodes.end(), [](const auto& node) { return node.op; }));
}

std::size_t Program::count(std::string_view op) const noexcept {
  return static_cast<std::size_t>(std::count_if(data_->nodes.begin(), data_->nodes.end(),
                                                [&](const auto& node) { return node.op && node.op->name == op; }));
}

std::string Program::to_string() const {
  std::string text;
  const auto reference = [](int node) { return fmt::format("%{}", node); };
  const auto references = [&](const std::vector<int>& nodes) {
    std::vector<std::string> words;
    for (const int node : nodes) words.push_back(reference(node));
    return fmt::format("{}", fmt::join(words, " "));
  };
  for (std::size_t i = 0; i < data_->nodes.size(); ++i) {
    const ProgramData::Node& node = data_->nodes[i];
    const std::string type = describe(node.result.dtype, node.result.shape);
    std::string what = "input";
    if (node.op != nullptr) {
      what = fmt::format("{} {} {}", node.op->name, references(node.operands), linseed::to_string(node.attributes));
      what.erase(what.find_last_not_of(' ') + 1);
    } else if (node.constant.defined()) {
      const bool small = node.constant.has_value() && node.constant.size() == 1;
      what = small ? fmt::format("constant {}", linseed::to_string(node.constant)) : "constant";
    }
    text += fmt::format("{}: {} = {}\n", reference(static_cast<int>(i)), type, what);
  }
  return text + fmt::format("return {}\n", references(data_->outputs));
}

void Program::verify() const {
  const auto fail = [](std::size_t node, std::string_view what) {
    throw Error("program", fmt::format("Node %{} is wrong: {}.", node, what), {.hint = "this is a defect of linseed"});
  };
  for (std::size_t i = 0; i < data_->nodes.size(); ++i) {
    const ProgramData::Node& node = data_->nodes[i];
    if (node.op == nullptr) continue;
    std::vector<Abstract> operands;
    for (const int operand : node.operands) {
      if (operand < 0 || static_cast<std::size_t>(operand) >= i) fail(i, "it reads a value that comes after it");
      operands.push_back(data_->nodes[static_cast<std::size_t>(operand)].result);
    }
    if (!(node.op->shape_rule(operands, node.attributes) == node.result))
      fail(i, "its type does not follow from its operands");
  }
  for (const int output : data_->outputs) {
    if (output < 0 || static_cast<std::size_t>(output) >= data_->nodes.size())
      fail(data_->nodes.size(), "an output does not exist");
  }
}

}  // namespace linseed

fmt::format_context::iterator fmt::formatter<linseed::Program>::format(const linseed::Program& program,
                                                                       fmt::format_context& context) const {
  return fmt::formatter<fmt::string_view>::format(program.to_string(), context);
}
