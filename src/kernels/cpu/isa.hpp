#pragma once

#include <linseed/core/executor.hpp>

namespace linseed::kernels::cpu {

#if defined(__x86_64__) && defined(__GNUC__) && !(defined(__AVX2__) && defined(__FMA__))

template <class Loop>
[[gnu::target("avx2,fma"), gnu::noinline]] void run_avx2(Loop loop) noexcept {
  loop();
}

/// Calls `loop`, compiled a second time for AVX2 and FMA, in that form unless `set` is the portable one. The library
/// itself stays portable. `loop` is a lambda marked LINSEED_LOOP, so that its body, and what it inlines, takes on the
/// instruction set. Results are the same bits: a fused multiply-add is spelled std::fma, and -ffp-contract=off keeps
/// the compiler from making others.
template <class Loop>
void with_widest_vectors(VectorSet set, Loop loop) noexcept {
  if (set != VectorSet::portable) {
    run_avx2(loop);
  } else {
    loop();
  }
}

#else

template <class Loop>
void with_widest_vectors(VectorSet, Loop loop) noexcept {
  loop();
}

#endif

}  // namespace linseed::kernels::cpu

#define LINSEED_LOOP __attribute__((always_inline))
