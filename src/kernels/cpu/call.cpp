#include "kernels/call.hpp"

#include <algorithm>

#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/cpu/permutation.hpp"

// clang ignores the target pragma; it does without.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LINSEED_FOLDS 1
#include <immintrin.h>
#else
#define LINSEED_FOLDS 0
#endif

namespace linseed::kernels {

namespace {

template <class Details>
const Details& as(const float* details) noexcept {
  return *static_cast<const Details*>(static_cast<const void*>(details));
}

}  // namespace

void repeat(float* result, const float* operand, const float*, const float* details, std::int64_t count) noexcept {
  const std::int64_t period = as<Period>(details).period;
  for (std::int64_t i = 0; i < count; i += period) std::copy_n(operand, std::min(period, count - i), result + i);
}

void spread(float* result, const float* operand, const float*, const float* details, std::int64_t count) noexcept {
  const auto [period, source] = as<Period>(details);
  for (std::int64_t i = 0; i < count; i += period)
    std::fill_n(result + i, std::min(period, count - i), operand[std::min(i / period, source - 1)]);
}

void permute(float* result, const float* operand, const float*, const float* details, std::int64_t) noexcept {
  as<cpu::Permutation>(details)(operand, result);
}

void run_rows(float* result, const float* operand, const float*, const float* details, std::int64_t count) noexcept {
  const auto [loop, length] = as<Rows>(details);
  loop(result, operand, length, count);
}

void multiply(float* result, const float* left, const float* right, const float* details, std::int64_t) noexcept {
  as<cpu::SmallGemm>(details)(left, right, result);
}

void multiply_few(float* result, const float* left, const float* right, const float* details, std::int64_t) noexcept {
  as<cpu::PermutedProduct>(details)(left, right, result);
}

void fill(float* result, const float* operand, const float*, const float*, std::int64_t count) noexcept {
  std::fill_n(result, count, *operand);
}

namespace {

void fold(float* result, const float* operand, const float*, const float* details, std::int64_t count) noexcept {
  const std::int64_t period = as<Period>(details).period;
  for (std::int64_t j = 0; j < period; ++j) {
    double total = 0.0;
    for (std::int64_t i = j; i < count; i += period) total += static_cast<double>(operand[i]);
    result[j] = static_cast<float>(total);
  }
}

template <std::int64_t period>
void fold_columns(float* result, const float* operand, const float*, const float*, std::int64_t count) noexcept {
  double totals[period] = {};
  for (std::int64_t i = 0; i < count; i += period) {
    for (std::int64_t j = 0; j < period; ++j) totals[j] += static_cast<double>(operand[i + j]);
  }
  for (std::int64_t j = 0; j < period; ++j) result[j] = static_cast<float>(totals[j]);
}

#if LINSEED_FOLDS

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx2,fma")

// A whole vector is stored: what reads one next would wait for the parts of it.

void fold_1_avx512(float* result, const float* operand, const float*, const float*, std::int64_t count) noexcept {
  double total = 0.0;
  for (std::int64_t i = 0; i < count; ++i) total += static_cast<double>(operand[i]);
  _mm512_storeu_ps(result, _mm512_zextps128_ps512(_mm_set_ss(static_cast<float>(total))));
}

void fold_4_avx512(float* result, const float* operand, const float*, const float*, std::int64_t count) noexcept {
  __m256d totals = _mm256_setzero_pd();
  for (std::int64_t i = 0; i < count; i += 4)
    totals = _mm256_add_pd(totals, _mm256_cvtps_pd(_mm_loadu_ps(operand + i)));
  _mm512_storeu_ps(result, _mm512_zextps128_ps512(_mm256_cvtpd_ps(totals)));
}

void fold_8_avx512(float* result, const float* operand, const float*, const float*, std::int64_t count) noexcept {
  constexpr __mmask8 all = 0xff;  // without masks the compiler sees something uninitialised
  __m512d totals = _mm512_setzero_pd();
  for (std::int64_t i = 0; i < count; i += 8)
    totals = _mm512_add_pd(totals, _mm512_maskz_cvtps_pd(all, _mm256_loadu_ps(operand + i)));
  _mm512_storeu_ps(result, _mm512_maskz_broadcast_f32x8(all, _mm512_maskz_cvtpd_ps(all, totals)));
}

#pragma GCC pop_options

#endif

}  // namespace

Loop fold_of(std::int64_t period, [[maybe_unused]] VectorSet set) noexcept {
#if LINSEED_FOLDS
  if (set == VectorSet::avx512) {
    switch (period) {
      case 1: return fold_1_avx512;
      case 4: return fold_4_avx512;
      case 8: return fold_8_avx512;
      default: break;
    }
  }
#endif
  switch (period) {
    case 1: return fold_columns<1>;
    case 2: return fold_columns<2>;
    case 4: return fold_columns<4>;
    case 8: return fold_columns<8>;
    case 16: return fold_columns<16>;
    default: return fold;
  }
}

}  // namespace linseed::kernels
