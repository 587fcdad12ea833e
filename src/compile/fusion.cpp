#include "compile/fusion.hpp"

#include <algorithm>
#include <numeric>
#include <queue>

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

bool is_fold(const Node& node) noexcept { return node.op == &ops::reduce_sum; }

const Shape& operand_shape(const ProgramData& program, const Node& node, std::size_t index) {
  return node_at(program, node.operands[index]).result.shape;
}

bool is_linear_copy(const Node& node) noexcept { return node.op != nullptr && node.op->shares_operand; }

/// Whether a node can be a step of a tape.
bool fusible(const ProgramData& program, const Node& node) noexcept {
  if (node.op == nullptr || node.result.shape.elements() == 0) return false;
  if (is_fold(node)) return fold_period(program, node).has_value();
  const auto dtype_of = [&](std::size_t i) { return node_at(program, node.operands[i]).result.dtype; };
  for (std::size_t i = 0; i < node.operands.size(); ++i) {
    const auto access = operand_access(program, node, i);
    if (!access) return false;
    if (dtype_of(i) != DType::float32 && (dtype_of(i) != DType::bool_ || access != Access{})) return false;
  }
  if (node.op == &ops::broadcast_to) return dtype_of(0) == DType::float32;
  if (node.op == &ops::cast) return dtype_of(0) == DType::bool_ && node.result.dtype == DType::float32;
  if (!node.op->micro_op) return false;
  switch (*node.op->micro_op) {
    case MicroOp::Select: return dtype_of(1) == DType::float32;
    case MicroOp::LogicalAnd:
    case MicroOp::LogicalOr:
    case MicroOp::LogicalNot: return dtype_of(0) == DType::bool_;
    default:
      return std::all_of(node.operands.begin(), node.operands.end(),
                         [&](int operand) { return node_at(program, operand).result.dtype == DType::float32; });
  }
}

/// The number of elements that a node in a tape runs over.
std::int64_t space_of(const ProgramData& program, const Node& node) noexcept {
  return (is_fold(node) ? operand_shape(program, node, 0) : node.result.shape).elements();
}

