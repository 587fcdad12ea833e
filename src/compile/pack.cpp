#include "compile/pack.hpp"

#include <algorithm>

namespace linseed::compile {

std::size_t pack(std::vector<Block>& blocks) {
  std::vector<Block*> order;
  for (Block& block : blocks) order.push_back(&block);
  std::stable_sort(order.begin(), order.end(), [](const Block* a, const Block* b) { return a->bytes > b->bytes; });
  std::size_t total = 0;
  std::vector<const Block*> placed, neighbours;
  for (Block* block : order) {
    neighbours.clear();
    for (const Block* other : placed) {
      if (block->meets(*other)) neighbours.push_back(other);
    }
    std::sort(neighbours.begin(), neighbours.end(),
              [](const Block* a, const Block* b) { return a->offset < b->offset; });
    std::size_t end = 0, best = 0, best_gap = static_cast<std::size_t>(-1);
    for (const Block* other : neighbours) {
      if (other->offset > end && other->offset - end >= block->bytes && other->offset - end < best_gap) {
        best = end;
        best_gap = other->offset - end;
      }
      end = std::max(end, other->offset + other->bytes);
    }
    block->offset = best_gap == static_cast<std::size_t>(-1) ? end : best;
    total = std::max(total, block->offset + block->bytes);
    placed.push_back(block);
  }
  return total;
}

std::size_t peak(const std::vector<Block>& blocks, std::size_t steps) {
  std::size_t result = 0;
  for (std::size_t step = 0; step < steps; ++step) {
    std::size_t live = 0;
    for (const Block& block : blocks) {
      if (block.first <= static_cast<int>(step) && static_cast<int>(step) <= block.last) live += block.bytes;
    }
    result = std::max(result, live);
  }
  return result;
}

}  // namespace linseed::compile
