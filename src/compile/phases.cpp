#include "compile/phases.hpp"

#include <algorithm>
#include <numeric>

#include "ops/conv.hpp"
#include "ops/pool.hpp"
#include "ops/reduce.hpp"
#include "ops/shape.hpp"

namespace linseed::compile {

using detail::ProgramData;
using Node = ProgramData::Node;

namespace {

bool is_one_of(const Op* op, std::initializer_list<const Op*> ops) noexcept {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

/// Convolutions in lanes and their inputs' gradients.
bool gathers_in_lanes(const Node& node) noexcept {
  return is_one_of(node.op, {&ops::conv_in_lanes, &ops::conv_input_grad_in_lanes, &ops::conv_winograd_in_lanes,
                             &ops::conv_input_grad_winograd_in_lanes});
}
bool sums_in_lanes(const Node& node) noexcept {
  return is_one_of(node.op, {&ops::conv_kernel_grad_in_lanes, &ops::conv_kernel_grad_winograd_in_lanes});
}
bool is_conv_in_lanes(const Node& node) noexcept { return gathers_in_lanes(node) || sums_in_lanes(node); }

/// Whether a kernel call on a piece of the operands gives that piece of the result: pieces are cut from the first axis.
bool keeps_first_axis(const Node& node) noexcept {
  if (node.op == &ops::transpose) return std::get<attr::Transpose>(node.attributes).permutation[0] == 0;
  return gathers_in_lanes(node) || is_one_of(node.op, {&ops::window_sum, &ops::window_sum_transpose, &ops::max_pool,
                                                       &ops::max_pool_grad, &ops::max_pool_gather});
}

/// Decides which groups run in blocks, and when.
class Phases {
 public:
  Phases(const ProgramData& program, const Schedule& schedule)
      : program_(program),
        schedule_(schedule),
        blocked_(schedule.groups.size(), 0),
        times_(schedule.groups.size(), 0) {}

  void form() {
    find_blocks();
    if (blocks_ < 2) return;
    find_blocked_groups();
    find_times();
  }

  std::vector<Slot> slots() const {
    std::vector<Slot> result;
    std::vector<int> order(schedule_.groups.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return time(a) < time(b); });
    int phase_time = -2;
    for (const int g : order) {
      if (!blocked_[static_cast<std::size_t>(g)]) {
        result.push_back({{g}, 0});
      } else if (time(g) == phase_time) {
        result.back().groups.push_back(g);
        result.back().blocks = blocks_;
      } else {
        result.push_back({{g}, 0});
        phase_time = time(g);
      }
    }
    return result;
  }

 private:
  [[nodiscard]] const Node& node(int index) const { return program_.nodes[static_cast<std::size_t>(index)]; }
  [[nodiscard]] int root(int value) const { return schedule_.root[static_cast<std::size_t>(value)]; }
  [[nodiscard]] int time(int group) const { return times_[static_cast<std::size_t>(group)]; }

  /// The number of blocks is that of the largest convolution in lanes.
  void find_blocks() {
    std::int64_t largest = 0;
    for (const Node& self : program_.nodes) {
      if (!is_conv_in_lanes(self)) continue;
      const Shape& shape = node(self.operands[0]).result.shape;
      if (shape.elements() <= largest) continue;
      largest = shape.elements();
      blocks_ = shape[0];
    }
  }

  /// Spreads from the convolutions over everything that reads or writes the same values in blocks.
  void find_blocked_groups() {
    std::vector<char> reached(program_.nodes.size(), 0);  // root values
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t g = 0; g < schedule_.groups.size(); ++g) {
        const Group& group = schedule_.groups[g];
        if (blocked_[g] || !can_run_in_blocks(group)) continue;
        const bool touches = std::any_of(group.nodes.begin(), group.nodes.end(), [&](int index) {
          if (is_conv_in_lanes(node(index)) || reached[static_cast<std::size_t>(index)]) return true;
          for (std::size_t i = 0; i < node(index).operands.size(); ++i) {
            if (is_read_in_blocks(program_, node(index), i) &&
                reached[static_cast<std::size_t>(root(node(index).operands[i]))])
              return true;
          }
          return false;
        });
        if (!touches) continue;
        blocked_[g] = 1;
        changed = true;
        for (const int index : group.nodes) {
          if (!is_sum_over_blocks(node(index))) reached[static_cast<std::size_t>(index)] = 1;
          for (std::size_t i = 0; i < node(index).operands.size(); ++i) {
            if (is_read_in_blocks(program_, node(index), i))
              reached[static_cast<std::size_t>(root(node(index).operands[i]))] = 1;
          }
        }
      }
    }
  }

