#include "compile/windows.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "ops/pool.hpp"

namespace linseed::compile {

using detail::ProgramData;
using kernels::Tape;
using Node = ProgramData::Node;
using Place = Tape::Place;

namespace {

/// The windows of a pooling, if they lie side by side in rows of pixels and cover all of these.
std::optional<Tape::Windows> windows_of(const Node& node) {
  if (node.result.dtype != DType::float32) return std::nullopt;
  const auto& pooling = std::get<attr::Window>(node.attributes);
  const std::size_t axes = pooling.window.size();
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const std::int64_t extent = pooling.window[axis];
    if (pooling.low[axis] != 0 || pooling.high[axis] != 0 || pooling.strides[axis] != extent ||
        pooling.input_shape[axis + 1] % extent != 0 || (axis + 2 < axes && extent != 1))
      return std::nullopt;
  }
  return Tape::Windows{.run = pooling.input_shape.back(),
                       .width = pooling.input_shape[axes],
                       .across = pooling.window[axes - 1],
                       .down = axes > 1 ? pooling.window[axes - 2] : 1};
}

bool has(const std::vector<int>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

int position(const std::vector<int>& values, int value) {
  return static_cast<int>(std::find(values.begin(), values.end(), value) - values.begin());
}

class Windows {
 public:
  Windows(const ProgramData& program, const std::vector<int>& readers, std::vector<Step>& members)
      : program_(program), readers_(readers), members_(members), gone_(members.size(), 0) {}

  void join() {
    for (std::size_t m = 0; m < members_.size(); ++m) {
      const Node* const node = members_[m].node;
      if (node == nullptr || (node->op != &ops::window_sum && node->op != &ops::window_sum_transpose)) continue;
      const auto windows = windows_of(*node);
      if (!windows) continue;
      if (node->op == &ops::window_sum ? pool(m, *windows) : spread(m, *windows)) gone_[m] = 1;
    }
    std::size_t left = 0;
    for (std::size_t m = 0; m < members_.size(); ++m) {
      if (gone_[m]) continue;
      if (left != m) members_[left] = std::move(members_[m]);
      ++left;
    }
    members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(left), members_.end());
  }

 private:
  struct Scaling {
    std::size_t member;
    float factor;
  };

  [[nodiscard]] int readers_of(int value) const { return readers_[static_cast<std::size_t>(value)]; }

  /// Whether the tape of a step can have windows in place of the array `value`.
  [[nodiscard]] bool suits(const Step& step, const Tape::Windows& windows, int value, int array) const {
    if (!step.tape || step.tape->row > 0 || step.tape->tile % windows.run != 0) return false;
    if (step.tape->elements != program_.nodes[static_cast<std::size_t>(value)].result.shape.elements()) return false;
    return std::all_of(step.tape->places.begin(), step.tape->places.end(),
                       [&](const Place& place) { return place.array != array || place.kind == Place::Kind::stream; });
  }

  /// The factor of a step that does nothing but multiply `value` by a constant.
  [[nodiscard]] std::optional<float> factor_of(const Step& step, int value) const {
    if (!step.tape || step.operands.size() != 2 || step.tape->instructions.size() != 1 ||
        step.tape->instructions[0].loop != kernels::loop_of(kernels::MicroOp::Mul))
      return std::nullopt;
    const int array = position(step.operands, value), other = 1 - array;
    const auto is_broadcast = [&](const Place& place) {
      return place.array == array && place.kind != Place::Kind::stream;
    };
    if (std::any_of(step.tape->places.begin(), step.tape->places.end(), is_broadcast)) return std::nullopt;
    const Array& factor =
        program_.nodes[static_cast<std::size_t>(step.operands[static_cast<std::size_t>(other)])].constant;
    const bool is_number = factor.defined() && factor.size() == 1;
    return is_number ? std::optional(factor.item<float>()) : std::nullopt;
  }

  /// The member that only multiplies `value`, which nobody else reads, by a constant.
  [[nodiscard]] std::optional<Scaling> scaling_of(int value) const {
    for (std::size_t m = 0; m < members_.size() && readers_of(value) == 1; ++m) {
      if (gone_[m] || !has(members_[m].operands, value)) continue;
      const auto factor = factor_of(members_[m], value);
      return factor ? std::optional(Scaling{m, *factor}) : std::nullopt;
    }
    return std::nullopt;
  }
  /// The member that computes `value`, which nobody but one reads, as a product with a constant.
  [[nodiscard]] std::optional<Scaling> scaling_to(int value) const {
    for (std::size_t m = 0; m < members_.size() && readers_of(value) == 1; ++m) {
      const Step& step = members_[m];
      if (gone_[m] || !has(step.results, value)) continue;
      for (const int operand : step.operands) {
        if (const auto factor = factor_of(step, operand)) return Scaling{m, *factor};
      }
    }
    return std::nullopt;
  }

  /// Lets all who read what the member spreads spread it themselves.
  bool spread(std::size_t member, Tape::Windows windows) {
    const int value = members_[member].results[0];
    int from = members_[member].operands[0];
    const auto scaling = scaling_to(from);
    if (scaling) {
      const Step& step = members_[scaling->member];
      from = step.operands[program_.nodes[static_cast<std::size_t>(step.operands[0])].constant.defined() ? 1 : 0];
      windows.scale = scaling->factor;
    }
    std::vector<Step*> steps;
    for (Step& step : members_) {
      if (has(step.operands, value)) steps.push_back(&step);
    }
    if (static_cast<int>(steps.size()) != readers_of(value)) return false;
    for (const Step* step : steps) {
      if (!suits(*step, windows, value, position(step->operands, value)) || has(step->operands, from)) return false;
    }
    for (Step* step : steps) {
      const int array = position(step->operands, value);
      step->operands[static_cast<std::size_t>(array)] = from;
      put(*step, array, {.kind = Place::Kind::spread, .array = array, .windows = windows});
    }
    if (scaling) gone_[scaling->member] = 1;
    return true;
  }

  /// Lets the group that computes what the member adds up add it up, if nobody else needs it.
  bool pool(std::size_t member, Tape::Windows windows) {
    const int value = members_[member].operands[0];
    int sums = members_[member].results[0];
    const auto computes = [&](const Step& step) { return has(step.results, value); };
    const auto step = std::find_if(members_.begin(), members_.end(), computes);
    if (readers_of(value) != 1 || step == members_.end()) return false;
    const auto result = static_cast<std::size_t>(position(step->results, value));
    const int array = static_cast<int>(step->operands.size() + result);
    if (!suits(*step, windows, value, array)) return false;
    if (const auto scaling = scaling_of(sums)) {
      sums = members_[scaling->member].results[0];
      windows.scale = scaling->factor;
      gone_[scaling->member] = 1;
    }
    step->results[result] = sums;
    put(*step, array, {.kind = Place::Kind::pooled, .array = array, .windows = windows});
    return true;
  }

  /// Puts another place of the tape where an array was.
  static void put(Step& step, int array, const Place& other) {
    Tape tape = *step.tape;
    for (Place& place : tape.places) {
      if (place.array == array) place = other;
    }
    tape.stretches.clear();
    tape.chains.clear();
    tape.finish();
    step.tape = std::make_unique<const Tape>(std::move(tape));
  }

  const ProgramData& program_;
  const std::vector<int>& readers_;
  std::vector<Step>& members_;
  std::vector<char> gone_;  // per member
};

}  // namespace

std::vector<int> count_readers(const ProgramData& program, const Schedule& schedule) {
  std::vector<int> readers(program.nodes.size(), 0), last(program.nodes.size(), -1);
  const auto root = [&](int value) { return static_cast<std::size_t>(schedule.root[static_cast<std::size_t>(value)]); };
  for (const int output : program.outputs) ++readers[root(output)];
  for (std::size_t g = 0; g < schedule.groups.size(); ++g) {
    const std::vector<int>& nodes = schedule.groups[g].nodes;
    for (const int index : nodes) {
      for (const int operand : program.nodes[static_cast<std::size_t>(index)].operands) {
        const std::size_t value = root(operand);
        if (last[value] == static_cast<int>(g) ||
            std::binary_search(nodes.begin(), nodes.end(), static_cast<int>(value)))
          continue;
        last[value] = static_cast<int>(g);
        ++readers[value];
      }
    }
  }
  return readers;
}

void join_windows(const ProgramData& program, const std::vector<int>& readers, std::vector<Step>& members) {
  Windows(program, readers, members).join();
}

}  // namespace linseed::compile
