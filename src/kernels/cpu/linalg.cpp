#include "kernels/linalg.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include <xtensor-blas/xblas.hpp>

#include "kernels/cpu/dense_gemm.hpp"
#include "kernels/cpu/product_cost.hpp"
#include "kernels/cpu/row_dots.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/dtypes.hpp"

namespace linseed::kernels::cpu {

namespace {

using AxisList = InlineVector<int, max_rank>;

/// One axis of a contraction, or several that lie like one: its extent, and how far apart neighbours lie in the
/// operands and in the result.
struct Dimension {
  std::int64_t extent, left, right, result;
};
constexpr Dimension no_dimension{1, 0, 0, 0};

/// A list of them. What there is none of is neither set nor copied: a small product takes less time.
class Dimensions {
 public:
  Dimensions() noexcept {}
  Dimensions(const Dimensions& other) noexcept { *this = other; }
  Dimensions& operator=(const Dimensions& other) noexcept {
    size_ = other.size_;
    std::copy_n(other.items_, size_, items_);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  Dimension* begin() noexcept { return items_; }
  Dimension* end() noexcept { return items_ + size_; }
  [[nodiscard]] const Dimension* begin() const noexcept { return items_; }
  [[nodiscard]] const Dimension* end() const noexcept { return items_ + size_; }
  Dimension& operator[](std::size_t i) noexcept { return items_[i]; }
  const Dimension& operator[](std::size_t i) const noexcept { return items_[i]; }
  [[nodiscard]] const Dimension& back() const noexcept { return items_[size_ - 1]; }
  void push_back(const Dimension& d) noexcept { items_[size_++] = d; }
  void erase_first() noexcept { std::copy(items_ + 1, items_ + size_--, items_); }

  /// Drops axes of one place and joins those that lie one inside the other everywhere.
  void join() noexcept {
    std::size_t joined = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      const Dimension d = items_[i];
      if (d.extent == 1) continue;
      if (joined > 0) {
        Dimension& outer = items_[joined - 1];
        if (outer.left == d.extent * d.left && outer.right == d.extent * d.right &&
            outer.result == d.extent * d.result) {
          outer = {outer.extent * d.extent, d.left, d.right, d.result};
          continue;
        }
      }
      items_[joined++] = d;
    }
    size_ = joined;
  }

 private:
  std::size_t size_ = 0;
  Dimension items_[2 * max_rank];  // of the left operand and of the right one
};

// The serial OpenBLAS shares one work buffer between all callers: two products at a time spoil each other. So products
// take turns, and the executor's other threads wait.
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

  Grid(std::int64_t batches, std::int64_t rows, std::int64_t columns, std::int64_t depth) noexcept
      : rows_(rows), columns_(columns), width_(depth <= little_depth ? 1024 : 128) {
    constexpr std::int64_t enough = 8;
    while (batches * tasks() < enough && height_ > 32) height_ /= 2;
  }
  [[nodiscard]] std::int64_t tasks() const noexcept { return up(rows_, height_) * up(columns_, width_); }
  [[nodiscard]] Block block(std::int64_t task) const noexcept {
    const std::int64_t row = task / up(columns_, width_) * height_, column = task % up(columns_, width_) * width_;
    return {row, std::min(height_, rows_ - row), column, std::min(width_, columns_ - column)};
  }

 private:
  static constexpr std::int64_t little_depth = 8;  // nothing is packed then
  static std::int64_t up(std::int64_t count, std::int64_t block) noexcept { return (count + block - 1) / block; }

  std::int64_t rows_, columns_, width_, height_ = 256;
};

/// A contraction as products of matrices, one for each point of `outer`; rows and depth may be several axes.
struct Products {
  bool swapped = false;  // left and right
  Dimensions outer, row_axes, depth_axes;
  Dimension column = no_dimension;
  std::int64_t batches = 1, rows = 1, depth = 1;

  /// Whether each is a product of two plain matrices.
  [[nodiscard]] bool is_plain() const noexcept { return row_axes.size() <= 1 && depth_axes.size() <= 1; }
  [[nodiscard]] MatrixStrides left() const noexcept { return {axis(row_axes).left, axis(depth_axes).left}; }
  [[nodiscard]] MatrixStrides right() const noexcept { return {column.right, axis(depth_axes).right}; }
  [[nodiscard]] std::int64_t result_stride() const noexcept { return axis(row_axes).result; }
  /// A plain product as it was before left and right were swapped.
  [[nodiscard]] MatrixProduct unswapped() const noexcept {
    if (swapped) return {column.extent, rows, depth, right(), left()};
    return {rows, column.extent, depth, left(), right()};
  }

