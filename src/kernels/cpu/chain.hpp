#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/chain.hpp"
#include "kernels/tape.hpp"

// The functions of two operands that chains know.
#define LINSEED_CHAIN_FUNCTIONS(X) \
  X(Add)                           \
  X(Sub)                           \
  X(Mul) X(Div) X(Maximum) X(Minimum) X(Equal) X(NotEqual) X(Less) X(LessEqual) X(LogicalAnd) X(LogicalOr)

// Those of them that two of make one step.
#define LINSEED_CHAIN_PAIR_FUNCTIONS(X) X(Add) X(Sub) X(Mul)

namespace linseed::kernels::cpu {

/// Cuts a tape's instructions into stretches, and makes chains of those that have more than one loop.
void make_chains(Tape& tape);

/// The chains of a tape whose places have addresses.
class BoundChains {
 public:
  static constexpr std::size_t most_steps = 96;

  /// How a place moves from tile to tile and within one.
  enum class Motion : std::uint8_t { none, in_tile, floats, bytes };
  struct Base {
    std::byte* address;
    Motion motion;
  };

  BoundChains() noexcept = default;  ///< none
  BoundChains(std::span<const ChainStep> steps, std::span<const Base> places, VectorSet set) noexcept;

  /// Runs the chain that begins with a step over `count` elements, a multiple of `chain_elements`, from the tile on
  /// that begins at an index: a part of this tile, or whole tiles.
  void run(std::size_t step, std::int64_t begin, std::int64_t count, std::int64_t tile) const noexcept;

  struct Step {
    void (*run)();  ///< stands for a function of eight vectors, this step, and how far each motion has come
    Loop loop;
    std::array<std::byte*, 4> places;
    std::array<Motion, 4> motions;
  };

 private:
  std::array<Step, most_steps> steps_;
  VectorSet set_ = VectorSet::portable;
};

}  // namespace linseed::kernels::cpu
