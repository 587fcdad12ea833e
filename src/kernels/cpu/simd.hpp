#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/vectors.hpp"

// Vectors of floats and of doubles in three instruction sets, by the same names in a namespace each: what vectors.hpp
// is for code on both.

namespace linseed::kernels::cpu::simd {

// Plain vectors of 16 bytes: SSE2, NEON, or whatever the compiler makes of them.
namespace portable {

template <class T>
struct Simd {
  typedef T Vector __attribute__((vector_size(16)));
  static Vector splat(T value) noexcept { return value - Vector{}; }
  static Vector load(const T* from) noexcept {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(T* to, Vector v) noexcept { std::memcpy(to, &v, sizeof v); }
  static Vector load_first(const T* from, std::int64_t count) noexcept {
    Vector v{};
    std::memcpy(&v, from, static_cast<std::size_t>(count) * sizeof(T));
    return v;
  }
  static void store_first(T* to, Vector v, std::int64_t count) noexcept {
    std::memcpy(to, &v, static_cast<std::size_t>(count) * sizeof(T));
  }
  static Vector add(Vector a, Vector b) noexcept { return a + b; }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return a * b + c; }
  /// Rows to columns, of as many rows as a vector has lanes.
  static void transpose(Vector (&rows)[16 / sizeof(T)]) noexcept {
    for (std::size_t i = 0; i < 16 / sizeof(T); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const T above = rows[j][i];
        rows[j][i] = rows[i][j];
        rows[i][j] = above;
      }
    }
  }
};

}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {

// A mask of `count` lanes starts at element 8 - count (4 - count).
alignas(32) inline constexpr std::int32_t first_floats[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(32) inline constexpr std::int64_t first_doubles[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

template <class T>
struct Simd;
template <>
struct Simd<float> {
  using Vector = __m256;
  static __m256i first(std::int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first_floats + 8 - count));
  }
  static Vector splat(float value) noexcept { return _mm256_set1_ps(value); }
  static Vector load(const float* from) noexcept { return _mm256_loadu_ps(from); }
  static void store(float* to, Vector v) noexcept { _mm256_storeu_ps(to, v); }
  static Vector load_first(const float* from, std::int64_t count) noexcept {
    return _mm256_maskload_ps(from, first(count));
  }
  static void store_first(float* to, Vector v, std::int64_t count) noexcept {
    _mm256_maskstore_ps(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm256_add_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static void transpose(Vector (&rows)[8]) noexcept {
    Vector t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    Vector u[8];  // u[4 * h + c]: columns c and 4 + c of four rows
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      rows[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
      rows[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
    }
  }
};
template <>
struct Simd<double> {
  using Vector = __m256d;
  static __m256i first(std::int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first_doubles + 4 - count));
  }
  static Vector splat(double value) noexcept { return _mm256_set1_pd(value); }
  static Vector load(const double* from) noexcept { return _mm256_loadu_pd(from); }
  static void store(double* to, Vector v) noexcept { _mm256_storeu_pd(to, v); }
  static Vector load_first(const double* from, std::int64_t count) noexcept {
    return _mm256_maskload_pd(from, first(count));
  }
  static void store_first(double* to, Vector v, std::int64_t count) noexcept {
    _mm256_maskstore_pd(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm256_add_pd(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm256_fmadd_pd(a, b, c); }
  static void transpose(Vector (&rows)[4]) noexcept {
    const Vector even0 = _mm256_unpacklo_pd(rows[0], rows[1]), odd0 = _mm256_unpackhi_pd(rows[0], rows[1]);
    const Vector even1 = _mm256_unpacklo_pd(rows[2], rows[3]), odd1 = _mm256_unpackhi_pd(rows[2], rows[3]);
    rows[0] = _mm256_permute2f128_pd(even0, even1, 0x20);
    rows[1] = _mm256_permute2f128_pd(odd0, odd1, 0x20);
    rows[2] = _mm256_permute2f128_pd(even0, even1, 0x31);
    rows[3] = _mm256_permute2f128_pd(odd0, odd1, 0x31);
  }
};

}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {

template <class T>
struct Simd;
template <>
struct Simd<float> {
  using Vector = __m512;
  static __mmask16 first(std::int64_t count) noexcept { return static_cast<__mmask16>((1U << count) - 1); }
  static Vector splat(float value) noexcept { return _mm512_set1_ps(value); }
  static Vector load(const float* from) noexcept { return _mm512_loadu_ps(from); }
  static void store(float* to, Vector v) noexcept { _mm512_storeu_ps(to, v); }
  static Vector load_first(const float* from, std::int64_t count) noexcept {
    return _mm512_maskz_loadu_ps(first(count), from);
  }
  static void store_first(float* to, Vector v, std::int64_t count) noexcept {
    _mm512_mask_storeu_ps(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm512_add_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static void transpose(Vector (&rows)[16]) noexcept {
    constexpr __mmask16 all = 0xffff;  // the forms without a mask: -Wmaybe-uninitialized in GCC 12
    Vector t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_maskz_unpacklo_ps(all, rows[i], rows[i + 1]);
      t[i + 1] = _mm512_maskz_unpackhi_ps(all, rows[i], rows[i + 1]);
    }
    Vector u[16];  // u[4 * q + c]: columns c, 4 + c, 8 + c and 12 + c of four rows
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      u[i] = _mm512_maskz_shuffle_ps(all, t[i], t[i + 2], 0x44);
      u[i + 1] = _mm512_maskz_shuffle_ps(all, t[i], t[i + 2], 0xee);
      u[i + 2] = _mm512_maskz_shuffle_ps(all, t[i + 1], t[i + 3], 0x44);
      u[i + 3] = _mm512_maskz_shuffle_ps(all, t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const Vector even0 = _mm512_maskz_shuffle_f32x4(all, u[c], u[4 + c], 0x88);
      const Vector even1 = _mm512_maskz_shuffle_f32x4(all, u[8 + c], u[12 + c], 0x88);
      const Vector odd0 = _mm512_maskz_shuffle_f32x4(all, u[c], u[4 + c], 0xdd);
      const Vector odd1 = _mm512_maskz_shuffle_f32x4(all, u[8 + c], u[12 + c], 0xdd);
      rows[c] = _mm512_maskz_shuffle_f32x4(all, even0, even1, 0x88);
      rows[4 + c] = _mm512_maskz_shuffle_f32x4(all, odd0, odd1, 0x88);
      rows[8 + c] = _mm512_maskz_shuffle_f32x4(all, even0, even1, 0xdd);
      rows[12 + c] = _mm512_maskz_shuffle_f32x4(all, odd0, odd1, 0xdd);
    }
  }
};
template <>
struct Simd<double> {
  using Vector = __m512d;
  static __mmask8 first(std::int64_t count) noexcept { return static_cast<__mmask8>((1U << count) - 1); }
  static Vector splat(double value) noexcept { return _mm512_set1_pd(value); }
  static Vector load(const double* from) noexcept { return _mm512_loadu_pd(from); }
  static void store(double* to, Vector v) noexcept { _mm512_storeu_pd(to, v); }
  static Vector load_first(const double* from, std::int64_t count) noexcept {
    return _mm512_maskz_loadu_pd(first(count), from);
  }
  static void store_first(double* to, Vector v, std::int64_t count) noexcept {
    _mm512_mask_storeu_pd(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm512_add_pd(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm512_fmadd_pd(a, b, c); }
  static void transpose(Vector (&rows)[8]) noexcept {
    constexpr __mmask8 all = 0xff;
    Vector t[8];  // t[2 * p + c]: columns c, 2 + c, 4 + c and 6 + c of two rows
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm512_maskz_unpacklo_pd(all, rows[i], rows[i + 1]);
      t[i + 1] = _mm512_maskz_unpackhi_pd(all, rows[i], rows[i + 1]);
    }
#pragma GCC unroll 2
    for (int c = 0; c < 2; ++c) {
      const Vector even0 = _mm512_maskz_shuffle_f64x2(all, t[c], t[2 + c], 0x88);
      const Vector even1 = _mm512_maskz_shuffle_f64x2(all, t[4 + c], t[6 + c], 0x88);
      const Vector odd0 = _mm512_maskz_shuffle_f64x2(all, t[c], t[2 + c], 0xdd);
      const Vector odd1 = _mm512_maskz_shuffle_f64x2(all, t[4 + c], t[6 + c], 0xdd);
      rows[c] = _mm512_maskz_shuffle_f64x2(all, even0, even1, 0x88);
      rows[2 + c] = _mm512_maskz_shuffle_f64x2(all, odd0, odd1, 0x88);
      rows[4 + c] = _mm512_maskz_shuffle_f64x2(all, even0, even1, 0xdd);
      rows[6 + c] = _mm512_maskz_shuffle_f64x2(all, odd0, odd1, 0xdd);
    }
  }
};

}  // namespace avx512
#pragma GCC pop_options

#endif

}  // namespace linseed::kernels::cpu::simd
