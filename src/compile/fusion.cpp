#include "compile/fusion.hpp"

#include <algorithm>
#include <numeric>
#include <queue>
#include <tuple>

#include "kernels/tape.hpp"
#include "ops/elementwise.hpp"
#include "ops/reduce.hpp"
#include "ops/shape.hpp"

namespace linseed::compile {

using detail::ProgramData;
using kernels::MicroOp;
using kernels::Tape;
using Node = ProgramData::Node;

std::optional<Access> access_of(const Shape& operand, const Shape& result) noexcept {
  // From left to right, extents of 1 left out, the operand's axes are full or repeated. At most one change is simple.
  std::int64_t full = 1, repeated = 1;
  int changes = 0;
  int last = -1;  // 1 full, 0 repeated
  const int missing = result.rank() - operand.rank();
  for (int axis = 0; axis < result.rank(); ++axis) {
    const std::int64_t extent = result[static_cast<std::size_t>(axis)];
    if (extent == 1) continue;
    const bool is_full = axis >= missing && operand[static_cast<std::size_t>(axis - missing)] != 1;
    (is_full ? full : repeated) *= extent;
    if (last >= 0 && last != static_cast<int>(is_full)) ++changes;
    last = static_cast<int>(is_full);
  }
  if (repeated == 1) return Access{};
  if (full == 1) return Access{Access::Kind::periodic, 1};
  if (changes > 1) return std::nullopt;
  return last == 1 ? Access{Access::Kind::periodic, full} : Access{Access::Kind::repeated, repeated};
}

namespace {

const Node& node_at(const ProgramData& program, int index) { return program.nodes[static_cast<std::size_t>(index)]; }

bool is_reduction(const Node& node) noexcept { return node.op == &ops::reduce_sum || node.op == &ops::reduce_max; }

const Shape& operand_shape(const ProgramData& program, const Node& node, std::size_t index) {
  return node_at(program, node.operands[index]).result.shape;
}

bool is_linear_copy(const Node& node) noexcept { return node.op != nullptr && node.op->shares_operand; }

MicroOp on_integers(MicroOp op) noexcept {
  switch (op) {
#define LINSEED_CASE(F) \
  case MicroOp::F: return MicroOp::Int##F;
    LINSEED_INTEGER_FUNCTIONS(LINSEED_CASE)
#undef LINSEED_CASE
    default: return op;
  }
}

/// Whether a node can be a step of a tape.
bool fusible(const ProgramData& program, const Node& node) noexcept {
  if (node.op == nullptr || node.result.shape.elements() == 0) return false;
  if (is_reduction(node)) return fold_period(program, node) || row_length(program, node);
  for (std::size_t i = 0; i < node.operands.size(); ++i) {
    const auto access = operand_access(program, node, i);
    const bool is_bool = node_at(program, node.operands[i]).result.dtype == DType::bool_;
    if (!access || (is_bool && access != Access{})) return false;
  }
  return micro_op_of(program, node).has_value();
}

/// The number of elements that a node in a tape runs over.
std::int64_t space_of(const ProgramData& program, const Node& node) noexcept {
  return (is_reduction(node) ? operand_shape(program, node, 0) : node.result.shape).elements();
}

/// The length of tiles that suits the rows and all periods of a group: a multiple of each, if there is one that is
/// short enough, and of what chains work on, or of whole vectors, if that is not too long.
std::optional<std::int64_t> tile_for(std::int64_t row, const std::vector<std::int64_t>& periods) noexcept {
  constexpr std::int64_t usual = 512, widest_vector = 16;
  std::int64_t longest = std::max(Tape::longest_tile, row);
  for (const std::int64_t period : periods) longest = std::max(longest, std::min(period, Tape::longest_row));
  std::int64_t common = std::max<std::int64_t>(row, 1);
  for (const std::int64_t period : periods) {
    common = std::lcm(common, period);
    if (common > longest) return std::nullopt;
  }
  for (const std::int64_t whole : {kernels::chain_elements, widest_vector}) {
    if (const std::int64_t longer = std::lcm(common, whole); longer <= longest) {
      common = longer;
      break;
    }
  }
  return common >= usual ? common : usual / common * common;
}

/// Builds the groups of one program.
class Fusion {
 public:
  Fusion(const ProgramData& program, bool fuse) : program_(program), fuse_(fuse) {
    const std::size_t count = program.nodes.size();
    root_.resize(count);
    group_of_.assign(count, -1);
    readers_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const Node& node = program.nodes[i];
      root_[i] = is_linear_copy(node) ? root_[static_cast<std::size_t>(node.operands[0])] : static_cast<int>(i);
      if (node.op != nullptr && !is_linear_copy(node)) add(static_cast<int>(i));
    }
  }

