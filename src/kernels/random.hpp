#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/kernel.hpp"

namespace linseed::kernels {

/// A key or a block of a counter-based generator.
struct Words {
  std::uint32_t first = 0, second = 0;
};

/// Threefry-2x32 with 20 rounds: a bijection of 64-bit counters for each key (Salmon et al. 2011).
[[gnu::always_inline]] inline Words threefry2x32(Words key, Words counter) noexcept {
  const std::uint32_t schedule[3] = {key.first, key.second, key.first ^ key.second ^ 0x1BD11BDAu};
  constexpr int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  std::uint32_t a = counter.first + schedule[0];
  std::uint32_t b = counter.second + schedule[1];
#pragma GCC unroll 5
  for (std::uint32_t group = 0; group < 5; ++group) {
#pragma GCC unroll 4
    for (int round = 0; round < 4; ++round) {
      a += b;
      b = std::rotl(b, rotations[group % 2][round]) ^ a;
    }
    a += schedule[(group + 1) % 3];
    b += schedule[(group + 2) % 3] + group + 1;
  }
  return {a, b};
}

/// The block that belongs to element `index` of a draw, or to child key `index`.
[[gnu::always_inline]] inline Words threefry2x32(Words key, std::uint64_t index) noexcept {
  return threefry2x32(key, Words{static_cast<std::uint32_t>(index >> 32), static_cast<std::uint32_t>(index)});
}

/// 32 random bits.
[[gnu::always_inline]] inline std::uint32_t bits32(Words block) noexcept { return block.first ^ block.second; }
/// 64 random bits.
[[gnu::always_inline]] inline std::uint64_t bits64(Words block) noexcept {
  return std::uint64_t{block.first} << 32 | block.second;
}

/// A multiple of 2^-23 (2^-52) in [0, 1): random bits become the fraction of a number in [1, 2).
template <class T>
[[gnu::always_inline]] inline T unit_interval(Words block) noexcept {
  if constexpr (sizeof(T) == 4) {
    return std::bit_cast<float>(bits32(block) >> 9 | 0x3F800000u) - 1.0f;
  } else {
    return std::bit_cast<double>(bits64(block) >> 12 | 0x3FF0000000000000u) - 1.0;
  }
}

/// Uniform in [low, low + span), one rounding: XLA fuses the multiply-add.
template <class T>
[[gnu::always_inline]] inline T uniform(Words block, T low, T span) noexcept {
  return std::max(low, std::fma(unit_interval<T>(block), span, low));
}

/// Integers in [low, low + span) by reducing 64 bits; a span of 0 stands for 2^32.
struct IntegerRange {
  Words high_key, low_key;  // of the upper and of the lower 32 bits
  std::uint32_t low = 0, span = 1;
  std::uint32_t multiplier = 0;  // 2^32 mod span

  IntegerRange(Words key, std::int64_t low_bound, std::int64_t high_bound) noexcept
      : high_key(threefry2x32(key, 0)), low_key(threefry2x32(key, 1)), low(static_cast<std::uint32_t>(low_bound)) {
    span = high_bound <= low_bound ? 1 : static_cast<std::uint32_t>(high_bound - low_bound);
    if (span != 0) {
      multiplier = 65536u % span;
      multiplier = multiplier * multiplier % span;
    }
  }
  [[gnu::always_inline]] std::int32_t operator()(std::uint64_t index) const noexcept {
    const std::uint32_t upper = bits32(threefry2x32(high_key, index));
    const std::uint32_t lower = bits32(threefry2x32(low_key, index));
    const std::uint32_t offset = span == 0 ? lower : ((upper % span) * multiplier + lower % span) % span;
    return static_cast<std::int32_t>(low + offset);
  }
};

inline Words key_of(const Input& key) noexcept { return {key.as<std::uint32_t>()[0], key.as<std::uint32_t>()[1]}; }

#define LINSEED_KERNEL(name) \
  void name(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept

namespace reference {
LINSEED_KERNEL(random_bits);
LINSEED_KERNEL(random_uniform);
LINSEED_KERNEL(random_randint);
LINSEED_KERNEL(random_split);
LINSEED_KERNEL(random_fold_in);
LINSEED_KERNEL(random_orthogonal);
LINSEED_KERNEL(random_gamma);
LINSEED_KERNEL(random_loggamma);
}  // namespace reference

namespace cpu {
LINSEED_KERNEL(random_bits);
LINSEED_KERNEL(random_uniform);
}  // namespace cpu

#undef LINSEED_KERNEL

}  // namespace linseed::kernels
