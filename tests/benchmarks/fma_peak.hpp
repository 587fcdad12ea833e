#pragma once

#include <linseed/core/executor.hpp>

/// Billions of floating-point operations per second that `threads` threads together reach with fused multiply-adds of
/// float32 that never leave the registers, in vectors no wider than `vectors`: what no kernel can exceed. Measured for
/// some milliseconds.
double fma_peak(int threads, linseed::VectorSet vectors = linseed::best_vector_set());
