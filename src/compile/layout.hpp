#pragma once

#include <linseed/transform/program.hpp>

namespace linseed::compile {

/// Lets values around convolutions of few channels have 16 samples side by side, as kernels::in_lanes() says: there the
/// batch fills vectors that channels cannot fill, and element-wise ops, sums over the batch, pooling and reshapes run
/// on it as well as on the ordinary layout. Values are converted where they enter and leave such a region.
Program layout(const Program& program);

}  // namespace linseed::compile