/// The length of tiles that suits all periods of a group: a multiple of each, if there is one that is short enough, and
/// of whole vectors, if that is not too long.
std::optional<std::int64_t> tile_for(const std::vector<std::int64_t>& periods) noexcept {
  constexpr std::int64_t usual = 512, widest_vector = 16;
  std::int64_t common = 1;
  for (const std::int64_t period : periods) {
    common = std::lcm(common, period);
    if (common > Tape::longest_tile) return std::nullopt;
  }
  if (const std::int64_t whole = std::lcm(common, widest_vector); whole <= Tape::longest_tile) common = whole;
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

  Schedule finish(bool rematerialize) {
    Schedule schedule;
    schedule.root = root_;
    for (const int index : order()) schedule.groups.push_back(std::move(groups_[static_cast<std::size_t>(index)]));
    if (rematerialize) recompute(schedule);
    drop_unused(schedule);
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
      if (const auto tile = tile_of(group(own))) {
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

  /// Groups that share a linear operand with the node: those that compute one, then those that have read one lately.
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
      if (linear(i)) offer(root(self.operands[i]));
    }
    for (std::size_t i = 0; i < self.operands.size(); ++i) {
      if (!linear(i)) continue;
      const auto& readers = readers_[static_cast<std::size_t>(root(self.operands[i]))];
      const std::size_t recent = std::min(readers.size(), most_readers);
      for (std::size_t k = readers.size() - recent; k < readers.size(); ++k) offer(readers[k]);
    }
    return result;
  }

  [[nodiscard]] std::vector<std::int64_t> periods_of(const Group& group) const {
    std::vector<std::int64_t> result;
    for (const int index : group.nodes) {
      const Node& self = node(index);
      if (const auto period = fold_period(program_, self)) result.push_back(*period);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const auto access = operand_access(program_, self, i);
        if (access && access->kind == Access::Kind::periodic) result.push_back(access->period);
      }
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

  /// The length of tiles for a group, unless it has too many values for the tiles of one tape.
  [[nodiscard]] std::optional<std::int64_t> tile_of(const Group& group) const {
    std::vector<std::pair<int, std::int64_t>> outside;  // operand, period
    for (const int index : group.nodes) {
      const Node& self = node(index);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const int value = root(self.operands[i]);
        if (!std::binary_search(group.nodes.begin(), group.nodes.end(), value))
          outside.emplace_back(value, operand_access(program_, self, i)->period);
      }
    }
    std::sort(outside.begin(), outside.end());
    outside.erase(std::unique(outside.begin(), outside.end()), outside.end());
    const std::size_t places = 2 * (group.nodes.size() + outside.size());  // truth values take two
    auto tile = tile_for(periods_of(group));
    if (tile) tile = std::min(*tile, group.elements);  // every period divides the whole space too
    const bool fits = tile && places <= Tape::most_places && static_cast<std::int64_t>(places) * *tile <= Tape::scratch;
    return fits ? tile : std::nullopt;
  }

  bool can_merge(int a, int b) {
    const Group& first = group(a);
    const Group& second = group(b);
    if (!first.fused || !second.fused || first.elements != second.elements) return false;
    Group both{.nodes = first.nodes, .elements = first.elements};
    both.nodes.insert(both.nodes.end(), second.nodes.begin(), second.nodes.end());
    std::sort(both.nodes.begin(), both.nodes.end());
    if (!tile_of(both)) return false;
    for (const int index : both.nodes) {
      const Node& self = node(index);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const int value = root(self.operands[i]);
        const int producer = group_of_[static_cast<std::size_t>(value)];
        if (producer == a || producer == b) {
          // Within a tape, values pass from step to step: whole sums are known only after it.
          if (is_fold(node(value)) || operand_access(program_, self, i) != Access{}) return false;
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
    target.nodes.insert(target.nodes.end(), source.nodes.begin(), source.nodes.end());
    std::sort(target.nodes.begin(), target.nodes.end());
    target.tile = *tile_of(target);
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

  /// Lets groups compute again what they would read from another group, where that reads no more arrays.
  void recompute(Schedule& schedule) const {
    std::vector<char> kept(program_.nodes.size(), 0);  // stored whatever fused groups do
    for (const int output : program_.outputs) kept[static_cast<std::size_t>(root(output))] = 1;
    std::vector<int> producer(program_.nodes.size(), -1);
    for (std::size_t g = 0; g < schedule.groups.size(); ++g) {
      const Group& group = schedule.groups[g];
      for (const int index : group.nodes) {
        if (group.fused) producer[static_cast<std::size_t>(index)] = static_cast<int>(g);
        for (std::size_t i = 0; i < node(index).operands.size(); ++i) {
          if (!group.fused) kept[static_cast<std::size_t>(root(node(index).operands[i]))] = 1;
        }
      }
    }
    for (std::size_t g = 0; g < schedule.groups.size(); ++g) {
      Group& group = schedule.groups[g];
      if (!group.fused) continue;
      std::vector<int> added;
      for (const int index : group.nodes) {
        const Node& self = node(index);
        for (std::size_t i = 0; i < self.operands.size(); ++i) {
          if (operand_access(program_, self, i) != Access{}) continue;
          std::vector<int> chain;
          if (can_recompute(root(self.operands[i]), group, kept, producer, chain))
            added.insert(added.end(), chain.begin(), chain.end());
        }
      }
      if (added.empty()) continue;
      Group larger = group;
      larger.nodes.insert(larger.nodes.end(), added.begin(), added.end());
      std::sort(larger.nodes.begin(), larger.nodes.end());
      larger.nodes.erase(std::unique(larger.nodes.begin(), larger.nodes.end()), larger.nodes.end());
      const auto tile = tile_of(larger);
      if (!tile) continue;
      larger.tile = *tile;
      group = std::move(larger);
    }
  }

  /// Collects in `chain` the cheap nodes that lead to `value` from arrays that are stored anyway: from one of them, or
  /// from those that the group reads already.
  bool can_recompute(int value, const Group& group, const std::vector<char>& kept, const std::vector<int>& producer,
                     std::vector<int>& chain) const {
    constexpr std::size_t longest = 6;
    std::vector<int> pending{value}, sources;
    while (!pending.empty()) {
      const int next = pending.back();
      pending.pop_back();
      if (producer[static_cast<std::size_t>(next)] < 0 || kept[static_cast<std::size_t>(next)]) {
        if (std::find(sources.begin(), sources.end(), next) == sources.end()) sources.push_back(next);
        continue;
      }
      if (std::binary_search(group.nodes.begin(), group.nodes.end(), next) ||
          std::find(chain.begin(), chain.end(), next) != chain.end())
        continue;
      const Node& self = node(next);
      if (is_fold(self) || chain.size() == longest || !cheap(self)) return false;
      chain.push_back(next);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const int operand = root(self.operands[i]);
        if (operand_access(program_, self, i) == Access{}) {
          pending.push_back(operand);
        } else if (producer[static_cast<std::size_t>(operand)] >= 0 && !is_fold(node(operand)) &&
                   node(operand).result.shape.elements() > 4096) {
          return false;
        }
      }
    }
    return !chain.empty() && (sources.size() <= 1 || std::all_of(sources.begin(), sources.end(),
                                                                 [&](int source) { return reads(group, source); }));
  }

  [[nodiscard]] bool reads(const Group& group, int value) const {
    return std::any_of(group.nodes.begin(), group.nodes.end(), [&](int index) {
      const auto& operands = node(index).operands;
      return std::any_of(operands.begin(), operands.end(), [&](int operand) { return root(operand) == value; });
    });
  }

  [[nodiscard]] static bool cheap(const Node& self) {
    if (self.op == &ops::broadcast_to) return true;
    if (!self.op->micro_op) return false;
    switch (*self.op->micro_op) {
      case MicroOp::Add:
      case MicroOp::Sub:
      case MicroOp::Mul:
      case MicroOp::Neg:
      case MicroOp::Relu:
      case MicroOp::Maximum:
      case MicroOp::Minimum:
      case MicroOp::Select: return true;
      default: return false;
    }
  }

  /// Keeps of every group what the caller or a later group needs of it, and what that needs; marks what is stored.
  void drop_unused(Schedule& schedule) const {
    std::vector<int> first_group(program_.nodes.size(), -1);  // of those that compute a value, the one that stores it
    for (std::size_t g = schedule.groups.size(); g-- > 0;) {
      for (const int index : schedule.groups[g].nodes)
        first_group[static_cast<std::size_t>(index)] = static_cast<int>(g);
    }
    std::vector<char>& stored = schedule.stored;
    stored.assign(program_.nodes.size(), 0);
    for (const int output : program_.outputs) stored[static_cast<std::size_t>(root(output))] = 1;
    for (std::size_t g = schedule.groups.size(); g-- > 0;) {
      Group& group = schedule.groups[g];
      std::vector<char> needed(group.nodes.size(), 0);
      std::vector<int> left;
      for (std::size_t k = group.nodes.size(); k-- > 0;) {
        const auto index = static_cast<std::size_t>(group.nodes[k]);
        if (!needed[k] && !(stored[index] && first_group[index] == static_cast<int>(g))) continue;
        left.push_back(group.nodes[k]);
        for (const int operand : node(group.nodes[k]).operands) {
          const auto place = std::lower_bound(group.nodes.begin(), group.nodes.end(), root(operand));
          if (place != group.nodes.end() && *place == root(operand)) {
            needed[static_cast<std::size_t>(place - group.nodes.begin())] = 1;
          } else {
            stored[static_cast<std::size_t>(root(operand))] = 1;
          }
        }
      }
      std::reverse(left.begin(), left.end());
      group.nodes = std::move(left);
    }
    std::erase_if(schedule.groups, [](const Group& group) { return group.nodes.empty(); });
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

std::optional<Access> operand_access(const ProgramData& program, const Node& node, std::size_t index) noexcept {
  if (is_fold(node)) return Access{};
  return access_of(operand_shape(program, node, index), node.result.shape);
}

std::optional<std::int64_t> fold_period(const ProgramData& program, const Node& node) noexcept {
  if (!is_fold(node) || node.result.dtype != DType::float32) return std::nullopt;
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

Schedule make_schedule(const ProgramData& program, bool fuse, bool rematerialize) {
  return Fusion(program, fuse).finish(fuse && rematerialize);
}

}  // namespace linseed::compile
