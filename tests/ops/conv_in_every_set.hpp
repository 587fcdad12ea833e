// For tests of convolution kernels that are called by themselves.
#pragma once

#include <utility>
#include <vector>

#include <linseed/core/executor.hpp>

#include "kernels/cpu/conv_problem.hpp"
#include "ops/conv.hpp"
#include "ops/conv_helpers.hpp"

namespace conv_helpers {

using Gather = bool (*)(const linseed::kernels::cpu::Problem&, const float* x, const float* w,
                        const linseed::kernels::cpu::KernelLayout&, float* y, const linseed::Executor&) noexcept;
using Correlate = bool (*)(const linseed::kernels::cpu::Problem&, const float* x, const float* dy, float* dw,
                           const linseed::Executor&) noexcept;

/// Checks that kernels agree with the reference within `tolerance` in every instruction set, the vector ones to the
/// bit, and write nothing else. Whether there is one for the kernel's gradient is `correlates`.
inline void check_in_every_set(const linseed::attr::Conv& conv, const Array& x, const Array& w, Gather gather,
                               Correlate correlate, bool correlates, double tolerance) {
  using namespace linseed::kernels::cpu;
  using linseed::VectorSet, linseed::Executor;
  const Array y = run_reference(linseed::ops::conv, x, w, conv);
  const Array dy = normal(y.shape(), 3);
  const Array dx = run_reference(linseed::ops::conv_input_grad, dy, w, conv);
  const Array dw = run_reference(linseed::ops::conv_kernel_grad, x, dy, conv);
  const Problem problem = forward_problem(conv, y.shape());
  const float *x_data = x.data<float>().data(), *w_data = w.data<float>().data(), *dy_data = dy.data<float>().data();
  std::vector<float> by_avx2;
  for (const VectorSet set : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512}) {
    if (set > linseed::best_vector_set()) continue;
    CAPTURE(static_cast<int>(set));
    const Executor executor(1, set);
    Framed got_y(y), got_dx(dx), got_dw(dw);
    CHECK(gather(problem, x_data, w_data, kernel_layout(problem), got_y.data(), executor));
    CHECK(gather(adjoint(problem), dy_data, w_data, flipped_layout(problem), got_dx.data(), executor));
    CHECK(correlate(problem, x_data, dy_data, got_dw.data(), executor) == correlates);
    std::vector<float> together;
    for (const auto& [got, expected] : {std::pair{&got_y, &y}, {&got_dx, &dx}, {&got_dw, &dw}}) {
      CHECK(got->is_intact());
      if (got == &got_dw && !correlates) continue;
      CHECK(error(got->values(), expected->data<float>()) < tolerance);
      together.insert(together.end(), got->values().begin(), got->values().end());
    }
    if (set == VectorSet::avx2) by_avx2 = together;
    if (set == VectorSet::avx512) CHECK(together == by_avx2);
  }
}

}  // namespace conv_helpers
