#pragma once

#include <span>
#include <vector>

#include <linseed/core/executor.hpp>

#include "compile/step.hpp"

namespace linseed::compile {

/// Puts fused groups that do not depend on each other, the updates of many parameters for example, into launches: the
/// executor starts once for all their tasks. Each goes to the place of the first one, where that keeps nothing from
/// being written over an operand and needs next to no more memory. `outputs`: whether a root value leaves the program.
void join_launches(const detail::ProgramData& program, const std::vector<char>& outputs, std::vector<Step>& steps);

/// Whether a step, which may be a launch, may write `result` into the buffer of its operand `operand`.
bool may_write_over(const Step& step, int operand, int result);

/// The number of arrays of all members of a launch.
std::size_t arrays_of(const Step& launch) noexcept;

/// Runs a launch. `arrays`: of all members, one after the other. Where `seconds` is not empty, adds what each member
/// took, all threads together.
void run_launch(const Step& launch, std::span<void* const> arrays, std::byte* workspace, const Executor& executor,
                std::span<double> seconds) noexcept;

}  // namespace linseed::compile
