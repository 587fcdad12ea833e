#include "kernels/linalg.hpp"

#include <algorithm>
#include <mutex>

#include <xtensor-blas/xblas.hpp>

#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/dtypes.hpp"

namespace linseed::kernels::cpu {

namespace {

using AxisList = InlineVector<int, max_rank>;

/// An operand as a stack of matrices in memory, when its axes allow that without moving elements.
struct Matrices {
  bool possible = false;
  bool contracted_first = false;  // [batch, contracted, free] instead of [batch, free, contracted]
  std::int64_t free = 1;
};

Matrices matrices_of(const Shape& shape, const AxisList& batch, const AxisList& contract) noexcept {
  Matrices result;
  const int batches = static_cast<int>(batch.size());
  const int contracts = static_cast<int>(contract.size());
  const int rank = shape.rank();
  const auto counts_from = [](const AxisList& axes, int first) {
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] != first + static_cast<int>(i)) return false;
    }
    return true;
  };
  if (!counts_from(batch, 0)) return result;
  if (counts_from(contract, rank - contracts)) {
    result.possible = true;
  } else if (counts_from(contract, batches)) {
    result.possible = result.contracted_first = true;
  }
  std::int64_t paired = 1;
  for (const int axis : batch) paired *= shape[static_cast<std::size_t>(axis)];
  for (const int axis : contract) paired *= shape[static_cast<std::size_t>(axis)];
  result.free = paired == 0 ? 0 : shape.elements() / paired;
  return result;
}

// The serial OpenBLAS shares one work buffer between all callers: two products at a time spoil each other. So products
// take turns, and the executor's other threads wait. It is for products so large that it wins all the same.
constexpr std::int64_t large_product = std::int64_t{1} << 28;  // multiply-adds

constexpr std::int64_t packing_pays = std::int64_t{1} << 20;  // multiply-adds, too
constexpr std::int64_t packing_uses = 32;                     // of every packed element: not for a few rows or columns

std::mutex& blas_turn() noexcept {
  static std::mutex mutex;
  return mutex;
}

/// A result cut into blocks, one per task. Tall blocks pack the right factor less often; few of them are cut smaller,
/// so that there is something to share.
class Grid {
 public:
  struct Block {
    std::int64_t row, rows, column, columns;
  };

  Grid(std::int64_t rows, std::int64_t columns) noexcept : rows_(rows), columns_(columns) {
    constexpr std::int64_t enough = 8;
    while (tasks() < enough && height_ > 32) height_ /= 2;
  }
  [[nodiscard]] std::int64_t tasks() const noexcept { return up(rows_, height_) * up(columns_, width); }
  [[nodiscard]] Block block(std::int64_t task) const noexcept {
    const std::int64_t row = task / up(columns_, width) * height_, column = task % up(columns_, width) * width;
    return {row, std::min(height_, rows_ - row), column, std::min(width, columns_ - column)};
  }

 private:
  static constexpr std::int64_t width = 128;
  static std::int64_t up(std::int64_t count, std::int64_t block) noexcept { return (count + block - 1) / block; }

  std::int64_t rows_, columns_, height_ = 256;
};

}  // namespace

void dot_general(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                 const Executor& executor) noexcept {
  const auto& dot = std::get<attr::Dot>(attributes);
  const Matrices left = matrices_of(inputs[0].shape, dot.lhs_batch, dot.lhs_contract);
  const Matrices right = matrices_of(inputs[1].shape, dot.rhs_batch, dot.rhs_contract);
  std::int64_t batches = 1;
  std::int64_t depth = 1;
  for (const int axis : dot.lhs_batch) batches *= inputs[0].shape[static_cast<std::size_t>(axis)];
  for (const int axis : dot.lhs_contract) depth *= inputs[0].shape[static_cast<std::size_t>(axis)];
  if (!is_floating(output.dtype) || !left.possible || !right.possible || output.shape.elements() == 0 || depth == 0) {
    return reference::dot_general(attributes, inputs, output, executor);
  }
  const std::int64_t rows = left.free;
  const std::int64_t columns = right.free;
  const Grid grid(rows, columns);
  linseed::detail::visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    if (rows * columns * depth > large_product) {
      const std::lock_guard turn(blas_turn());
      for (std::int64_t batch = 0; batch < batches; ++batch) {
        cxxblas::gemm<int>(
            cxxblas::RowMajor, left.contracted_first ? cxxblas::Trans : cxxblas::NoTrans,
            right.contracted_first ? cxxblas::NoTrans : cxxblas::Trans, static_cast<int>(rows),
            static_cast<int>(columns), static_cast<int>(depth), T{1}, inputs[0].as<T>() + batch * rows * depth,
            static_cast<int>(left.contracted_first ? rows : depth), inputs[1].as<T>() + batch * columns * depth,
            static_cast<int>(right.contracted_first ? columns : depth), T{0}, output.as<T>() + batch * rows * columns,
            static_cast<int>(columns));
      }
      return;
    }
    if (batches == 1 && rows * columns * depth >= packing_pays && std::min(rows, columns) >= packing_uses) {
      const MatrixStrides left_strides{left.contracted_first ? 1 : depth, left.contracted_first ? rows : 1};
      const MatrixStrides right_strides{right.contracted_first ? 1 : depth, right.contracted_first ? columns : 1};
      if (dense_gemm(rows, columns, depth, inputs[0].as<T>(), left_strides, inputs[1].as<T>(), right_strides,
                     output.as<T>(), executor))
        return;
    }
    executor.parallel_for(batches * grid.tasks(), [&](std::int64_t task) {
      const std::int64_t batch = task / grid.tasks();
      const auto [row, row_count, column, column_count] = grid.block(task % grid.tasks());
      Lattice row_places, depth_places;
      row_places.extent[3] = row_count;
      row_places.stride[0][3] = left.contracted_first ? 1 : depth;
      row_places.stride[1][3] = columns;
      row_places.first[0] = row * row_places.stride[0][3];
      row_places.first[1] = row * columns;
      depth_places.extent[3] = depth;
      depth_places.stride[0][3] = left.contracted_first ? rows : 1;
      depth_places.stride[1][3] = right.contracted_first ? columns : 1;
      const std::int64_t column_stride = right.contracted_first ? 1 : depth;
      offset_gemm(inputs[0].as<T>() + batch * rows * depth, row_places, depth_places,
                  inputs[1].as<T>() + batch * columns * depth + column * column_stride, {column_count, column_stride},
                  output.as<T>() + batch * rows * columns + column, /*accumulate=*/false);
    });
  });
}

}  // namespace linseed::kernels::cpu
