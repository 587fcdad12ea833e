#pragma once

#include <vector>

#include "compile/fusion.hpp"
#include "compile/step.hpp"

namespace linseed::compile {

/// Per root value: how many groups read it that do not compute it, and how many outputs are it.
std::vector<int> count_readers(const detail::ProgramData& program, const Schedule& schedule);

/// Among steps that are to be the members of a phase: lets fused groups read what window_sum_transpose would spread
/// where it is not spread yet, and add up what window_sum would read, both with the constant factor of an average
/// pooling; then the arrays of full size need not exist. For windows side by side; the bits stay the same.
void join_windows(const detail::ProgramData& program, const std::vector<int>& readers, std::vector<Step>& members);

}  // namespace linseed::compile
