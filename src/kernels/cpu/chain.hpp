#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/chain.hpp"
#include "kernels/tape.hpp"

namespace linseed::kernels::cpu {

/// A chain whose places have addresses.
class BoundChain {
 public:
  static constexpr std::size_t most_steps = 95;

  /// How a place moves from tile to tile and within one.
  enum class Motion : std::uint8_t { none, in_tile, floats, bytes };
  struct Base {
    std::byte* address;
    Motion motion;
  };

  BoundChain(std::span<const ChainStep> steps, std::span<const Base> places, VectorSet set) noexcept;

  /// Runs over `count` elements, a multiple of `chain_elements`, of the tile that begins at an index.
  void operator()(std::int64_t begin, std::int64_t count) const noexcept;

  struct Step {
    void (*run)();  ///< stands for a function of eight vectors, this step, and how far each motion has come
    Loop loop;
    std::array<std::byte*, 4> places;
    std::array<Motion, 4> motions;
  };

 private:
  std::array<Step, most_steps + 1> steps_;
  VectorSet set_;
};

}  // namespace linseed::kernels::cpu
