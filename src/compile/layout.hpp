#pragma once

#include <linseed/core/executor.hpp>
#include <linseed/transform/program.hpp>

namespace linseed::compile {

/// Lets values around convolutions of few channels have 16 samples side by side, as kernels::in_lanes() says: there the
/// batch fills vectors that channels cannot fill, and element-wise ops, sums over the batch, pooling and reshapes run
/// on it as well as on the ordinary layout. Values are converted where they enter and leave such a region.
/// With the vectors that the kernels will use: the kernels for it need AVX2.
Program layout(const Program& program, VectorSet vectors = best_vector_set());

}  // namespace linseed::compile
