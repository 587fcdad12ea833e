#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include <linseed/transform/program.hpp>

#include "program/trace.hpp"

namespace linseed {

namespace detail {

struct ProgramData {
  struct Node {
    const Op* op = nullptr;  ///< null for inputs and constants
    std::vector<int> operands = {};
    Attributes attributes = {};
    Abstract result = {};
    Array constant = {};  ///< the value of a constant
  };
  /// The nodes [begin, end) compute a function that has a gradient rule of its own. Differentiation calls the rule in
  /// their place; everything else may ignore the region.
  struct Region {
    int begin = 0, end = 0;
    std::shared_ptr<const CustomVjp> custom;
    std::vector<int> operands = {}, results = {};
  };

  std::vector<Node> nodes;
  std::vector<int> inputs;
  std::vector<int> outputs;
  std::vector<Region> regions;    // by begin; of two that begin together the outer one first
  std::vector<int> last_use;      // the node that reads a value last; nodes.size() for outputs
  bool captured_tracers = false;  // a constant belongs to a trace that is still running
};

}  // namespace detail

/// Records a Program: what `jit` runs a function under. Its Arrays have no values.
class ProgramTrace : public Trace {
 public:
  Array add_input(const Abstract& abstract);
  Array record(const Op& op, std::span<const Array> operands, const Attributes& attributes) override;
  std::vector<Array> record_custom(const std::shared_ptr<const CustomVjp>& custom,
                                   std::span<const Array> operands) override;

  /// Number of nodes so far, inputs and constants included.
  [[nodiscard]] std::size_t size() const noexcept { return program_->nodes.size(); }

  /// Ends the trace and gives the verified program with these outputs.
  Program finish(std::span<const Array> outputs);
  /// Ends the trace without a program: the traced function threw.
  void abandon() noexcept {
    close();
    program_.reset();  // its custom functions may hold Arrays of this trace
  }

 private:
  int node_of(const Array& array);
  Array add(detail::ProgramData::Node node);

  std::shared_ptr<detail::ProgramData> program_ = std::make_shared<detail::ProgramData>();
  std::unordered_map<const void*, int> constants_;  // by identity of the captured Array
};

/// Runs the program node by node. This is its meaning; inputs may themselves be traced, then it is inlined there.
std::vector<Array> interpret(const detail::ProgramData& program, std::span<const Array> inputs,
                             const Executor& executor);

}  // namespace linseed
