#include "kernels/cpu/permutation.hpp"

#include <algorithm>

// clang ignores the target pragma; it does without.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LINSEED_PERMUTES 1
#include <immintrin.h>
#else
#define LINSEED_PERMUTES 0
#endif

namespace linseed::kernels::cpu {

namespace {

constexpr std::int64_t lanes = 16;
constexpr std::int64_t most_source = 2 * lanes;
constexpr std::int64_t most_result = 4 * lanes;

std::int64_t vectors_of(std::int64_t count) noexcept { return (count + lanes - 1) / lanes; }

/// The second of two vectors, or the first again where there is none: no place is in it.
std::int64_t second_vector(std::int64_t elements) noexcept { return elements > lanes ? lanes : 0; }

void select(Selection& selection, std::int64_t lane, std::int64_t place) noexcept {
  selection.places[static_cast<std::size_t>(lane)] = static_cast<std::int32_t>(place);
}

}  // namespace

bool Permutation::fits(std::int64_t source, std::int64_t count, VectorSet set) noexcept {
  return LINSEED_PERMUTES && set == VectorSet::avx512 && source <= most_source && count <= 4 * most_result;
}

Permutation::Permutation(std::span<const std::int64_t> places, std::int64_t source)
    : selections_(static_cast<std::size_t>(vectors_of(std::ssize(places)))), second_(second_vector(source)) {
  for (std::int64_t i = 0; i < std::ssize(places); ++i)
    select(selections_[static_cast<std::size_t>(i / lanes)], i % lanes, places[static_cast<std::size_t>(i)]);
}

bool PermutedProduct::fits(const MatrixProduct& p, VectorSet set) noexcept {
  return LINSEED_PERMUTES && set == VectorSet::avx512 && p.rows * p.depth <= most_source &&
         p.columns * p.depth <= most_source && p.rows * p.columns <= most_result;
}

PermutedProduct::PermutedProduct(const MatrixProduct& p)
    : factors_(static_cast<std::size_t>(vectors_of(p.rows * p.columns) * p.depth)),
      depth_(p.depth),
      second_left_(second_vector(p.rows * p.depth)),
      second_right_(second_vector(p.columns * p.depth)) {
  for (std::int64_t i = 0; i < p.rows * p.columns; ++i) {
    for (std::int64_t k = 0; k < p.depth; ++k) {
      Factors& factors = factors_[static_cast<std::size_t>(i / lanes * p.depth + k)];
      select(factors.left, i % lanes, i / p.columns * p.left.row + k * p.left.depth);
      select(factors.right, i % lanes, i % p.columns * p.right.row + k * p.right.depth);
    }
  }
}

#if LINSEED_PERMUTES

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")

namespace {

/// Elements of an array of at most two vectors.
struct Source {
  __m512 first, second;

  Source(const float* from, std::int64_t second_at)
      : first(_mm512_loadu_ps(from)), second(_mm512_loadu_ps(from + second_at)) {}
  [[nodiscard]] __m512 operator[](const Selection& selection) const {
    return _mm512_permutex2var_ps(first, _mm512_load_si512(&selection), second);
  }
};

}  // namespace

void Permutation::operator()(const float* x, float* y) const noexcept {
  const Source source(x, second_);
  const Selection* const selections = selections_.data();
  const auto count = static_cast<std::int64_t>(selections_.size());
  for (std::int64_t i = 0; i < count; ++i) _mm512_storeu_ps(y + i * lanes, source[selections[i]]);
}

void PermutedProduct::operator()(const float* left, const float* right, float* result) const noexcept {
  const Source lefts(left, second_left_), rights(right, second_right_);
  const Factors* factors = factors_.data();
  for (const Factors* const end = factors + factors_.size(); factors != end; result += lanes) {
    __m512 sum = _mm512_setzero_ps();
    for (const Factors* const last = factors + depth_; factors != last; ++factors)
      sum = _mm512_fmadd_ps(lefts[factors->left], rights[factors->right], sum);
    _mm512_storeu_ps(result, sum);
  }
}

#pragma GCC pop_options

#else

void Permutation::operator()(const float*, float*) const noexcept {}
void PermutedProduct::operator()(const float*, const float*, float*) const noexcept {}

#endif

}  // namespace linseed::kernels::cpu
