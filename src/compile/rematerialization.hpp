#pragma once

#include "compile/phases.hpp"

namespace linseed::compile {

/// Lets fused groups compute again what they would read from another group or phase, where that reads no more arrays.
void rematerialize(const detail::ProgramData& program, Schedule& schedule, const std::vector<Slot>& slots);

/// Lets the fused groups that read a stored value compute it from another stored one, where a few cheap ops lead from
/// there to it: then it need not be stored. For a schedule that drop_unused() has been through.
void derive_stored(const detail::ProgramData& program, Schedule& schedule, const std::vector<Slot>& slots);

/// Keeps of every group what the caller or a later group needs of it, and what that needs; says which values are
/// stored.
void drop_unused(const detail::ProgramData& program, Schedule& schedule);

}  // namespace linseed::compile
