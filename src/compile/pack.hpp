#pragma once

#include <cstddef>
#include <vector>

namespace linseed::compile {

constexpr std::size_t alignment = 64;

constexpr std::size_t aligned(std::size_t bytes) noexcept { return (bytes + alignment - 1) / alignment * alignment; }

/// A piece of memory and the steps during which it is needed.
struct Block {
  int first, last;
  std::size_t bytes;
  std::size_t offset = 0;
  [[nodiscard]] bool meets(const Block& other) const noexcept { return first <= other.last && other.first <= last; }
};

/// Gives every block an offset so that blocks needed at the same time do not overlap: large ones first, each into the
/// smallest gap that holds it. Returns the size of the whole.
std::size_t pack(std::vector<Block>& blocks);

/// The most bytes that are needed during one of `steps` steps.
std::size_t peak(const std::vector<Block>& blocks, std::size_t steps);

}  // namespace linseed::compile