  [[nodiscard]] ProductPlace begin(std::int64_t batch) const noexcept {
    ProductPlace at{0, 0, 0};
    for (std::size_t i = outer.size(); i-- > 0; batch /= outer[i].extent) {
      const std::int64_t index = batch % outer[i].extent;
      at.left += index * outer[i].left, at.right += index * outer[i].right, at.result += index * outer[i].result;
    }
    return at;
  }
  /// The same of every product.
  void begin_all(ProductPlace* places) const noexcept {
    places[0] = {0, 0, 0};
    std::int64_t count = 1;  // of the axes behind
    for (std::size_t i = outer.size(); i-- > 0; count *= outer[i].extent) {
      const Dimension& d = outer[i];
      for (std::int64_t index = 1; index < d.extent; ++index) {
        for (std::int64_t j = 0; j < count; ++j) {
          const ProductPlace& at = places[j];
          places[index * count + j] = {at.left + index * d.left, at.right + index * d.right,
                                       at.result + index * d.result};
        }
      }
    }
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
  static Dimension axis(const Dimensions& axes) noexcept { return axes.empty() ? no_dimension : axes.back(); }
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
  std::optional<Products> result(std::in_place);
  Products& p = *result;
  Dimensions columns;
  for (std::size_t i = 0; i < dot.lhs_batch.size(); ++i) {
    const auto l = static_cast<std::size_t>(dot.lhs_batch[i]), r = static_cast<std::size_t>(dot.rhs_batch[i]);
    p.outer.push_back({left_shape[l], left_strides[l], right_strides[r], 0});
  }
  for (std::size_t i = 0; i < dot.lhs_contract.size(); ++i) {
    const auto l = static_cast<std::size_t>(dot.lhs_contract[i]), r = static_cast<std::size_t>(dot.rhs_contract[i]);
    p.depth_axes.push_back({left_shape[l], left_strides[l], right_strides[r], 0});
  }
  const auto is_in = [](const AxisList& axes, std::size_t axis) {
    return std::find(axes.begin(), axes.end(), static_cast<int>(axis)) != axes.end();
  };
  for (std::size_t axis = 0; axis < left_shape.size(); ++axis) {
    if (!is_in(dot.lhs_batch, axis) && !is_in(dot.lhs_contract, axis))
      p.row_axes.push_back({left_shape[axis], left_strides[axis], 0, 0});
  }
  for (std::size_t axis = 0; axis < right_shape.size(); ++axis) {
    if (!is_in(dot.rhs_batch, axis) && !is_in(dot.rhs_contract, axis))
      columns.push_back({right_shape[axis], 0, right_strides[axis], 0});
  }
  std::int64_t step = 1;
  for (std::size_t i = p.outer.size() + p.row_axes.size() + columns.size(); i-- > 0;) {
    std::size_t axis = dot.order.empty() ? i : static_cast<std::size_t>(dot.order[i]);
    Dimensions* axes = &p.outer;
    for (Dimensions* next : {&p.row_axes, &columns}) {
      if (axis < axes->size()) break;
      axis -= axes->size(), axes = next;
    }
    (*axes)[axis].result = step;
    step *= (*axes)[axis].extent;
  }
  for (Dimensions* axes : {&columns, &p.row_axes, &p.outer, &p.depth_axes}) axes->join();

  const bool rows_are_neighbours = !p.row_axes.empty() && p.row_axes.back().result == 1;
  if (may_swap && columns.empty() && rows_are_neighbours) {  // a matrix by a vector: the other way round
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
  if (p.column.result != 1) return std::nullopt;
  while (p.row_axes.size() > lattice_axes) {
    p.outer.push_back(p.row_axes[0]);
    p.row_axes.erase_first();
  }
  for (const Dimension& d : p.outer) p.batches *= d.extent;
  for (const Dimension& d : p.row_axes) p.rows *= d.extent;
  for (const Dimension& d : p.depth_axes) p.depth *= d.extent;
  return result;
}

void by_row_dots(const Products& p, const float* left, const float* right, float* result,
                 const Executor& executor) noexcept {
  constexpr std::int64_t task_products = 1 << 16, quantum = 16;
  const std::int64_t columns = p.column.extent;
  const std::int64_t fitting = task_products / (p.rows * p.depth) / quantum * quantum;
  const std::int64_t width = std::min(std::max(fitting, quantum), columns), tasks = (columns + width - 1) / width;
  executor.parallel_for(p.batches * tasks, [&](std::int64_t task) {
    const ProductPlace at = p.begin(task / tasks);
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

/// What a contraction is to the routines; nothing where only the reference kernel computes it.
std::optional<ProductStack> stack_of(const std::optional<Products>& p, DType dtype, bool blas_allowed) noexcept {
  if (!is_floating(dtype) || !p) return std::nullopt;
  ProductStack stack{.batches = p->batches,
                     .each = {p->rows, p->column.extent, p->depth, p->left(), p->right()},
                     .is_float32 = dtype == DType::float32,
                     .is_plain = p->is_plain(),
                     .blas_allowed = blas_allowed};
  stack.is_small = stack.batches == 1 && stack.is_plain && stack.is_float32 && SmallGemm::fits(p->unswapped());
  return stack;
}

Choice choose(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
              bool blas_allowed) noexcept {
  std::int64_t terms = 1;
  for (const int axis : std::get<attr::Dot>(attributes).lhs_contract)
    terms *= inputs[0].shape[static_cast<std::size_t>(axis)];
  Choice result{"reference", 2 * terms * output.shape.elements()};
  if (const auto stack = stack_of(products_of(attributes, inputs[0].shape, inputs[1].shape, /*may_swap=*/true),
                                  output.dtype, blas_allowed)) {
    result.routine = to_string(choose_product(*stack));
  }
  return result;
}

/// What computes a contraction when it comes alone, if not the reference kernel.
std::optional<ProductRoutine> routine_for(const Attributes& attributes, const Shape& left, const Shape& right,
                                          DType dtype) noexcept {
  const auto stack = stack_of(products_of(attributes, left, right, /*may_swap=*/true), dtype, /*blas_allowed=*/true);
  return stack ? std::optional(choose_product(*stack)) : std::nullopt;
}

template <class T>
void by_blas(const Products& p, const T* left, const T* right, T* result) noexcept {
  const auto leading = [](MatrixStrides factor) { return static_cast<int>(std::max(factor.row, factor.depth)); };
  const std::lock_guard turn(blas_turn());
  for (std::int64_t batch = 0; batch < p.batches; ++batch) {
    const ProductPlace at = p.begin(batch);
    cxxblas::gemm<int>(cxxblas::RowMajor, p.left().depth == 1 ? cxxblas::NoTrans : cxxblas::Trans,
                       p.right().row == 1 ? cxxblas::NoTrans : cxxblas::Trans, static_cast<int>(p.rows),
                       static_cast<int>(p.column.extent), static_cast<int>(p.depth), T{1}, left + at.left,
                       leading(p.left()), right + at.right, leading(p.right()), T{0}, result + at.result,
                       static_cast<int>(p.result_stride()));
  }
}

/// False where memory is short.
template <class T>
bool by_dense_gemm(const Products& p, const T* left, const T* right, T* result, const Executor& executor) noexcept {
  const MatrixProduct each{p.rows, p.column.extent, p.depth, p.left(), p.right()};
  constexpr std::int64_t many_batches = 8;  // each is a task then; of few, each shares its own tasks
  if (fits_dense_stack(p.batches, each)) {
    auto* const places = static_cast<ProductPlace*>(
        scratch<Scratch::product_places>(p.batches * static_cast<std::int64_t>(sizeof(ProductPlace))));
    if (places == nullptr) return false;
    p.begin_all(places);
    return dense_gemm_stack(each, {places, static_cast<std::size_t>(p.batches)}, left, right, result, p.result_stride(),
                            executor);
  }
  std::atomic<bool> complete = true;
  const auto multiply = [&](std::int64_t batch) {
    const ProductPlace at = p.begin(batch);
    if (!dense_gemm(each, left + at.left, right + at.right, result + at.result, p.result_stride(), executor))
      complete.store(false, std::memory_order_relaxed);
  };
  if (p.batches >= many_batches) {
    executor.parallel_for(p.batches, multiply);
  } else {
    for (std::int64_t batch = 0; batch < p.batches; ++batch) multiply(batch);
  }
  return complete.load(std::memory_order_relaxed);
}

template <class T>
void by_offset_gemm(const Products& p, const T* left, const T* right, T* result, const Executor& executor) noexcept {
  const std::int64_t columns = p.column.extent, stride = p.right().row;
  const Lattice depth = p.depth_lattice();
  const Grid grid(p.batches, p.row_axes.size() <= 1 ? p.rows : 1, columns, p.depth);
  executor.parallel_for(p.batches * grid.tasks(), [&](std::int64_t task) {
    const ProductPlace at = p.begin(task / grid.tasks());
    const auto [row, row_count, column, column_count] = grid.block(task % grid.tasks());
    offset_gemm(left + at.left, p.row_lattice(row, row_count), depth, right + at.right + column * stride,
                {column_count, stride}, result + at.result + column, /*accumulate=*/false, executor.vectors());
  });
}

void multiply(std::optional<ProductRoutine> forced, const Attributes& attributes, std::span<const Input> inputs,
              const Output& output, const Executor& executor, bool blas_allowed) noexcept {
  const auto products = products_of(attributes, inputs[0].shape, inputs[1].shape, /*may_swap=*/true);
  const auto stack = stack_of(products, output.dtype, blas_allowed);
  if (!stack) return reference::dot_general(attributes, inputs, output, executor);
  const Products& p = *products;
  const ProductRoutine routine = forced ? *forced : choose_product(*stack);
  linseed::detail::visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const T* const a = inputs[p.swapped ? 1 : 0].as<T>();
    const T* const b = inputs[p.swapped ? 0 : 1].as<T>();
    T* const result = output.as<T>();
    if (routine == ProductRoutine::blas) return by_blas(p, a, b, result);
    if (routine == ProductRoutine::dense_gemm && by_dense_gemm(p, a, b, result, executor)) return;
    if constexpr (std::is_same_v<T, float>) {
      if (routine == ProductRoutine::row_dots) return by_row_dots(p, a, b, result, executor);
    }
    // Small ones too, when they come without a table of their places; and dense ones when memory is short.
    by_offset_gemm(p, a, b, result, executor);
  });
}

}  // namespace

void dot_general(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                 const Executor& executor) noexcept {
  multiply(std::nullopt, attributes, inputs, output, executor, /*blas_allowed=*/true);
}
void dot_general_portable(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                          const Executor& executor) noexcept {
  multiply(std::nullopt, attributes, inputs, output, executor, /*blas_allowed=*/false);
}

void dot_general_by(ProductRoutine routine, const Attributes& attributes, std::span<const Input> inputs,
                    const Output& output, const Executor& executor) noexcept {
  multiply(routine, attributes, inputs, output, executor, /*blas_allowed=*/true);
}

Choice choose_dot(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                  VectorSet) noexcept {
  return choose(attributes, inputs, output, /*blas_allowed=*/true);
}
Choice choose_dot_portable(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                           VectorSet) noexcept {
  return choose(attributes, inputs, output, /*blas_allowed=*/false);
}

bool uses_blas(const Attributes& attributes, const Shape& left, const Shape& right, DType dtype) noexcept {
  return routine_for(attributes, left, right, dtype) == ProductRoutine::blas;
}

bool adds_alike(const DotCall& a, const DotCall& b, DType dtype) noexcept {
  const auto own_order = [&](const DotCall& call) {
    const auto routine = routine_for(call.attributes, call.left, call.right, dtype);
    const bool is_common = routine != ProductRoutine::row_dots && routine != ProductRoutine::blas;
    return routine && is_common ? std::nullopt : routine;
  };
  return own_order(a) == own_order(b);
}

std::optional<MatrixProduct> small_product(const Attributes& attributes, const Shape& left, const Shape& right,
                                           DType dtype) {
  if (routine_for(attributes, left, right, dtype) != ProductRoutine::small_gemm) return std::nullopt;
  return products_of(attributes, left, right, /*may_swap=*/false)->unswapped();
}

std::optional<std::int64_t> columns_of_rows(const Attributes& attributes, const Shape& left,
                                            const Shape& right) noexcept {
  constexpr std::int64_t most_columns = 4096;  // rows of so many that are used at once stay in the second cache
  const auto p = products_of(attributes, left, right, /*may_swap=*/false);
  constexpr std::int64_t worth_it = std::int64_t{1} << 20;  // multiply-adds: a smaller product is in that cache anyway
  if (!p || p->batches != 1 || p->column.extent > most_columns) return std::nullopt;
  if (p->rows * p->column.extent * p->depth < worth_it) return std::nullopt;
  // Of little depth, too: rows that are used up at once need not be written, which is what takes the time then.
  constexpr std::int64_t least_depth = 5;
  const auto routine = routine_for(attributes, left, right, DType::float32);
  const bool is_dense = routine == ProductRoutine::dense_gemm ||
                        (routine == ProductRoutine::offset_gemm && p->is_plain() && p->depth >= least_depth);
  return is_dense ? std::optional(p->column.extent) : std::nullopt;
}

void dot_general_rows(const Attributes& attributes, std::span<const Input> inputs, float* memory, const RowUser& user,
                      const Executor& executor) noexcept {
  const auto product = products_of(attributes, inputs[0].shape, inputs[1].shape, /*may_swap=*/false);
  dense_gemm_rows(product->unswapped(), inputs[0].as<float>(), inputs[1].as<float>(), memory, user, executor);
}

}  // namespace linseed::kernels::cpu