  [[nodiscard]] bool divides(const Shape& shape) const {
    return shape.rank() > 0 && shape.elements() > 0 && shape[0] % blocks_ == 0;
  }

  [[nodiscard]] bool can_run_in_blocks(const Group& group) const {
    if (!group.fused) {
      const Node& self = node(group.nodes.front());
      if (!keeps_first_axis(self) && !sums_in_lanes(self)) return false;
      if (!is_sum_over_blocks(self) && !divides(self.result.shape)) return false;
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        if (is_read_in_blocks(program_, self, i) && !divides(node(self.operands[i]).result.shape)) return false;
      }
      return true;
    }
    if (group.elements % blocks_ != 0 || group.row > 0) return false;
    const std::int64_t piece = group.elements / blocks_;
    std::vector<std::pair<int, bool>> reads;  // root value, whether in blocks
    for (const int index : group.nodes) {
      const Node& self = node(index);
      if (const auto period = fold_period(program_, self); period && piece % *period != 0) return false;
      for (std::size_t i = 0; i < self.operands.size(); ++i) {
        const Access access = *operand_access(program_, self, i);
        if (access.kind != Access::Kind::linear && piece % access.period != 0) return false;
        reads.emplace_back(root(self.operands[i]), is_read_in_blocks(program_, self, i));
      }
    }
    // An array has one address in a block.
    std::sort(reads.begin(), reads.end());
    reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
    return std::adjacent_find(reads.begin(), reads.end(),
                              [](const auto& a, const auto& b) { return a.first == b.first; }) == reads.end();
  }

  /// Phases are at even times, groups alone at odd ones. A phase sees what was there before it, its own groups see the
  /// pieces that earlier groups of the phase have made of the same block.
  void find_times() {
    std::vector<int> producer(program_.nodes.size(), -1);
    for (std::size_t g = 0; g < schedule_.groups.size(); ++g) {
      for (const int index : schedule_.groups[g].nodes) {
        int& first = producer[static_cast<std::size_t>(index)];
        if (first < 0) first = static_cast<int>(g);
      }
    }
    for (std::size_t g = 0; g < schedule_.groups.size(); ++g) {
      const Group& group = schedule_.groups[g];
      const bool in_blocks = blocked_[g] != 0;
      int earliest = in_blocks ? 0 : -1;
      for (const int index : group.nodes) {
        const Node& self = node(index);
        for (std::size_t i = 0; i < self.operands.size(); ++i) {
          const int value = root(self.operands[i]);
          const int from = producer[static_cast<std::size_t>(value)];
          if (from < 0 || from == static_cast<int>(g) ||
              std::binary_search(group.nodes.begin(), group.nodes.end(), value))
            continue;
          const bool from_blocks = blocked_[static_cast<std::size_t>(from)] != 0;
          const bool piece_by_piece = is_read_in_blocks(program_, self, i) && !is_sum_over_blocks(node(value));
          int wait = 1;  // from a phase to what follows it, or the other way round
          if (from_blocks == in_blocks) wait = in_blocks && !piece_by_piece ? 2 : 0;
          earliest = std::max(earliest, time(from) + wait);
        }
      }
      times_[g] = earliest;
    }
  }

  const ProgramData& program_;
  const Schedule& schedule_;
  std::int64_t blocks_ = 0;
  std::vector<char> blocked_;  // per group
  std::vector<int> times_;     // per group
};

}  // namespace

bool is_sum_over_blocks(const Node& node) noexcept { return node.op == &ops::reduce_sum || sums_in_lanes(node); }

bool is_read_in_blocks(const ProgramData& program, const Node& node, std::size_t index) {
  if (gathers_in_lanes(node)) return index == 0;
  if (sums_in_lanes(node) || keeps_first_axis(node)) return true;
  const auto access = operand_access(program, node, index);
  return access && access->kind != Access::Kind::periodic;
}

std::vector<Slot> make_slots(const ProgramData& program, const Schedule& schedule, bool block) {
  Phases phases(program, schedule);
  if (block) phases.form();
  return phases.slots();
}

}  // namespace linseed::compile
