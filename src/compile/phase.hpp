#pragma once

#include <span>

#include <linseed/core/executor.hpp>

#include "compile/step.hpp"

namespace linseed::compile {

/// Puts steps together into a phase of so many blocks.
Step make_phase(const detail::ProgramData& program, std::vector<Step> members, std::int64_t blocks);

/// Lets the results of a phase that nobody else reads live in the memory of the worker that makes them, and drops them
/// from the phase's results.
void place_locals(Step& phase, const std::vector<char>& read_elsewhere);

/// Runs a phase: `values` has the addresses of root values, `local` memory for as many workers as the executor has
/// threads. Sums take the blocks' contributions in the order of the blocks. Where `seconds` is not empty, adds what
/// each member took, all workers together.
void run_phase(const Step& phase, std::span<void* const> values, std::byte* workspace, std::byte* local,
               const Executor& executor, std::span<double> seconds) noexcept;

}  // namespace linseed::compile
