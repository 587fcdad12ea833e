#pragma once

#include <linseed/transform/program.hpp>

namespace linseed::compile {

/// Keeps products from the BLAS, which adds up in another order on each machine. All other kernels give the same bits
/// on every machine with AVX2 or AVX-512 anyway.
Program portable_bits(const Program& program);

}  // namespace linseed::compile
