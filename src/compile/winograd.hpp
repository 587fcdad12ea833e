#pragma once

#include <linseed/transform/program.hpp>

namespace linseed::compile {

/// Lets 3x3 convolutions of many channels, and their gradients, run by Winograd's F(4x4, 3x3), those in lanes by
/// F(4, 3) and F(4, 5) along rows, where a count of operations, which follows from shapes alone, promises clearly less
/// work. Results differ from plain sums by rounding.
Program winograd(const Program& program);

}  // namespace linseed::compile
