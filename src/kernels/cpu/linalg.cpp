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

/// A contraction as products of matrices, one per batch, each operand a stack of matrices.
struct Products {
  std::int64_t batches, rows, columns, depth;
  bool left_contracted_first, right_contracted_first;

  [[nodiscard]] MatrixStrides left() const noexcept {
    return left_contracted_first ? MatrixStrides{1, rows} : MatrixStrides{depth, 1};
  }
  [[nodiscard]] MatrixStrides right() const noexcept {
    return right_contracted_first ? MatrixStrides{1, columns} : MatrixStrides{depth, 1};
  }
};

std::optional<Products> products_of(const Attributes& attributes, const Shape& left_shape,
                                    const Shape& right_shape) noexcept {
  const auto& dot = std::get<attr::Dot>(attributes);
  const Matrices left = matrices_of(left_shape, dot.lhs_batch, dot.lhs_contract);
  const Matrices right = matrices_of(right_shape, dot.rhs_batch, dot.rhs_contract);
  Products products{1, left.free, right.free, 1, left.contracted_first, right.contracted_first};
  for (const int axis : dot.lhs_batch) products.batches *= left_shape[static_cast<std::size_t>(axis)];
  for (const int axis : dot.lhs_contract) products.depth *= left_shape[static_cast<std::size_t>(axis)];
  const bool empty = products.batches * products.rows * products.columns * products.depth == 0;
  return left.possible && right.possible && !empty ? std::optional(products) : std::nullopt;
}

}  // namespace

std::optional<SmallGemm> small_gemm(const Attributes& attributes, const Shape& left, const Shape& right) {
  const auto products = products_of(attributes, left, right);
  if (!products || products->batches != 1 || !SmallGemm::fits(products->rows, products->columns, products->depth))
    return std::nullopt;
  return SmallGemm(products->rows, products->columns, products->depth, products->left(), products->right());
}

void dot_general(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                 const Executor& executor) noexcept {
  const auto products = products_of(attributes, inputs[0].shape, inputs[1].shape);
  if (!is_floating(output.dtype) || !products) return reference::dot_general(attributes, inputs, output, executor);
  const Products p = *products;
  const MatrixStrides left = p.left(), right = p.right();
  const Grid grid(p.rows, p.columns);
  linseed::detail::visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const T* const a = inputs[0].as<T>();
    const T* const b = inputs[1].as<T>();
    T* const result = output.as<T>();
    const std::int64_t size = p.rows * p.columns * p.depth;
    if (size > large_product) {
      const auto leading = [](MatrixStrides factor) { return static_cast<int>(std::max(factor.row, factor.depth)); };
      const std::lock_guard turn(blas_turn());
      for (std::int64_t batch = 0; batch < p.batches; ++batch) {
        cxxblas::gemm<int>(cxxblas::RowMajor, p.left_contracted_first ? cxxblas::Trans : cxxblas::NoTrans,
                           p.right_contracted_first ? cxxblas::NoTrans : cxxblas::Trans, static_cast<int>(p.rows),
                           static_cast<int>(p.columns), static_cast<int>(p.depth), T{1}, a + batch * p.rows * p.depth,
                           leading(left), b + batch * p.columns * p.depth, leading(right), T{0},
                           result + batch * p.rows * p.columns, static_cast<int>(p.columns));
      }
      return;
    }
    if (p.batches == 1 && size >= packing_pays && std::min(p.rows, p.columns) >= packing_uses) {
      if (dense_gemm(p.rows, p.columns, p.depth, a, left, b, right, result, executor)) return;
    }
    executor.parallel_for(p.batches * grid.tasks(), [&](std::int64_t task) {
      const std::int64_t batch = task / grid.tasks();
      const auto [row, row_count, column, column_count] = grid.block(task % grid.tasks());
      Lattice row_places, depth_places;
      row_places.extent[3] = row_count;
      row_places.stride[0][3] = left.row;
      row_places.stride[1][3] = p.columns;
      row_places.first[0] = row * left.row;
      row_places.first[1] = row * p.columns;
      depth_places.extent[3] = p.depth;
      depth_places.stride[0][3] = left.depth;
      depth_places.stride[1][3] = right.depth;
      offset_gemm(a + batch * p.rows * p.depth, row_places, depth_places,
                  b + batch * p.columns * p.depth + column * right.row, {column_count, right.row},
                  result + batch * p.rows * p.columns + column, /*accumulate=*/false);
    });
  });
}

std::optional<std::int64_t> columns_of_rows(const Attributes& attributes, const Shape& left,
                                            const Shape& right) noexcept {
  constexpr std::int64_t most_columns = 4096;  // rows of so many that are used at once stay in the second cache
  const auto p = products_of(attributes, left, right);
  if (!p || p->batches != 1 || p->columns > most_columns) return std::nullopt;
  const std::int64_t size = p->rows * p->columns * p->depth;
  const bool packs = size >= packing_pays && size <= large_product && std::min(p->rows, p->columns) >= packing_uses;
  return packs ? std::optional(p->columns) : std::nullopt;
}

void dot_general_rows(const Attributes& attributes, std::span<const Input> inputs, float* memory, const RowUser& user,
                      const Executor& executor) noexcept {
  const Products p = *products_of(attributes, inputs[0].shape, inputs[1].shape);
  dense_gemm_rows(p.rows, p.columns, p.depth, inputs[0].as<float>(), p.left(), inputs[1].as<float>(), p.right(), memory,
                  user, executor);
}

}  // namespace linseed::kernels::cpu
