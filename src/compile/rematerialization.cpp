#include "compile/rematerialization.hpp"

#include <algorithm>
#include <optional>
#include <utility>

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
    case MicroOp::Equal:
    case MicroOp::NotEqual:
    case MicroOp::Less:
    case MicroOp::LessEqual:
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

  /// Where all that read a stored value can as well compute it from another one that is stored anyway, lets them.
  void derive() {
    std::vector<std::vector<int>> readers(program_.nodes.size());  // groups, of values of others
    std::vector<int> home(program_.nodes.size(), -1);              // the group that stores a value
    for (std::size_t g = 0; g < schedule_.groups.size(); ++g) {
      const std::vector<int>& nodes = schedule_.groups[g].nodes;
      for (const int index : nodes) {
        int& first = home[static_cast<std::size_t>(index)];
        if (first < 0) first = static_cast<int>(g);
        for (const int operand : node(index).operands) {
          std::vector<int>& known = readers[static_cast<std::size_t>(root(operand))];
          const bool inside = std::binary_search(nodes.begin(), nodes.end(), root(operand));
          if (!inside && (known.empty() || known.back() != static_cast<int>(g))) known.push_back(static_cast<int>(g));
        }
      }
    }
    const auto leaves_its_slot = [&](int value) {
      const auto& groups = readers[static_cast<std::size_t>(value)];
      const int own = home[static_cast<std::size_t>(value)];
      return std::any_of(groups.begin(), groups.end(), [&](int g) { return !same_slot(g, own); });
    };
    std::vector<char> derived(program_.nodes.size(), 0), needed(program_.nodes.size(), 0);
    for (std::size_t i = 0; i < program_.nodes.size(); ++i) {
      const int value = static_cast<int>(i);
      if (producer(value) < 0 || node(value).result.shape.elements() < large || kept_[i] || needed[i] ||
          !leaves_its_slot(value))
        continue;
      const Group& own = schedule_.groups[static_cast<std::size_t>(home[i])];
      const auto [chain, source] = chain_from_stored(own, value, [&](int other) {
        const auto index = static_cast<std::size_t>(other);
        return home[index] < 0 || kept_[index] || (!derived[index] && leaves_its_slot(other));
      });
      if (chain.empty()) continue;
      std::vector<Group> extended;
      for (const int g : readers[i]) {
        const Group& group = schedule_.groups[static_cast<std::size_t>(g)];
        const bool costs_nothing = bytes_of_element(source) <= bytes_of_element(value) || reads(group, source);
        if (!group.fused || same_slot(g, home[i]) || !reads_in_line(group, value) || !costs_nothing) break;
        auto larger = extended_by(group, chain);
        if (!larger) break;
        extended.push_back(*std::move(larger));
      }
      if (extended.size() < readers[i].size()) continue;
      for (std::size_t k = 0; k < extended.size(); ++k)
        schedule_.groups[static_cast<std::size_t>(readers[i][k])] = std::move(extended[k]);
      derived[i] = needed[static_cast<std::size_t>(source)] = 1;
    }
  }

 private:
  static constexpr std::int64_t large = 1 << 18;  // elements: an array that does not stay in the second cache

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
    if (auto larger = extended_by(group, added)) group = *std::move(larger);
  }

  /// The group with more nodes, unless these are too many for one tape.
  [[nodiscard]] std::optional<Group> extended_by(const Group& group, const std::vector<int>& added) const {
    Group larger = group;
    larger.nodes.insert(larger.nodes.end(), added.begin(), added.end());
    std::sort(larger.nodes.begin(), larger.nodes.end());
    larger.nodes.erase(std::unique(larger.nodes.begin(), larger.nodes.end()), larger.nodes.end());
    const auto tile = tile_of(program_, schedule_.root, larger);
    if (!tile) return std::nullopt;
    larger.tile = *tile;
    return larger;
  }

  /// The few cheap nodes, each with one operand of full size, that lead to `value` from one that is stored, and that
  /// one; no nodes where there are no such.
  template <class IsStored>
  [[nodiscard]] std::pair<std::vector<int>, int> chain_from_stored(const Group& group, int value,
                                                                   const IsStored& is_stored) const {
    constexpr std::size_t longest = 4;
    const std::vector<int>& nodes = group.nodes;
    std::vector<int> chain;
    for (int next = value;;) {
      const Node& self = node(next);
      if (!std::binary_search(nodes.begin(), nodes.end(), next) || self.op == &ops::reduce_sum ||
          cost_of(self) != Cost::cheap || chain.size() == longest)
        return {};
      chain.push_back(next);
      int source = -1;
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const int operand = root(self.operands[i]);
        if (operand_access(program_, self, i) != Access{}) continue;
        if (source >= 0 && source != operand) return {};
        source = operand;
      }
      if (source < 0) return {};
      next = source;
      if (is_stored(next)) return {chain, next};
    }
  }

  [[nodiscard]] std::size_t bytes_of_element(int value) const { return size_of(node(value).result.dtype); }

  /// Whether a group reads a value element by element only.
  [[nodiscard]] bool reads_in_line(const Group& group, int value) const {
    return std::all_of(group.nodes.begin(), group.nodes.end(), [&](int index) {
      const Node& self = node(index);
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        if (root(self.operands[i]) == value && operand_access(program_, self, i) != Access{}) return false;
      }
      return true;
    });
  }

  /// The nodes that lead to `value` from arrays that are there anyway, if they are few and cheap: from one such array,
  /// or from those that the group reads already.
  [[nodiscard]] std::vector<int> chain_to(int value, int g) const {
    constexpr std::size_t longest = 8;
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
    const bool is_small = node(value).result.dtype == DType::bool_;  // and its source larger
    const bool few = (sources.size() <= 1 && !is_small) ||
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

void derive_stored(const ProgramData& program, Schedule& schedule, const std::vector<Slot>& slots) {
  Rematerialization(program, schedule, slots).derive();
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
