#pragma once

#include <cstdint>
#include <cstring>

// Vectors of floats in three instruction sets, by the same names in a namespace each. Code that is to run on all three
// is an .inc file, included in three namespaces which use these; LINSEED_X86_TILES says whether there are more than
// one. What only functions need (tape_vectors.inc), from `divide` on, has no portable form: their scalar form serves.

// clang ignores the target pragma; it gets the portable form.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LINSEED_X86_TILES 1
#include <immintrin.h>
#else
#define LINSEED_X86_TILES 0
#endif

namespace linseed::kernels::cpu::vectors {

// Plain vectors of 16 bytes: SSE2, NEON, or whatever the compiler makes of them.
namespace portable {
typedef float Vector __attribute__((vector_size(16)));
constexpr std::int64_t lanes = 4, panel = 2 * lanes;  // of a panel: see panel_product.hpp
inline void pin(Vector&) noexcept {}
inline Vector zero() noexcept { return Vector{}; }
inline Vector splat(float value) noexcept { return value - Vector{}; }
inline Vector load(const float* from) noexcept {
  Vector v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline Vector load_first(const float* from, std::int64_t count) noexcept {
  Vector v{};
  std::memcpy(&v, from, static_cast<std::size_t>(count) * sizeof(float));
  return v;
}
inline void store(float* to, Vector v) noexcept { std::memcpy(to, &v, sizeof v); }
inline void store_first(float* to, Vector v, std::int64_t count) noexcept {
  std::memcpy(to, &v, static_cast<std::size_t>(count) * sizeof(float));
}
inline Vector add(Vector a, Vector b) noexcept { return a + b; }
inline Vector subtract(Vector a, Vector b) noexcept { return a - b; }
inline Vector multiply(Vector a, Vector b) noexcept { return a * b; }
inline Vector add_product(Vector a, Vector b, Vector c) noexcept { return a * b + c; }
inline Vector subtract_product(Vector a, Vector b, Vector c) noexcept { return c - a * b; }
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
// A mask of `count` lanes starts at element 8 - count.
alignas(32) inline constexpr std::int32_t first_lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

using Vector = __m256;
constexpr std::int64_t lanes = 8, panel = 2 * lanes;  // of a panel: see panel_product.hpp
inline __m256i first(std::int64_t count) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first_lanes + 8 - count));
}
inline void pin(Vector& v) noexcept { asm("" : "+x"(v)); }
inline Vector zero() noexcept { return _mm256_setzero_ps(); }
inline Vector splat(float value) noexcept { return _mm256_set1_ps(value); }
inline Vector load(const float* from) noexcept { return _mm256_loadu_ps(from); }
inline Vector load_first(const float* from, std::int64_t count) noexcept {
  return _mm256_maskload_ps(from, first(count));
}
inline void store(float* to, Vector v) noexcept { _mm256_storeu_ps(to, v); }
inline void store_first(float* to, Vector v, std::int64_t count) noexcept { _mm256_maskstore_ps(to, first(count), v); }
inline Vector add(Vector a, Vector b) noexcept { return _mm256_add_ps(a, b); }
inline Vector subtract(Vector a, Vector b) noexcept { return _mm256_sub_ps(a, b); }
inline Vector multiply(Vector a, Vector b) noexcept { return _mm256_mul_ps(a, b); }
inline Vector add_product(Vector a, Vector b, Vector c) noexcept { return _mm256_fmadd_ps(a, b, c); }
inline Vector subtract_product(Vector a, Vector b, Vector c) noexcept { return _mm256_fnmadd_ps(a, b, c); }
inline Vector divide(Vector a, Vector b) noexcept { return _mm256_div_ps(a, b); }
inline Vector negate(Vector v) noexcept { return _mm256_xor_ps(v, splat(-0.0F)); }
inline Vector magnitude(Vector v) noexcept { return _mm256_andnot_ps(splat(-0.0F), v); }
inline Vector copy_sign(Vector v, Vector sign) noexcept {
  return _mm256_or_ps(magnitude(v), _mm256_and_ps(splat(-0.0F), sign));
}
/// The nearest number from `low` to `high`; what is not a number stays.
inline Vector bounded(Vector v, float low, float high) noexcept {
  return _mm256_min_ps(splat(high), _mm256_max_ps(splat(low), v));
}
/// The low bits of each lane, where the exponent is.
inline Vector bits_to_exponent(Vector v) noexcept {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 23));
}
/// v 2^n, rounded once, where `shifted` is n + 1.5 * 2^23 and n from -151 to 129: by two factors that are normal
/// numbers.
inline Vector times_power_of_two(Vector v, Vector shifted) noexcept {
  const __m256i n = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(0x4B400000));
  const __m256i half = _mm256_srai_epi32(n, 1), bias = _mm256_set1_epi32(127);
  const auto power = [&](__m256i k) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(k, bias), 23)); };
  return _mm256_mul_ps(_mm256_mul_ps(v, power(half)), power(_mm256_sub_epi32(n, half)));
}
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using Vector = __m512;
constexpr std::int64_t lanes = 16, panel = 2 * lanes;  // of a panel: see panel_product.hpp
inline __mmask16 first(std::int64_t count) noexcept { return static_cast<__mmask16>((1U << count) - 1); }
inline void pin(Vector& v) noexcept { asm("" : "+v"(v)); }
inline Vector zero() noexcept { return _mm512_setzero_ps(); }
inline Vector splat(float value) noexcept { return _mm512_set1_ps(value); }
inline Vector load(const float* from) noexcept { return _mm512_loadu_ps(from); }
inline Vector load_first(const float* from, std::int64_t count) noexcept {
  return _mm512_maskz_loadu_ps(first(count), from);
}
inline void store(float* to, Vector v) noexcept { _mm512_storeu_ps(to, v); }
inline void store_first(float* to, Vector v, std::int64_t count) noexcept {
  _mm512_mask_storeu_ps(to, first(count), v);
}
inline Vector add(Vector a, Vector b) noexcept { return _mm512_add_ps(a, b); }
inline Vector subtract(Vector a, Vector b) noexcept { return _mm512_sub_ps(a, b); }
inline Vector multiply(Vector a, Vector b) noexcept { return _mm512_mul_ps(a, b); }
inline Vector add_product(Vector a, Vector b, Vector c) noexcept { return _mm512_fmadd_ps(a, b, c); }
inline Vector subtract_product(Vector a, Vector b, Vector c) noexcept { return _mm512_fnmadd_ps(a, b, c); }
inline Vector divide(Vector a, Vector b) noexcept { return _mm512_div_ps(a, b); }
inline Vector negate(Vector v) noexcept {
  return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(v), _mm512_set1_epi32(INT32_MIN)));
}
inline Vector magnitude(Vector v) noexcept { return _mm512_abs_ps(v); }
inline Vector copy_sign(Vector v, Vector sign) noexcept {
  // Each bit of the sign, where the mask has a zero, else of v.
  const __m512i mask = _mm512_set1_epi32(INT32_MAX);
  constexpr int first_or_else_third = 0b11001010;
  return _mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(mask, _mm512_castps_si512(v), _mm512_castps_si512(sign), first_or_else_third));
}
constexpr __mmask16 each_lane = 0xFFFF;  // GCC 12 warns of its own header unless some functions are given a mask
inline Vector bounded(Vector v, float low, float high) noexcept {
  return _mm512_maskz_min_ps(each_lane, splat(high), _mm512_maskz_max_ps(each_lane, splat(low), v));
}
inline Vector bits_to_exponent(Vector v) noexcept {
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(each_lane, _mm512_castps_si512(v), 23));
}
inline Vector times_power_of_two(Vector v, Vector shifted) noexcept {
  return _mm512_maskz_scalef_ps(each_lane, v, _mm512_sub_ps(shifted, splat(12582912.0F)));
}
}  // namespace avx512
#pragma GCC pop_options

#endif

}  // namespace linseed::kernels::cpu::vectors
