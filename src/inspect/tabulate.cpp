#include <linseed/inspect/tabulate.hpp>

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/array_node.hpp"
#include "inspect/node_flops.hpp"
#include "inspect/text_table.hpp"
#include "program/program.hpp"

namespace linseed::inspect {

using linseed::detail::ArrayNode;
using linseed::detail::ProgramData;

std::int64_t byte_count(const Tree& tree) {
  std::int64_t bytes = 0;
  for (const Array& leaf : tree.leaves()) bytes += leaf.size() * static_cast<std::int64_t>(size_of(leaf.dtype()));
  return bytes;
}

namespace {

/// A call of a module: the nodes [begin, end) of the program.
struct CallRecord {
  std::string path;
  std::string module = {}, method = {};
  std::size_t begin = 0, end = 0;
  std::optional<std::vector<Array>> outputs = {};  ///< those that the module told
};

/// Notes where in the trace calls begin and end.
class Recorder : public nn::CallObserver {
 public:
  void enter(std::string_view path) override {
    open_.push_back(calls.size());
    calls.push_back({.path = std::string(path), .begin = trace->size()});
  }
  void output(const nn::ModuleCall& call, pytree::View value) override {
    CallRecord& record = calls[open_.back()];
    if (call.method != "__call__") record.method = call.method;
    record.outputs = pytree::leaves(value);
  }
  void leave(std::string_view module) override {
    CallRecord& record = calls[open_.back()];
    record.module = module;
    record.end = trace->size();
    open_.pop_back();
  }

  std::shared_ptr<ProgramTrace> trace;
  std::vector<CallRecord> calls;

 private:
  std::vector<std::size_t> open_;
};

/// What the nodes of a program depend on, and who reads them.
class Dataflow {
 public:
  Dataflow(const ProgramData& program, const std::set<int>& arguments)
      : program_(program), from_arguments_(program.nodes.size(), 0) {
    for (std::size_t i = 0; i < program.nodes.size(); ++i) {
      const auto& operands = program.nodes[i].operands;
      from_arguments_[i] = arguments.contains(static_cast<int>(i)) ||
                           std::any_of(operands.begin(), operands.end(),
                                       [&](int k) { return from_arguments_[static_cast<std::size_t>(k)] != 0; });
    }
  }

  /// What [begin, end) reads from before `begin`, in the order of reading.
  [[nodiscard]] std::vector<int> inputs(std::size_t begin, std::size_t end) const {
    std::vector<int> result;
    for (std::size_t i = begin; i < end; ++i) {
      for (const int operand : program_.nodes[i].operands) add_input(operand, begin, result);
    }
    return result;
  }
  void add_input(int node, std::size_t begin, std::vector<int>& inputs) const {
    const auto place = static_cast<std::size_t>(node);
    if (place < begin && from_arguments_[place] != 0 && std::find(inputs.begin(), inputs.end(), node) == inputs.end())
      inputs.push_back(node);
  }
  /// What of [begin, end) is read behind `end`.
  [[nodiscard]] std::vector<int> outputs(std::size_t begin, std::size_t end) const {
    std::vector<int> result;
    for (std::size_t i = begin; i < end; ++i) {
      if (program_.nodes[i].op != nullptr && program_.last_use[i] >= static_cast<int>(end))
        result.push_back(static_cast<int>(i));
    }
    return result;
  }
  [[nodiscard]] std::string type_of(int node) const {
    const Abstract& type = program_.nodes[static_cast<std::size_t>(node)].result;
    return describe(type.dtype, type.shape);
  }

