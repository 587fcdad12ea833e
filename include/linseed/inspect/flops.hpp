#pragma once

#include <cstdint>

#include <linseed/transform/program.hpp>

namespace linseed::inspect {

/// Floating-point operations of the products in a program: a multiplication and an addition for each term of each
/// element that a dot product or a convolution sums, the zeros of padding and dilation included. All else (activations,
/// sums, normalizations, window maxima) counts as nothing.
///
///     dot [m,k] . [k,n]                                      2 m k n
///     convolution to [N,spatial...,C] by [window...,c,C]     2 |result| |window| c
///     its gradients                                          as much each as the convolution itself
[[nodiscard]] std::int64_t flops(const Program& program);

}  // namespace linseed::inspect