  Schedule finish() {
    Schedule schedule;
    schedule.root = root_;
    for (const int index : order()) schedule.groups.push_back(std::move(groups_[static_cast<std::size_t>(index)]));
    return schedule;
  }

 private:
  [[nodiscard]] const Node& node(int index) const { return node_at(program_, index); }
  [[nodiscard]] int root(int value) const { return root_[static_cast<std::size_t>(value)]; }
  [[nodiscard]] Group& group(int index) { return groups_[static_cast<std::size_t>(index)]; }

  void add(int index) {
    const Node& self = node(index);
    int own = static_cast<int>(groups_.size());
    groups_.push_back({.nodes = {index}});
    merged_into_.push_back(own);
    producers_.emplace_back();
    for (const int operand : self.operands) {
      const int producer = group_of_[static_cast<std::size_t>(root(operand))];
      if (producer >= 0) producers_.back().push_back(producer);
    }
    group_of_[static_cast<std::size_t>(index)] = own;
    if (fuse_ && fusible(program_, self)) {
      group(own).fused = true;
      group(own).elements = space_of(program_, self);
      group(own).row = row_length(program_, self).value_or(0);
      if (const auto tile = tile_of(program_, root_, group(own))) {
        group(own).tile = *tile;
        for (const int candidate : candidates(self)) {
          if (candidate != own && can_merge(candidate, own)) own = merge(candidate, own);
        }
      } else {
        group(own) = {.nodes = {index}};
      }
    }
    for (const int operand : self.operands) readers_[static_cast<std::size_t>(root(operand))].push_back(index);
  }

  /// Groups that share an operand with the node: those that compute one, unless it is periodic, then those that have
  /// read a linear one lately.
  std::vector<int> candidates(const Node& self) {
    constexpr std::size_t most_readers = 8;
    std::vector<int> result;
    const auto offer = [&](int value) {
      const int candidate = group_of_[static_cast<std::size_t>(value)];
      if (candidate >= 0 && std::find(result.begin(), result.end(), candidate) == result.end())
        result.push_back(candidate);
    };
    const auto linear = [&](std::size_t i) {
      const auto access = operand_access(program_, self, i);
      return access && access->kind == Access::Kind::linear;
    };
    for (std::size_t i = 0; i < self.operands.size(); ++i) {
      const auto access = operand_access(program_, self, i);
      if (access && access->kind != Access::Kind::periodic) offer(root(self.operands[i]));
    }
    for (std::size_t i = 0; i < self.operands.size(); ++i) {
      if (!linear(i)) continue;
      const auto& readers = readers_[static_cast<std::size_t>(root(self.operands[i]))];
      const std::size_t recent = std::min(readers.size(), most_readers);
      for (std::size_t k = readers.size() - recent; k < readers.size(); ++k) offer(readers[k]);
    }
    return result;
  }

  /// The group that group `index` has become part of.
  int merged(int index) {
    int& into = merged_into_[static_cast<std::size_t>(index)];
    return into == index ? index : into = merged(into);
  }

  /// Whether what group `from` computes depends on group `to`.
  bool reaches(int from, int to) {
    visited_.resize(groups_.size(), 0);
    ++visit_;
    stack_.assign(1, from);
    while (!stack_.empty()) {
      const int current = stack_.back();
      stack_.pop_back();
      if (current == to) return true;
      if (visited_[static_cast<std::size_t>(current)] == visit_) continue;
      visited_[static_cast<std::size_t>(current)] = visit_;
      for (const int producer : producers_[static_cast<std::size_t>(current)]) stack_.push_back(merged(producer));
    }
    return false;
  }

  /// Two groups as one, if their spaces are the same, or that of one are the rows of the other.
  [[nodiscard]] static std::optional<Group> together(const Group& a, const Group& b) {
    const Group& larger = a.elements >= b.elements ? a : b;
    const Group& smaller = a.elements >= b.elements ? b : a;
    const std::int64_t row = std::max(a.row, b.row);
    if (a.elements == b.elements ? std::min(a.row, b.row) != 0 && a.row != b.row
                                 : smaller.row != 0 || smaller.elements * larger.row != larger.elements)
      return std::nullopt;
    Group both{.nodes = larger.nodes, .fused = true, .elements = larger.elements, .row = row};
    both.nodes.insert(both.nodes.end(), smaller.nodes.begin(), smaller.nodes.end());
    std::sort(both.nodes.begin(), both.nodes.end());
    return both;
  }

