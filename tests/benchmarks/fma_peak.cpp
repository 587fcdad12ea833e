#include "fma_peak.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#endif

using linseed::best_vector_set;
using linseed::VectorSet;

namespace {

constexpr std::int64_t repeats = 100'000;
constexpr int sums = 12;  // chains: more than the latency of an addition times the additions per cycle

/// `count` rounds of a multiply-add in each chain.
#define LINSEED_CHAINS(Vector, splat, multiply_add, count)                                                 \
  Vector sum[sums];                                                                                        \
  const Vector factor = splat(0.999F), addend = splat(1e-3F);                                              \
  _Pragma("GCC unroll 16") for (int i = 0; i < sums; ++i) sum[i] = splat(static_cast<float>(i));           \
  for (std::int64_t k = 0; k < count; ++k) {                                                               \
    _Pragma("GCC unroll 16") for (int i = 0; i < sums; ++i) sum[i] = multiply_add(sum[i], factor, addend); \
  }                                                                                                        \
  float first, total = 0.0F;                                                                               \
  _Pragma("GCC unroll 16") for (int i = 0; i < sums; ++i) {                                                \
    std::memcpy(&first, &sum[i], sizeof first);                                                            \
    total += first;                                                                                        \
  }                                                                                                        \
  return total

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
[[gnu::target("avx512f"), gnu::noinline]] float chains_of_sixteen(std::int64_t count) noexcept {
  LINSEED_CHAINS(__m512, _mm512_set1_ps, _mm512_fmadd_ps, count);
}
[[gnu::target("avx2,fma"), gnu::noinline]] float chains_of_eight(std::int64_t count) noexcept {
  LINSEED_CHAINS(__m256, _mm256_set1_ps, _mm256_fmadd_ps, count);
}
#endif
using Four = float __attribute__((vector_size(16)));
float chains_of_four(std::int64_t count) noexcept {
  const auto splat = [](float value) { return value - Four{}; };
  const auto multiply_add = [](Four a, Four b, Four c) { return a * b + c; };
  LINSEED_CHAINS(Four, splat, multiply_add, count);
}

struct Loop {
  float (*run)(std::int64_t) noexcept;
  int lanes;
};

Loop widest([[maybe_unused]] VectorSet vectors) noexcept {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  switch (std::min(vectors, best_vector_set())) {
    case VectorSet::avx512: return {chains_of_sixteen, 16};
    case VectorSet::avx2: return {chains_of_eight, 8};
    case VectorSet::portable: break;
  }
#endif
  return {chains_of_four, 4};
}

double rate_of_one(VectorSet vectors) {
  const Loop loop = widest(vectors);
  const auto start = std::chrono::steady_clock::now();
  volatile float result = loop.run(repeats);
  static_cast<void>(result);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return 2.0 * sums * loop.lanes * static_cast<double>(repeats) / seconds * 1e-9;
}

}  // namespace

double fma_peak(int threads, VectorSet vectors) {
  std::vector<double> rates(static_cast<std::size_t>(threads));
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < rates.size(); ++i)
    others.emplace_back([&rates, i, vectors] { rates[i] = rate_of_one(vectors); });
  rates[0] = rate_of_one(vectors);
  for (std::thread& other : others) other.join();
  double total = 0;
  for (const double rate : rates) total += rate;
  return total;
}
