#pragma once

#include <vector>

#include "compile/fusion.hpp"

namespace linseed::compile {

/// Groups that run together: one alone, or a phase. In a phase every block of samples passes through all groups before
/// the next one does, so that what they hand on stays in the second cache.
struct Slot {
  std::vector<int> groups;  ///< of the schedule, in an order in which they can run
  std::int64_t blocks = 0;  ///< of a phase; 0 for a group alone
};

/// Puts the groups of a schedule into an order of slots. Phases form around convolutions in lanes: what reads or writes
/// the same values block by block joins them; sums over all blocks are known after the phase. With `block` false every
/// group is alone, in the order of the schedule.
std::vector<Slot> make_slots(const detail::ProgramData& program, const Schedule& schedule, bool block);

/// Whether a piece of operand `index` of a node goes into a piece of its result, in a phase; else all of it does.
bool is_read_in_blocks(const detail::ProgramData& program, const detail::ProgramData::Node& node, std::size_t index);

/// Whether a node adds up what the blocks of a phase contribute.
bool is_sum_over_blocks(const detail::ProgramData::Node& node) noexcept;

}  // namespace linseed::compile