  /// Whether a value of a group can be passed from step to step of a tape: sums over leading axes are known only after
  /// it, other values when all steps need them element by element, or row by row.
  [[nodiscard]] bool can_pass(const Group& group, int value, const Node& reader, std::size_t operand) const {
    if (fold_period(program_, node(value))) return false;
    const Access access = *operand_access(program_, reader, operand);
    const bool between_spaces =
        is_of_rows(program_, group, node(value)) && (is_reduction(reader) || !is_of_rows(program_, group, reader));
    if (!between_spaces) return access == Access{};
    return !is_reduction(reader) && access == Access{Access::Kind::repeated, group.row};
  }

  bool can_merge(int a, int b) {
    const Group& first = group(a);
    const Group& second = group(b);
    if (!first.fused || !second.fused) return false;
    const auto joined = together(first, second);
    if (!joined || !tile_of(program_, root_, *joined)) return false;
    const Group& both = *joined;
    for (const int index : both.nodes) {
      const Node& self = node(index);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const int value = root(self.operands[i]);
        const int producer = group_of_[static_cast<std::size_t>(value)];
        if (producer == a || producer == b) {
          if (!can_pass(both, value, self, i)) return false;
        } else if (producer >= 0 && (reaches(producer, a) || reaches(producer, b))) {
          return false;
        }
      }
    }
    return true;
  }

  int merge(int into, int from) {
    Group& target = group(into);
    Group& source = group(from);
    merged_into_[static_cast<std::size_t>(from)] = into;
    std::vector<int>& producers = producers_[static_cast<std::size_t>(into)];
    for (const int producer : producers_[static_cast<std::size_t>(from)]) producers.push_back(merged(producer));
    std::erase(producers, into);
    std::sort(producers.begin(), producers.end());
    producers.erase(std::unique(producers.begin(), producers.end()), producers.end());
    for (const int index : source.nodes) group_of_[static_cast<std::size_t>(index)] = into;
    target = *together(target, source);
    target.tile = *tile_of(program_, root_, target);
    source.nodes.clear();
    return into;
  }

  /// The groups that are left, each after those that it depends on, otherwise in program order.
  std::vector<int> order() {
    const std::size_t count = groups_.size();
    std::vector<int> waiting(count, 0);
    std::vector<std::vector<int>> dependents(count);
    for (std::size_t g = 0; g < count; ++g) {
      std::vector<int> producers;
      for (const int index : groups_[g].nodes) {
        for (const int operand : node(index).operands) {
          const int producer = group_of_[static_cast<std::size_t>(root(operand))];
          if (producer >= 0 && producer != static_cast<int>(g)) producers.push_back(producer);
        }
      }
      std::sort(producers.begin(), producers.end());
      producers.erase(std::unique(producers.begin(), producers.end()), producers.end());
      waiting[g] = static_cast<int>(producers.size());
      for (const int producer : producers)
        dependents[static_cast<std::size_t>(producer)].push_back(static_cast<int>(g));
    }
    using Ready = std::pair<int, int>;  // last node, group
    std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
    const auto offer = [&](std::size_t g) { ready.push({groups_[g].nodes.back(), static_cast<int>(g)}); };
    for (std::size_t g = 0; g < count; ++g) {
      if (!groups_[g].nodes.empty() && waiting[g] == 0) offer(g);
    }
    std::vector<int> result;
    while (!ready.empty()) {
      const int g = ready.top().second;
      ready.pop();
      result.push_back(g);
      for (const int dependent : dependents[static_cast<std::size_t>(g)]) {
        if (--waiting[static_cast<std::size_t>(dependent)] == 0) offer(static_cast<std::size_t>(dependent));
      }
    }
    return result;
  }

  const ProgramData& program_;
  bool fuse_;
  std::vector<Group> groups_;
  std::vector<int> root_;
  std::vector<int> group_of_;                // the group that computes a value; -1 for inputs and constants
  std::vector<std::vector<int>> readers_;    // of a root value
  std::vector<int> merged_into_;             // per group: itself, or the one that it has become part of
  std::vector<std::vector<int>> producers_;  // per group: those that compute its operands
  std::vector<int> visited_, stack_;
  int visit_ = 0;
};

}  // namespace

std::optional<MicroOp> micro_op_of(const ProgramData& program, const Node& node) noexcept {
  const auto dtype_of = [&](std::size_t i) { return node_at(program, node.operands[i]).result.dtype; };
  const auto has_lanes = [](DType dtype) { return dtype == DType::float32 || dtype == DType::int32; };
  if (node.op == &ops::broadcast_to && has_lanes(dtype_of(0))) return MicroOp::Copy;
  if (node.op == &ops::cast && node.result.dtype == DType::float32) {
    if (dtype_of(0) == DType::bool_) return MicroOp::Copy;
    if (dtype_of(0) == DType::int32) return MicroOp::IntToFloat;
  }
  if (node.op == nullptr || !node.op->micro_op) return std::nullopt;
  const MicroOp op = *node.op->micro_op;
  bool fits = false;
  switch (op) {
    case MicroOp::Select: return has_lanes(dtype_of(1)) ? std::optional(op) : std::nullopt;
    case MicroOp::LogicalAnd:
    case MicroOp::LogicalOr:
    case MicroOp::LogicalNot: fits = dtype_of(0) == DType::bool_; break;
    default: {
      fits = dtype_of(0) == DType::float32;
      if (dtype_of(0) == DType::int32 && on_integers(op) != op) return on_integers(op);
    }
  }
  return fits ? std::optional(op) : std::nullopt;
}

