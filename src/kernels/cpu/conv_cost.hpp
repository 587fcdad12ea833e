#pragma once

#include <string_view>

#include "kernels/conv.hpp"
#include "kernels/cpu/conv_problem.hpp"

// Which routine computes a convolution: that of the least estimated time.

namespace linseed::kernels::cpu {

/// `zeros` and `reference` have no estimate: for results without sums, and where no other routine can serve.
enum class ConvRoutine { zeros, lanes, panels, direct, depthwise, tiles, reference };
constexpr ConvRoutine conv_routines[] = {ConvRoutine::lanes, ConvRoutine::panels, ConvRoutine::direct,
                                         ConvRoutine::depthwise, ConvRoutine::tiles};
std::string_view to_string(ConvRoutine routine) noexcept;

/// What a routine has to do.
struct ConvWork {
  const Problem& problem;  ///< with outputs; the adjoint for the input's gradient
  ConvResult result;
  bool is_float32;
  VectorSet vectors;      ///< lanes need AVX2; all else, and the estimates, are the same for every set
  bool in_lanes = false;  ///< samples lie in lanes already, and the result is to
  bool by_rows = false;   ///< what lanes compute may be by Winograd's tiles along rows
};

/// An estimate of the time that a routine takes, in cycles of one core with two vectors of 16 floats per cycle;
/// infinite where it cannot serve. It depends on shapes alone, and so does the choice.
double conv_cost(ConvRoutine routine, const ConvWork& work) noexcept;

/// The routine of the least cost; `zeros` where there is nothing to add up, or no result.
ConvRoutine choose_conv_routine(const ConvWork& work) noexcept;

}  // namespace linseed::kernels::cpu
