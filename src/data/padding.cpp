#include <linseed/data/padding.hpp>

#include <utility>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::data::detail {

std::vector<Array> pad_leaves(std::span<const Array> leaves, std::int64_t size) {
  if (leaves.empty()) throw ValueError("padded", "The batch holds no Array.");
  std::vector<Array> result;
  for (const Array& leaf : leaves) {
    if (leaf.rank() == 0 || leaf.extent(0) != leaves[0].extent(0)) {
      throw ShapeError("padded", "The Arrays of the batch differ in their number of examples.",
                       {.got = fmt::format("{} and {}", describe(leaves[0]), describe(leaf)),
                        .expected = "one and the same extent of the first axis"});
    }
    if (leaf.extent(0) > size) {
      throw ValueError(
          "padded", "The batch is larger than what it is to be filled up to.",
          {.got = fmt::format("{} examples", leaf.extent(0)), .expected = fmt::format("at most {}", size)});
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> widths(leaf.shape().size());
    widths[0].second = size - leaf.extent(0);
    result.push_back(pad(leaf, widths));
  }
  result.push_back(arange(size, DType::int32) < leaves[0].extent(0));
  return result;
}

}  // namespace linseed::data::detail
