#pragma once

#include "compile/fusion.hpp"
#include "compile/step.hpp"

namespace linseed::compile {

/// A fused group as one kernel call. Values that are stored, and not `written` by an earlier step, become its results.
Step build_tape(const detail::ProgramData& program, const Schedule& schedule, const Group& group,
                const std::vector<char>& written);

/// Whether the step may write `result` into the buffer of its operand `operand`: every element is read before it is
/// written.
bool can_write_over(const Step& step, int operand, int result);

}  // namespace linseed::compile
