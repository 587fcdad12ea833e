#include "compile/rematerialization.hpp"

#include <algorithm>

#include "ops/reduce.hpp"
#include "ops/shape.hpp"

namespace linseed::compile {

using detail::ProgramData;
using kernels::MicroOp;
using Node = ProgramData::Node;

namespace {

/// What a micro-op costs beside a pass over the elements.
enum class Cost { cheap, some, much };

Cost cost_of(const Node& node) {
  if (node.op == &ops::broadcast_to) return Cost::cheap;
  if (!node.op->micro_op) return Cost::much;
  switch (*node.op->micro_op) {
    case MicroOp::Add:
    case MicroOp::Sub:
    case MicroOp::Mul:
    case MicroOp::Neg:
    case MicroOp::Relu:
    case MicroOp::Maximum:
    case MicroOp::Minimum:
    case MicroOp::Select: return Cost::cheap;
    case MicroOp::Sigmoid:
    case MicroOp::Tanh:
    case MicroOp::Exp: return Cost::some;
    default: return Cost::much;
  }
}

class Rematerialization {
 public:
  Rematerialization(const ProgramData& program, Schedule& schedule, const std::vector<Slot>& slots)
      : program_(program),
        schedule_(schedule),
        slot_of_(schedule.groups.size()),
        kept_(program.nodes.size(), 0),
        producer_(program.nodes.size(), -1) {
    for (std::size_t s = 0; s < slots.size(); ++s) {
      for (const int group : slots[s].groups) slot_of_[static_cast<std::size_t>(group)] = static_cast<int>(s);
    }
    for (std::size_t g = 0; g < schedule.groups.size(); ++g) {
      if (!schedule.groups[g].fused) continue;
      for (const int index : schedule.groups[g].nodes) producer_[static_cast<std::size_t>(index)] = static_cast<int>(g);
    }
    find_kept();
  }

  void run() {
    for (std::size_t g = 0; g < schedule_.groups.size(); ++g) {
      if (schedule_.groups[g].fused) extend(static_cast<int>(g));
    }
  }

 private:
  [[nodiscard]] const Node& node(int index) const { return program_.nodes[static_cast<std::size_t>(index)]; }
  [[nodiscard]] int root(int value) const { return schedule_.root[static_cast<std::size_t>(value)]; }
  [[nodiscard]] int producer(int value) const { return producer_[static_cast<std::size_t>(value)]; }
  [[nodiscard]] bool same_slot(int a, int b) const {
    return slot_of_[static_cast<std::size_t>(a)] == slot_of_[static_cast<std::size_t>(b)];
  }

  /// Values that are stored whatever fused groups do: somebody else reads them, outside their phase.
  void find_kept() {
    for (const int output : program_.outputs) kept_[static_cast<std::size_t>(root(output))] = 1;
    for (std::size_t g = 0; g < schedule_.groups.size(); ++g) {
      if (schedule_.groups[g].fused) continue;
      for (const int operand : node(schedule_.groups[g].nodes.front()).operands) {
        const int value = root(operand);
        if (producer(value) < 0 || !same_slot(producer(value), static_cast<int>(g)))
          kept_[static_cast<std::size_t>(value)] = 1;
      }
    }
  }

  void extend(int g) {
    Group& group = schedule_.groups[static_cast<std::size_t>(g)];
    std::vector<int> added;
    for (const int index : group.nodes) {
      const Node& self = node(index);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        if (operand_access(program_, self, i) != Access{}) continue;
        const std::vector<int> chain = chain_to(root(self.operands[i]), g);
        added.insert(added.end(), chain.begin(), chain.end());
      }
    }
    if (added.empty()) return;
    Group larger = group;
    larger.nodes.insert(larger.nodes.end(), added.begin(), added.end());
    std::sort(larger.nodes.begin(), larger.nodes.end());
    larger.nodes.erase(std::unique(larger.nodes.begin(), larger.nodes.end()), larger.nodes.end());
    const auto tile = tile_of(program_, schedule_.root, larger);
    if (!tile) return;
    larger.tile = *tile;
    group = std::move(larger);
  }

