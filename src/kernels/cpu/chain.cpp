#include "kernels/cpu/chain.hpp"

#include <type_traits>

#include "kernels/cpu/vectors.hpp"
#include "kernels/scalar_functions.hpp"

namespace linseed::kernels::cpu {

namespace {

#if LINSEED_X86_TILES
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
#include "kernels/cpu/tape_vectors.inc"

#include "kernels/cpu/chain_steps.inc"
}  // namespace avx2
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
namespace avx512 {
using namespace vectors::avx512;
#include "kernels/cpu/tape_vectors.inc"

#include "kernels/cpu/chain_steps.inc"
}  // namespace avx512
#pragma GCC pop_options
#endif

}  // namespace

BoundChains::BoundChains(std::span<const ChainStep> steps, std::span<const Base> places, VectorSet set) noexcept
    : set_(set) {
#if LINSEED_X86_TILES
  const bool wide = set == VectorSet::avx512;
  Step* bound = steps_.data();
  for (const ChainStep& step : steps) {
    bound->run = wide ? avx512::address_of(avx512::function_of(step)) : avx2::address_of(avx2::function_of(step));
    if (step.form == ChainStep::Form::loop) bound->loop = loop_at(loop_of(step.op), chain_elements, set);
    for (std::size_t k = 0; k < step.count; ++k) {
      const auto& [address, motion] = places[step.places[k]];
      bound->places[k] = address;
      bound->motions[k] = motion;
    }
    ++bound;
  }
#else
  static_cast<void>(steps);
  static_cast<void>(places);
#endif
}

void BoundChains::run(std::size_t step, std::int64_t begin, std::int64_t count, std::int64_t tile) const noexcept {
#if LINSEED_X86_TILES
  (set_ == VectorSet::avx512 ? avx512::run : avx2::run)(steps_.data() + step, begin, count, tile);
#else
  static_cast<void>(step);
  static_cast<void>(begin);
  static_cast<void>(count);
  static_cast<void>(tile);
#endif
}

}  // namespace linseed::kernels::cpu
