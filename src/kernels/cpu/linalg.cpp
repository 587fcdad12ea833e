#include "kernels/linalg.hpp"

#include <algorithm>
#include <array>
#include <mutex>

#include <xtensor-blas/xblas.hpp>

#include "kernels/cpu/dense_gemm.hpp"
#include "kernels/cpu/row_dots.hpp"
#include "kernels/dtypes.hpp"

namespace linseed::kernels::cpu {

namespace {

using AxisList = InlineVector<int, max_rank>;

/// One axis of a contraction, or several that lie like one: its extent, and how far apart neighbours lie in the
/// operands and in the result.
struct Dimension {
  std::int64_t extent = 1, left = 0, right = 0, result = 0;
};
using Dimensions = InlineVector<Dimension, 2 * max_rank>;

/// Drops axes of one place and joins those that lie one inside the other everywhere.
void join(Dimensions& dimensions) noexcept {
  Dimensions joined;
  for (const Dimension& d : dimensions) {
    if (d.extent == 1) continue;
    if (!joined.empty()) {
      Dimension& outer = joined.back();
      if (outer.left == d.extent * d.left && outer.right == d.extent * d.right && outer.result == d.extent * d.result) {
        outer = {outer.extent * d.extent, d.left, d.right, d.result};
        continue;
      }
    }
    joined.push_back(d);
  }
  dimensions = joined;
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

  Grid(std::int64_t batches, std::int64_t rows, std::int64_t columns) noexcept : rows_(rows), columns_(columns) {
    constexpr std::int64_t enough = 8;
    while (batches * tasks() < enough && height_ > 32) height_ /= 2;
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

/// A contraction as products of matrices, one for each point of `outer`; rows and depth may be several axes.
struct Products {
  bool swapped = false;  // left and right
  Dimensions outer, row_axes, depth_axes;
  Dimension column;
  std::int64_t batches = 1, rows = 1, depth = 1;

  /// Whether each is a product of two plain matrices.
  [[nodiscard]] bool is_plain() const noexcept { return row_axes.size() <= 1 && depth_axes.size() <= 1; }
  [[nodiscard]] MatrixStrides left() const noexcept { return {axis(row_axes).left, axis(depth_axes).left}; }
  [[nodiscard]] MatrixStrides right() const noexcept { return {column.right, axis(depth_axes).right}; }
  [[nodiscard]] std::int64_t result_stride() const noexcept { return axis(row_axes).result; }

  /// Where the operands and the result of one product begin.
  [[nodiscard]] Dimension begin(std::int64_t batch) const noexcept {
    Dimension at;
    for (std::size_t i = outer.size(); i-- > 0; batch /= outer[i].extent) {
      const std::int64_t index = batch % outer[i].extent;
      at.left += index * outer[i].left, at.right += index * outer[i].right, at.result += index * outer[i].result;
    }
    return at;
  }
  /// Rows from `first` on, of a plain product, or all.
  [[nodiscard]] Lattice row_lattice(std::int64_t first, std::int64_t count) const noexcept {
    Lattice lattice = lattice_of(row_axes, &Dimension::left, &Dimension::result);
    if (row_axes.size() <= 1) lattice.extent[3] = count;
    lattice.first[0] = first * axis(row_axes).left;
    lattice.first[1] = first * axis(row_axes).result;
    return lattice;
  }
  [[nodiscard]] Lattice depth_lattice() const noexcept {
    return lattice_of(depth_axes, &Dimension::left, &Dimension::right);
  }

 private:
  static Dimension axis(const Dimensions& axes) noexcept { return axes.empty() ? Dimension{} : axes.back(); }
  static Lattice lattice_of(const Dimensions& axes, std::int64_t Dimension::*first,
                            std::int64_t Dimension::*second) noexcept {
    Lattice lattice;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const std::size_t at = 4 - axes.size() + i;
      lattice.extent[at] = axes[i].extent;
      lattice.stride[0][at] = axes[i].*first;
      lattice.stride[1][at] = axes[i].*second;
    }
    return lattice;
  }
};

std::optional<Products> products_of(const Attributes& attributes, const Shape& left_shape, const Shape& right_shape,
                                    bool may_swap) noexcept {
  if (left_shape.elements() == 0 || right_shape.elements() == 0) return std::nullopt;
  const auto& dot = std::get<attr::Dot>(attributes);
  const auto left_strides = strides_of(left_shape), right_strides = strides_of(right_shape);
  Products p;
  Dimensions columns;
  for (std::size_t i = 0; i < dot.lhs_batch.size(); ++i) {
    const auto l = static_cast<std::size_t>(dot.lhs_batch[i]), r = static_cast<std::size_t>(dot.rhs_batch[i]);
    p.outer.push_back({left_shape[l], left_strides[l], right_strides[r]});
  }
  for (std::size_t i = 0; i < dot.lhs_contract.size(); ++i) {
    const auto l = static_cast<std::size_t>(dot.lhs_contract[i]), r = static_cast<std::size_t>(dot.rhs_contract[i]);
    p.depth_axes.push_back({left_shape[l], left_strides[l], right_strides[r]});
  }
  const auto is_in = [](const AxisList& axes, std::size_t axis) {
    return std::find(axes.begin(), axes.end(), static_cast<int>(axis)) != axes.end();
  };
  for (std::size_t axis = 0; axis < left_shape.size(); ++axis) {
    if (!is_in(dot.lhs_batch, axis) && !is_in(dot.lhs_contract, axis))
      p.row_axes.push_back({left_shape[axis], left_strides[axis], 0});
  }
  for (std::size_t axis = 0; axis < right_shape.size(); ++axis) {
    if (!is_in(dot.rhs_batch, axis) && !is_in(dot.rhs_contract, axis))
      columns.push_back({right_shape[axis], 0, right_strides[axis]});
  }
  std::int64_t step = 1;
  for (Dimensions* axes : {&columns, &p.row_axes, &p.outer}) {
    for (std::size_t i = axes->size(); i-- > 0; step *= (*axes)[i].extent) (*axes)[i].result = step;
  }
  for (Dimensions* axes : {&columns, &p.row_axes, &p.outer, &p.depth_axes}) join(*axes);

  if (may_swap && columns.empty() && !p.row_axes.empty()) {  // a matrix by a vector: the other way round
    p.swapped = true;
    std::swap(columns, p.row_axes);
    for (Dimensions* axes : {&columns, &p.outer, &p.depth_axes}) {
      for (Dimension& d : *axes) std::swap(d.left, d.right);
    }
  }
  constexpr std::size_t lattice_axes = 4;
  if (p.depth_axes.size() > lattice_axes) return std::nullopt;
  if (!columns.empty()) {
    p.column = columns.back();
    for (std::size_t i = 0; i + 1 < columns.size(); ++i) p.outer.push_back(columns[i]);
  } else {
    p.column.right = p.column.result = 1;
  }
  while (p.row_axes.size() > lattice_axes) {
    p.outer.push_back(p.row_axes[0]);
    p.row_axes.erase(0);
  }
  for (const Dimension& d : p.outer) p.batches *= d.extent;
  for (const Dimension& d : p.row_axes) p.rows *= d.extent;
  for (const Dimension& d : p.depth_axes) p.depth *= d.extent;
  return p;
}

/// Whether rows of both factors, whose points of depth are neighbours, are better multiplied as they are than packed.
bool suits_row_dots(std::int64_t rows, std::int64_t columns, std::int64_t depth) noexcept {
  constexpr std::int64_t few_uses = 8, long_enough = 32;
  return std::min(rows, columns) <= few_uses && depth >= long_enough;
}

void by_row_dots(const Products& p, const float* left, const float* right, float* result,
                 const Executor& executor) noexcept {
  constexpr std::int64_t task_products = 1 << 16, quantum = 16;
  const std::int64_t columns = p.column.extent;
  const std::int64_t fitting = task_products / (p.rows * p.depth) / quantum * quantum;
  const std::int64_t width = std::min(std::max(fitting, quantum), columns), tasks = (columns + width - 1) / width;
  executor.parallel_for(p.batches * tasks, [&](std::int64_t task) {
    const Dimension at = p.begin(task / tasks);
    const std::int64_t column = task % tasks * width;
    row_dots({.left = left + at.left,
              .left_row = p.left().row,
              .rows = p.rows,
              .right = right + at.right + column * p.right().row,
              .right_row = p.right().row,
              .columns = std::min(width, columns - column),
              .depth = p.depth,
              .result = result + at.result + column,
              .result_row = p.result_stride()},
             executor.vectors());
  });
}

// ---- which routine it is ----

/// What a contraction computes, if that is one product of matrices.
std::optional<MatrixProduct> matrix_product(const Attributes& attributes, const Shape& left, const Shape& right) {
  const auto p = products_of(attributes, left, right, /*may_swap=*/false);
  if (!p || p->batches != 1 || !p->is_plain()) return std::nullopt;
  return MatrixProduct{p->rows, p->column.extent, p->depth, p->left(), p->right()};
}

enum class Routine { reference, small, offset, dense, row_dots, blas };
enum class Blas { allowed, excluded };

constexpr std::string_view name_of(Routine routine) noexcept {
  switch (routine) {
    case Routine::small: return "small_gemm";
    case Routine::offset: return "offset_gemm";
    case Routine::dense: return "dense_gemm";
    case Routine::row_dots: return "row_dots";
    case Routine::blas: return "blas";
    default: return "reference";
  }
}

/// Whether a product of so many rows, columns and points of depth is worth the packing of its factors.
bool suits_packing(std::int64_t rows, std::int64_t columns, std::int64_t depth) noexcept {
  return rows * columns * depth >= packing_pays && std::min(rows, columns) >= packing_uses;
}

/// What computes a contraction when it comes alone.
Routine routine_for(const std::optional<Products>& p, DType dtype, Blas blas) noexcept {
  if (!is_floating(dtype) || !p) return Routine::reference;
  if (!p->is_plain()) return Routine::offset;
  const MatrixStrides left = p->left(), right = p->right();
  const std::int64_t columns = p->column.extent;
  const auto is_dense = [](MatrixStrides factor) { return std::min(factor.row, factor.depth) == 1; };
  if (blas == Blas::allowed && p->rows * columns * p->depth > large_product && is_dense(left) && is_dense(right))
    return Routine::blas;
  if (p->batches == 1 && p->result_stride() == columns && suits_packing(p->rows, columns, p->depth))
    return Routine::dense;
  if (dtype == DType::float32 && left.depth == 1 && right.depth == 1 && suits_row_dots(p->rows, columns, p->depth))
    return Routine::row_dots;
  return Routine::offset;
}

Choice choose(const Attributes& attributes, std::span<const Input> inputs, const Output& output, Blas blas) noexcept {
  std::int64_t terms = 1;
  for (const int axis : std::get<attr::Dot>(attributes).lhs_contract)
    terms *= inputs[0].shape[static_cast<std::size_t>(axis)];
  const auto products = products_of(attributes, inputs[0].shape, inputs[1].shape, /*may_swap=*/true);
  const bool is_small = small_product(attributes, inputs[0].shape, inputs[1].shape, output.dtype).has_value();
  const Routine routine = is_small ? Routine::small : routine_for(products, output.dtype, blas);
  return {name_of(routine), 2 * terms * output.shape.elements()};
}

void multiply(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
              const Executor& executor, Blas blas) noexcept {
  const auto products = products_of(attributes, inputs[0].shape, inputs[1].shape, /*may_swap=*/true);
  const Routine routine = routine_for(products, output.dtype, blas);
  if (routine == Routine::reference) return reference::dot_general(attributes, inputs, output, executor);
  const Products& p = *products;
  const MatrixStrides left = p.left(), right = p.right();
  const std::int64_t columns = p.column.extent;
  linseed::detail::visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const T* const a = inputs[p.swapped ? 1 : 0].as<T>();
    const T* const b = inputs[p.swapped ? 0 : 1].as<T>();
    T* const result = output.as<T>();
    if (routine == Routine::blas) {
      const auto leading = [](MatrixStrides factor) { return static_cast<int>(std::max(factor.row, factor.depth)); };
      const std::lock_guard turn(blas_turn());
      for (std::int64_t batch = 0; batch < p.batches; ++batch) {
        const Dimension at = p.begin(batch);
        cxxblas::gemm<int>(cxxblas::RowMajor, left.depth == 1 ? cxxblas::NoTrans : cxxblas::Trans,
                           right.row == 1 ? cxxblas::NoTrans : cxxblas::Trans, static_cast<int>(p.rows),
                           static_cast<int>(columns), static_cast<int>(p.depth), T{1}, a + at.left, leading(left),
                           b + at.right, leading(right), T{0}, result + at.result, static_cast<int>(p.result_stride()));
      }
      return;
    }
    if (routine == Routine::dense &&
        dense_gemm({p.rows, columns, p.depth, left, right}, a, b, result, columns, executor))
      return;
    if constexpr (std::is_same_v<T, float>) {
      if (routine == Routine::row_dots) return by_row_dots(p, a, b, result, executor);
    }
    // Small ones too, when they come without a table of their places; and dense ones when memory is short.
    const Lattice depth = p.depth_lattice();
    const Grid grid(p.batches, p.row_axes.size() <= 1 ? p.rows : 1, columns);
    executor.parallel_for(p.batches * grid.tasks(), [&](std::int64_t task) {
      const Dimension at = p.begin(task / grid.tasks());
      const auto [row, row_count, column, column_count] = grid.block(task % grid.tasks());
      offset_gemm(a + at.left, p.row_lattice(row, row_count), depth, b + at.right + column * right.row,
                  {column_count, right.row}, result + at.result + column, /*accumulate=*/false, executor.vectors());
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
  return routine_for(products_of(attributes, left, right, /*may_swap=*/true), dtype, Blas::allowed) == Routine::blas;
}

std::optional<MatrixProduct> small_product(const Attributes& attributes, const Shape& left, const Shape& right,
                                           DType dtype) {
  const auto p = matrix_product(attributes, left, right);
  return p && dtype == DType::float32 && SmallGemm::fits(*p) ? p : std::nullopt;
}

std::optional<std::int64_t> columns_of_rows(const Attributes& attributes, const Shape& left,
                                            const Shape& right) noexcept {
  constexpr std::int64_t most_columns = 4096;  // rows of so many that are used at once stay in the second cache
  const auto p = matrix_product(attributes, left, right);
  if (!p || p->columns > most_columns || p->rows * p->columns * p->depth > large_product) return std::nullopt;
  return suits_packing(p->rows, p->columns, p->depth) ? std::optional(p->columns) : std::nullopt;
}

void dot_general_rows(const Attributes& attributes, std::span<const Input> inputs, float* memory, const RowUser& user,
                      const Executor& executor) noexcept {
  dense_gemm_rows(*matrix_product(attributes, inputs[0].shape, inputs[1].shape), inputs[0].as<float>(),
                  inputs[1].as<float>(), memory, user, executor);
}

}  // namespace linseed::kernels::cpu