std::optional<Access> operand_access(const ProgramData& program, const Node& node, std::size_t index) noexcept {
  if (is_reduction(node)) return Access{};
  return access_of(operand_shape(program, node, index), node.result.shape);
}

std::optional<std::int64_t> fold_period(const ProgramData& program, const Node& node) noexcept {
  if (node.op != &ops::reduce_sum || node.result.dtype != DType::float32) return std::nullopt;
  const Shape& shape = operand_shape(program, node, 0);
  const auto& axes = std::get<attr::AxisSet>(node.attributes).axes;
  std::int64_t kept = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool reduced = std::find(axes.begin(), axes.end(), axis) != axes.end();
    const std::int64_t extent = shape[static_cast<std::size_t>(axis)];
    if (!reduced) {
      kept *= extent;
    } else if (kept > 1 && extent > 1) {
      return std::nullopt;  // a kept axis before a reduced one
    }
  }
  if (shape.elements() == 0 || kept > Tape::longest_tile) return std::nullopt;
  return kept;
}

std::optional<std::int64_t> row_length(const ProgramData& program, const Node& node) noexcept {
  if (!is_reduction(node) || node.result.dtype != DType::float32 || fold_period(program, node)) return std::nullopt;
  const Shape& shape = operand_shape(program, node, 0);
  const auto& axes = std::get<attr::AxisSet>(node.attributes).axes;
  std::int64_t row = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool reduced = std::find(axes.begin(), axes.end(), axis) != axes.end();
    const std::int64_t extent = shape[static_cast<std::size_t>(axis)];
    if (reduced) {
      row *= extent;
    } else if (row > 1 && extent > 1) {
      return std::nullopt;  // a reduced axis before a kept one
    }
  }
  if (shape.elements() == 0 || row < 2 || row > Tape::longest_row) return std::nullopt;
  return row;
}

bool is_of_rows(const ProgramData& program, const Group& group, const Node& node) noexcept {
  return group.row > 0 && !fold_period(program, node) && node.result.shape.elements() * group.row == group.elements;
}

std::optional<std::int64_t> tile_of(const ProgramData& program, const std::vector<int>& root, const Group& group) {
  std::vector<std::tuple<int, Access::Kind, std::int64_t>> outside;  // operand, how it is read
  std::vector<std::int64_t> periods;
  for (const int index : group.nodes) {
    const Node& self = node_at(program, index);
    if (const auto period = fold_period(program, self)) {
      if (operand_shape(program, self, 0).elements() != group.elements) return std::nullopt;  // a sum over rows
      periods.push_back(*period);
    }
    for (std::size_t i = 0; i < self.operands.size(); ++i) {
      const Access access = *operand_access(program, self, i);
      if (!is_reduction(self) && is_of_rows(program, group, self) && access != Access{} &&
          access != Access{Access::Kind::periodic, 1})
        return std::nullopt;
      if (access.kind == Access::Kind::periodic) periods.push_back(access.period);
      const int value = root[static_cast<std::size_t>(self.operands[i])];
      if (!std::binary_search(group.nodes.begin(), group.nodes.end(), value))
        outside.emplace_back(value, access.kind, access.period);
    }
  }
  std::sort(outside.begin(), outside.end());
  outside.erase(std::unique(outside.begin(), outside.end()), outside.end());
  // A place for each, and one more for truth values as bytes, and for values of rows in each element.
  std::size_t places = group.nodes.size() + outside.size();
  for (const auto& operand : outside) places += node_at(program, std::get<int>(operand)).result.dtype == DType::bool_;
  for (const int index : group.nodes) {
    const Node& self = node_at(program, index);
    places += self.result.dtype == DType::bool_ || is_of_rows(program, group, self);
  }
  auto tile = tile_for(group.row, periods);
  if (tile) tile = std::min(*tile, group.elements);  // every period divides the whole space too
  const bool fits = tile && places <= Tape::most_places && static_cast<std::int64_t>(places) * *tile <= Tape::scratch;
  return fits ? tile : std::nullopt;
}

Schedule make_schedule(const ProgramData& program, bool fuse) { return Fusion(program, fuse).finish(); }

}  // namespace linseed::compile
