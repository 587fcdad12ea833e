#pragma once

#include <cstdint>
#include <cstring>

// Vectors of floats in three instruction sets, by the same names in a namespace each. Code that is to run on all three
// is an .inc file, included in three namespaces which use these; LINSEED_X86_TILES says whether there are more than
// one.

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
}  // namespace avx512
#pragma GCC pop_options

#endif

}  // namespace linseed::kernels::cpu::vectors
