#include "kernels/reduce.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "kernels/dtypes.hpp"

namespace linseed::kernels::cpu {

namespace {

constexpr std::int64_t block = 1 << 14;  // elements that one task folds
constexpr std::int64_t max_lanes = 256;

/// A reduction whose axes merge into [outer, reduced, inner].
struct Layout {
  std::int64_t outer = 1, reduced = 1, inner = 1;
  bool simple = true;  // false when kept and reduced axes alternate more often
};

Layout layout_of(const Shape& shape, const InlineVector<int, max_rank>& axes) noexcept {
  Layout layout;
  int stage = 0;  // outer, reduced, inner
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t extent = shape[static_cast<std::size_t>(axis)];
    const bool is_reduced = std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (extent == 1) continue;
    if (is_reduced) {
      if (stage == 2) layout.simple = false;
      stage = 1;
      layout.reduced *= extent;
    } else {
      if (stage == 1) stage = 2;
      (stage == 0 ? layout.outer : layout.inner) *= extent;
    }
  }
  return layout;
}

enum class Routine { rows, columns, reference };

Routine routine_for(const Layout& layout, const Shape& shape) noexcept {
  if (!layout.simple || shape.elements() == 0) return Routine::reference;
  return layout.inner == 1 ? Routine::rows : Routine::columns;
}

// Folds `count` neighbours in lanes, then the lanes: sums by halves, others in order, so that of equal numbers the
// first one remains. The association depends on `count` alone.
template <class Fold, class T>
fold::Accumulator<T> fold_row(const T* x, std::int64_t count) noexcept {
  using Accumulator = fold::Accumulator<T>;
  constexpr std::int64_t lanes = 32;
  std::array<Accumulator, lanes> partial;
  partial.fill(Fold::template identity<Accumulator>());
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      partial[lane] = Fold{}(partial[lane], static_cast<Accumulator>(x[i + lane]));
    }
  }
  for (std::int64_t lane = 0; i < count; ++i, ++lane)
    partial[lane] = Fold{}(partial[lane], static_cast<Accumulator>(x[i]));
  if constexpr (std::is_same_v<Fold, fold::Sum>) {
    for (std::int64_t half = lanes / 2; half > 0; half /= 2) {
      for (std::int64_t lane = 0; lane < half; ++lane) partial[lane] += partial[lane + half];
    }
    return partial[0];
  }
  Accumulator total = partial[0];
  for (std::int64_t lane = 1; lane < lanes; ++lane) total = Fold{}(total, partial[lane]);
  return total;
}

// Folds `rows` rows of `inner` columns into `result[inner]`; narrow rows are taken several at a time to fill vectors.
template <class Fold, class T>
void fold_columns(const T* x, std::int64_t rows, std::int64_t inner, fold::Accumulator<T>* result) noexcept {
  using Accumulator = fold::Accumulator<T>;
  std::fill_n(result, inner, Fold::template identity<Accumulator>());
  if (inner >= max_lanes / 2) {
    for (std::int64_t row = 0; row < rows; ++row, x += inner) {
      for (std::int64_t i = 0; i < inner; ++i) result[i] = Fold{}(result[i], static_cast<Accumulator>(x[i]));
    }
    return;
  }
  const std::int64_t together = max_lanes / inner;
  const std::int64_t lanes = together * inner;
  std::array<Accumulator, max_lanes> partial;
  partial.fill(Fold::template identity<Accumulator>());
  std::int64_t row = 0;
  for (; row + together <= rows; row += together, x += lanes) {
    for (std::int64_t i = 0; i < lanes; ++i) partial[i] = Fold{}(partial[i], static_cast<Accumulator>(x[i]));
  }
  for (std::int64_t i = 0; i < (rows - row) * inner; ++i)
    partial[i] = Fold{}(partial[i], static_cast<Accumulator>(x[i]));
  for (std::int64_t i = 0; i < lanes; ++i) result[i % inner] = Fold{}(result[i % inner], partial[i]);
}

}  // namespace

Choice choose_reduce(const Attributes& attributes, std::span<const Input> inputs, const Output&, VectorSet) noexcept {
  constexpr std::string_view names[] = {"rows", "columns", "reference"};
  const Layout layout = layout_of(inputs[0].shape, std::get<attr::AxisSet>(attributes).axes);
  return {names[static_cast<std::size_t>(routine_for(layout, inputs[0].shape))]};
}