 private:
  const ProgramData& program_;
  std::vector<char> from_arguments_;
};

Tree without_values(const Tree& tree) { return tree.with_leaves(pytree::placeholders(tree.leaves())); }

int depth_of(const std::string& path) {
  return path.empty() ? 0 : 1 + static_cast<int>(std::count(path.begin(), path.end(), '/'));
}

/// Collection -> what it holds at `path`, without submodules that are in `called` unless `whole`.
Tree variables_at(const Tree& variables, const std::string& path, const std::set<std::string>& called, bool whole) {
  Tree result;
  for (const auto& [collection, content] : variables.entries()) {
    const Tree* found = content.find(path);
    Tree::Dict own = found == nullptr || found->is_leaf() ? Tree::Dict() : found->entries();
    if (!whole) {
      std::erase_if(own,
                    [&](const auto& entry) { return called.contains(linseed::detail::join_path(path, entry.first)); });
    }
    result = result.set(collection, Tree(std::move(own)));
  }
  return result;
}

}  // namespace

struct detail::Tabulation::State {
  void end() noexcept {
    if (recorder.trace) recorder.trace->abandon();
    recorder.trace.reset();
  }

  TabulateOptions options;
  std::string model;
  Recorder recorder = {};
  std::set<int> arguments = {};  ///< the program's inputs that come from the model's arguments
  Tree variables = {};           ///< of the running trace, before it
};

detail::Tabulation::Tabulation(TabulateOptions options, std::string_view model)
    : state_(new State{.options = std::move(options), .model = std::string(model)}) {}

detail::Tabulation::~Tabulation() { state_->end(); }

nn::CallObserver& detail::Tabulation::observer() noexcept { return state_->recorder; }

std::vector<Array> detail::Tabulation::begin(const std::vector<Array>& arguments, Tree& variables, Tree& streams) {
  state_->recorder.trace = std::make_shared<ProgramTrace>();
  state_->recorder.calls.clear();
  state_->arguments.clear();
  ProgramTrace& trace = *state_->recorder.trace;
  const auto inputs_like = [&](const std::vector<Array>& arrays) {
    std::vector<Array> inputs;
    for (const Array& array : arrays) inputs.push_back(array.defined() ? trace.add_input(abstract(array)) : Array());
    return inputs;
  };
  state_->variables = without_values(variables);
  variables = variables.with_leaves(inputs_like(variables.leaves()));
  streams = streams.with_leaves(inputs_like(streams.leaves()));
  std::vector<Array> inputs = inputs_like(arguments);
  for (const Array& input : inputs) {
    if (input.defined()) state_->arguments.insert(ArrayNode::of(input).index);
  }
  return inputs;
}

Tree detail::Tabulation::variables(const Tree& made) {
  Tree result = without_values(made);
  state_->end();
  return result;
}

ModuleTable detail::Tabulation::table(const std::vector<Array>& outputs) {
  Recorder& recorder = state_->recorder;
  // The places of what the modules told, before the trace ends. What is concrete does not come from the arguments.
  std::vector<std::vector<int>> told(recorder.calls.size());
  for (std::size_t i = 0; i < recorder.calls.size(); ++i) {
    for (const Array& output : recorder.calls[i].outputs.value_or(std::vector<Array>())) {
      if (output.defined() && ArrayNode::of(output).trace == recorder.trace)
        told[i].push_back(ArrayNode::of(output).index);
    }
  }
  std::vector<Array> results;
  std::copy_if(outputs.begin(), outputs.end(), std::back_inserter(results), [](const Array& a) { return a.defined(); });
  const Program program = recorder.trace->finish(results);
  recorder.trace.reset();
  const ProgramData& data = program.data();
  const Dataflow flow(data, state_->arguments);
  std::vector<std::int64_t> flops_before{0};
  for (std::size_t i = 0; i < data.nodes.size(); ++i) flops_before.push_back(flops_before.back() + node_flops(data, i));

  ModuleTable table{.model = state_->model, .rows = {}, .collections = {}, .variables = state_->variables};
  table.flops = flops_before.back();
  table.collections = table.variables.keys();
  std::stable_partition(table.collections.begin(), table.collections.end(),
                        [](const std::string& name) { return name == "params"; });
  std::set<std::string> called, shown;
  for (const CallRecord& call : recorder.calls) called.insert(call.path);
  for (std::size_t i = 0; i < recorder.calls.size(); ++i) {
    const CallRecord& call = recorder.calls[i];
    const int depth = depth_of(call.path);
    const bool repeated = !shown.insert(call.path).second;
    if (state_->options.depth && depth > *state_->options.depth) continue;
    if (repeated && !state_->options.show_repeated) continue;

    ModuleRow row{.path = call.path, .module = call.module, .method = call.method};
    row.flops = flops_before[call.end] - flops_before[call.begin];
    std::vector<int> inputs = flow.inputs(call.begin, call.end);
    for (const int output : told[i]) flow.add_input(output, call.begin, inputs);
    for (const int input : inputs) row.inputs.push_back(flow.type_of(input));
    if (call.outputs) {
      for (const Array& output : *call.outputs) row.outputs.push_back(describe(output));
    } else {
      for (const int output : flow.outputs(call.begin, call.end)) row.outputs.push_back(flow.type_of(output));
    }
    if (!repeated)
      row.variables = variables_at(table.variables, call.path, called, depth == state_->options.depth.value_or(-1));
    table.rows.push_back(std::move(row));
  }
  return table;
}

// ---- printing ----

namespace {

std::string with_separators(std::int64_t number) {
  std::string digits = fmt::format("{}", number);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

/// "1.2 KB": decimal units, as Flax has them.
std::string bytes_text(std::int64_t bytes) {
  constexpr std::pair<double, const char*> units[] = {{1e9, "GB"}, {1e6, "MB"}, {1e3, "KB"}};
  for (const auto& [size, name] : units) {
    if (static_cast<double>(bytes) > size) return fmt::format("{:.1f} {}", static_cast<double>(bytes) / size, name);
  }
  return fmt::format("{} B", bytes);
}

std::string size_text(const Tree& variables) {
  const std::int64_t count = variables.element_count();
  return count == 0 ? "" : fmt::format("{} ({})", with_separators(count), bytes_text(byte_count(variables)));
}

/// One type by itself, several as a list.
std::string types_text(const std::vector<std::string>& types) {
  if (types.size() == 1) return types[0];
  std::string text;
  for (const std::string& type : types) text += fmt::format("{}- {}", text.empty() ? "" : "\n", type);
  return text;
}

void print_types(const Tree& tree, std::size_t indent, std::string& text) {
  for (const auto& [key, child] : tree.entries()) {
    text += fmt::format("{:{}}{}:", "", indent, key);
    if (child.is_leaf()) {
      text += fmt::format(" {}\n", describe(child.array()));
    } else {
      text += '\n';
      print_types(child, indent + 2, text);
    }
  }
}

}  // namespace

std::string ModuleTable::to_string() const {
  TextTable text{.columns = {{"path"}, {"module"}, {"inputs"}, {"outputs"}, {"FLOPs", true}},
                 .rows = {},
                 .last_is_footer = true,
                 .lines_between_rows = true};
  for (const std::string& collection : collections) text.columns.push_back({collection});
  for (const ModuleRow& row : rows) {
    std::vector<std::string> cells{
        row.path, row.method.empty() ? row.module : fmt::format("{} ({})", row.module, row.method),
        types_text(row.inputs), types_text(row.outputs), row.flops == 0 ? "" : with_separators(row.flops)};
    for (const std::string& collection : collections) {
      std::string cell;
      if (const Tree* own = row.variables.find(collection); own != nullptr && !own->empty()) {
        print_types(*own, 0, cell);
        cell += '\n' + size_text(*own);
      }
      cells.push_back(std::move(cell));
    }
    text.rows.push_back(std::move(cells));
  }
  std::vector<std::string> totals{"", "", "", "Total", with_separators(flops)};
  for (const std::string& collection : collections) totals.push_back(size_text(variables[collection]));
  text.rows.push_back(std::move(totals));
  const std::string size = size_text(variables);
  return fmt::format("{} Summary\n{}Total Parameters: {}\n", model, text.to_string(), size.empty() ? "0" : size);
}

}  // namespace linseed::inspect

fmt::format_context::iterator fmt::formatter<linseed::inspect::ModuleTable>::format(
    const linseed::inspect::ModuleTable& table, fmt::format_context& context) const {
  return fmt::formatter<fmt::string_view>::format(table.to_string(), context);
}
