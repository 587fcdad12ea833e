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
  [[nodiscard]] MatrixProduct matrices() const noexcept { return {rows, columns, depth, left(), right()}; }
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

// ---- which routine it is ----

enum class Routine { reference, small, offset, dense, blas };
enum class Blas { allowed, excluded };

constexpr std::string_view name_of(Routine routine) noexcept {
  switch (routine) {
    case Routine::small: return "small_gemm";
    case Routine::offset: return "offset_gemm";
    case Routine::dense: return "dense_gemm";
    case Routine::blas: return "blas";
    default: return "reference";
  }
}

Routine routine_for(const std::optional<Products>& p, DType dtype, Blas blas) noexcept {
  if (!is_floating(dtype) || !p) return Routine::reference;
  const std::int64_t size = p->rows * p->columns * p->depth;
  if (size > large_product && blas == Blas::allowed) return Routine::blas;
  if (p->batches > 1) return Routine::offset;
  if (dtype == DType::float32 && SmallGemm::fits(p->matrices())) return Routine::small;
  return size >= packing_pays && std::min(p->rows, p->columns) >= packing_uses ? Routine::dense : Routine::offset;
}

Choice choose(const Attributes& attributes, std::span<const Input> inputs, const Output& output, Blas blas) noexcept {
  std::int64_t terms = 1;
  for (const int axis : std::get<attr::Dot>(attributes).lhs_contract)
    terms *= inputs[0].shape[static_cast<std::size_t>(axis)];
  const auto products = products_of(attributes, inputs[0].shape, inputs[1].shape);
  return {name_of(routine_for(products, output.dtype, blas)), 2 * terms * output.shape.elements()};
}

void multiply(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
              const Executor& executor, Blas blas) noexcept {
  const auto products = products_of(attributes, inputs[0].shape, inputs[1].shape);
  const Routine routine = routine_for(products, output.dtype, blas);
  if (routine == Routine::reference) return reference::dot_general(attributes, inputs, output, executor);
  const Products p = *products;
  const MatrixStrides left = p.left(), right = p.right();
  const Grid grid(p.rows, p.columns);
  linseed::detail::visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const T* const a = inputs[0].as<T>();
    const T* const b = inputs[1].as<T>();
    T* const result = output.as<T>();
    if (routine == Routine::blas) {
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
    if (routine == Routine::dense && dense_gemm(p.rows, p.columns, p.depth, a, left, b, right, result, executor))
      return;
    // Small ones too, when they come without a table of their places; and dense ones when memory is short.
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
                  result + batch * p.rows * p.columns + column, /*accumulate=*/false, executor.vectors());
    });
  });
}

}  // namespace

void dot_general(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                 const Executor& executor) noexcept {
  multiply(attributes, inputs, output, executor, Blas::allowed);
}
void dot_general_portable(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                          const Executor& executor) noexcept {
  multiply(attributes, inputs, output, executor, Blas::excluded);
}

Choice choose_dot(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                  VectorSet) noexcept {
  return choose(attributes, inputs, output, Blas::allowed);
}
Choice choose_dot_portable(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                           VectorSet) noexcept {
  return choose(attributes, inputs, output, Blas::excluded);
}

bool uses_blas(const Attributes& attributes, const Shape& left, const Shape& right, DType dtype) noexcept {
  return routine_for(products_of(attributes, left, right), dtype, Blas::allowed) == Routine::blas;
}

std::optional<MatrixProduct> small_product(const Attributes& attributes, const Shape& left, const Shape& right,
                                           DType dtype) {
  const auto products = products_of(attributes, left, right);
  if (routine_for(products, dtype, Blas::allowed) != Routine::small) return std::nullopt;
  return products->matrices();
}

}  // namespace linseed::kernels::cpu