  /// The nodes that lead to `value` from arrays that are there anyway, if they are few and cheap: from one such array,
  /// or from those that the group reads already.
  [[nodiscard]] std::vector<int> chain_to(int value, int g) const {
    constexpr std::size_t longest = 8;
    constexpr std::int64_t large = 1 << 18;  // elements: an array that does not stay in the second cache
    const Group& group = schedule_.groups[static_cast<std::size_t>(g)];
    std::vector<int> pending{value}, sources, chain;
    while (!pending.empty()) {
      const int next = pending.back();
      pending.pop_back();
      const bool in_phase = producer(next) >= 0 && producer(next) != g && same_slot(producer(next), g);
      if (producer(next) < 0 || kept_[static_cast<std::size_t>(next)] || in_phase) {
        if (std::find(sources.begin(), sources.end(), next) == sources.end()) sources.push_back(next);
        continue;
      }
      if (std::binary_search(group.nodes.begin(), group.nodes.end(), next) ||
          std::find(chain.begin(), chain.end(), next) != chain.end())
        continue;
      const Node& self = node(next);
      if (self.op == &ops::reduce_sum || self.op == &ops::reduce_max || chain.size() == longest) return {};
      const Cost cost = cost_of(self);
      if (cost == Cost::much || (cost == Cost::some && self.result.shape.elements() < large)) return {};
      chain.push_back(next);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const int operand = root(self.operands[i]);
        if (operand_access(program_, self, i) == Access{}) {
          pending.push_back(operand);
        } else if (producer(operand) >= 0 && node(operand).op != &ops::reduce_sum &&
                   node(operand).result.shape.elements() > 4096) {
          return {};
        }
      }
    }
    const bool few = sources.size() <= 1 ||
                     std::all_of(sources.begin(), sources.end(), [&](int source) { return reads(group, source); });
    return few ? chain : std::vector<int>{};
  }

  [[nodiscard]] bool reads(const Group& group, int value) const {
    return std::any_of(group.nodes.begin(), group.nodes.end(), [&](int index) {
      const auto& operands = node(index).operands;
      return std::any_of(operands.begin(), operands.end(), [&](int operand) { return root(operand) == value; });
    });
  }

  const ProgramData& program_;
  Schedule& schedule_;
  std::vector<int> slot_of_;   // per group
  std::vector<char> kept_;     // per root value
  std::vector<int> producer_;  // per root value: the fused group that computes it, or -1
};

}  // namespace

void rematerialize(const ProgramData& program, Schedule& schedule, const std::vector<Slot>& slots) {
  Rematerialization(program, schedule, slots).run();
}

void drop_unused(const ProgramData& program, Schedule& schedule) {
  const auto root = [&](int value) { return schedule.root[static_cast<std::size_t>(value)]; };
  std::vector<int> first_group(program.nodes.size(), -1);  // of those that compute a value, the one that stores it
  for (std::size_t g = schedule.groups.size(); g-- > 0;) {
    for (const int index : schedule.groups[g].nodes) first_group[static_cast<std::size_t>(index)] = static_cast<int>(g);
  }
  std::vector<char>& stored = schedule.stored;
  stored.assign(program.nodes.size(), 0);
  for (const int output : program.outputs) stored[static_cast<std::size_t>(root(output))] = 1;
  for (std::size_t g = schedule.groups.size(); g-- > 0;) {
    Group& group = schedule.groups[g];
    std::vector<char> needed(group.nodes.size(), 0);
    std::vector<int> left;
    for (std::size_t k = group.nodes.size(); k-- > 0;) {
      const auto index = static_cast<std::size_t>(group.nodes[k]);
      if (!needed[k] && !(stored[index] && first_group[index] == static_cast<int>(g))) continue;
      left.push_back(group.nodes[k]);
      for (const int operand : program.nodes[index].operands) {
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

}  // namespace linseed::compile
