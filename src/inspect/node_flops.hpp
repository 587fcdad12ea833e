#pragma once

#include "program/program.hpp"

namespace linseed::inspect {

/// Those of node `index`; see inspect/flops.hpp.
[[nodiscard]] std::int64_t node_flops(const linseed::detail::ProgramData& program, std::size_t index);

}  // namespace linseed::inspect