template <class Fold>
void reduce(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
            const Executor& executor) noexcept {
  const Layout layout = layout_of(inputs[0].shape, std::get<attr::AxisSet>(attributes).axes);
  const auto [outer, reduced, inner, simple] = layout;
  const Routine routine = routine_for(layout, inputs[0].shape);
  if (routine == Routine::reference) return reference::reduce<Fold>(attributes, inputs, output, executor);

  visit<Domain::any>(inputs[0].dtype, [&]<class T>(std::type_identity<T>) {
    using Accumulator = fold::Accumulator<T>;
    const T* x = inputs[0].as<T>();
    T* y = output.as<T>();
    // Pieces of the reduced axis are folded apart and then put together in order; several outer rows share a task when
    // they are short.
    const std::int64_t piece = std::clamp<std::int64_t>(block / inner, 1, reduced);
    const std::int64_t pieces = (reduced + piece - 1) / piece;
    const std::int64_t group = std::max<std::int64_t>(1, block / (reduced * inner));
    if (pieces == 1) {
      executor.parallel_for((outer + group - 1) / group, [&](std::int64_t task) {
        const std::int64_t last = std::min(outer, (task + 1) * group);
        if (routine == Routine::rows) {
          for (std::int64_t row = task * group; row < last; ++row) {
            y[row] = static_cast<T>(fold_row<Fold>(x + row * reduced, reduced));
          }
        } else if (inner <= max_lanes) {
          std::array<Accumulator, max_lanes> columns;
          for (std::int64_t row = task * group; row < last; ++row) {
            fold_columns<Fold>(x + row * reduced * inner, reduced, inner, columns.data());
            for (std::int64_t i = 0; i < inner; ++i) y[row * inner + i] = static_cast<T>(columns[i]);
          }
        } else {  // wide rows: column by column is still a walk over whole cache lines, `max_lanes` columns at a time
          for (std::int64_t row = task * group; row < last; ++row) {
            for (std::int64_t start = 0; start < inner; start += max_lanes) {
              const std::int64_t width = std::min(max_lanes, inner - start);
              std::array<Accumulator, max_lanes> columns;
              columns.fill(Fold::template identity<Accumulator>());
              for (std::int64_t r = 0; r < reduced; ++r) {
                const T* line = x + (row * reduced + r) * inner + start;
                for (std::int64_t i = 0; i < width; ++i)
                  columns[i] = Fold{}(columns[i], static_cast<Accumulator>(line[i]));
              }
              for (std::int64_t i = 0; i < width; ++i) y[row * inner + start + i] = static_cast<T>(columns[i]);
            }
          }
        }
      });
      return;
    }
    const std::unique_ptr<Accumulator[]> partial(new (std::nothrow)
                                                     Accumulator[static_cast<std::size_t>(outer * pieces * inner)]);
    if (!partial) return reference::reduce<Fold>(attributes, inputs, output, executor);
    executor.parallel_for(outer * pieces, [&](std::int64_t task) {
      const std::int64_t row = task / pieces;
      const std::int64_t begin = task % pieces * piece;
      const std::int64_t count = std::min(piece, reduced - begin);
      const T* start = x + (row * reduced + begin) * inner;
      if (routine == Routine::rows) {
        partial[task] = fold_row<Fold>(start, count);
      } else {
        fold_columns<Fold>(start, count, inner, partial.get() + task * inner);
      }
    });
    for (std::int64_t row = 0; row < outer; ++row) {
      for (std::int64_t i = 0; i < inner; ++i) {
        Accumulator total = Fold::template identity<Accumulator>();
        for (std::int64_t p = 0; p < pieces; ++p) total = Fold{}(total, partial[(row * pieces + p) * inner + i]);
        y[row * inner + i] = static_cast<T>(total);
      }
    }
  });
}

#define LINSEED_INSTANTIATE(F) \
  template void reduce<fold::F>(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
LINSEED_FOLDS(LINSEED_INSTANTIATE)
#undef LINSEED_INSTANTIATE

}  // namespace linseed::kernels::cpu
