#include <linseed/core/dtype.hpp>

#include <algorithm>
#include <array>

namespace linseed {

namespace {
struct Row {
  std::string_view name;
  std::size_t size;
};
constexpr std::array<Row, 7> rows{
    {{"bool", 1}, {"uint8", 1}, {"int32", 4}, {"uint32", 4}, {"int64", 8}, {"float32", 4}, {"float64", 8}}};
}  // namespace

std::string_view to_string(DType dtype) noexcept { return rows[static_cast<std::size_t>(dtype)].name; }

std::size_t size_of(DType dtype) noexcept { return rows[static_cast<std::size_t>(dtype)].size; }

// The enumerators stand in lattice order, so the join is the larger one but for the pair of different signs.
DType promote(DType a, DType b) noexcept {
  const auto [low, high] = std::minmax(a, b);
  return low == DType::int32 && high == DType::uint32 ? DType::int64 : high;
}

}  // namespace linseed
