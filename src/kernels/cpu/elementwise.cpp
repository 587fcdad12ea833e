#include "kernels/elementwise.hpp"

#include <algorithm>
#include <array>

#include "kernels/cpu/broadcast_rows.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/dtypes.hpp"

namespace linseed::kernels::cpu {

namespace {
constexpr std::int64_t block = 1 << 14;    // elements per task
constexpr std::int64_t stretch = 1 << 10;  // elements of a repeated row, written out to run through without breaks

// A short row repeated to fill a stretch.
template <class T>
std::array<T, stretch> repeated(const T* row, std::int64_t length) noexcept {
  std::array<T, stretch> result;
  for (std::int64_t i = 0; i < stretch; ++i) result[static_cast<std::size_t>(i)] = row[i % length];
  return result;
}

}  // namespace

// Long polynomials that want fused multiply-adds and wide vectors; with contraction off the bits stay the same.
template <class Function>
constexpr bool is_polynomial = std::is_same_v<Function, scalar::Exp> || std::is_same_v<Function, scalar::Sigmoid> ||
                               std::is_same_v<Function, scalar::Tanh> || std::is_same_v<Function, scalar::Log> ||
                               std::is_same_v<Function, scalar::Log1p> || std::is_same_v<Function, scalar::Erf> ||
                               std::is_same_v<Function, scalar::ErfInv>;

template <class Function>
void unary(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor& executor) noexcept {
  visit<Function::domain>(inputs[0].dtype, [&]<class T>(std::type_identity<T>) {
    using Result = decltype(Function{}(T{}));
    const T* x = inputs[0].as<T>();
    Result* y = output.as<Result>();
    const std::int64_t count = output.shape.elements();
    executor.parallel_for((count + block - 1) / block, [&](std::int64_t i) {
      const std::int64_t end = std::min(count, (i + 1) * block);
      if constexpr (is_polynomial<Function>) {
        with_widest_vectors(executor.vectors(), [=]() LINSEED_LOOP {
          for (std::int64_t k = i * block; k < end; ++k) y[k] = Function{}(x[k]);
        });
      } else {
        for (std::int64_t k = i * block; k < end; ++k) y[k] = Function{}(x[k]);
      }
    });
  });
}

template <class Function>
void binary(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor& executor) noexcept {
  visit<Function::domain>(inputs[0].dtype, [&]<class T>(std::type_identity<T>) {
    using Result = decltype(Function{}(T{}, T{}));
    const T* a = inputs[0].as<T>();
    const T* b = inputs[1].as<T>();
    Result* y = output.as<Result>();
    const BroadcastRows<2> rows(output.shape, {inputs[0].shape, inputs[1].shape});
    if (rows.repeats_row_of(0)) {
      const auto left = repeated(a, rows.row());
      return rows.for_each_stretch(executor, stretch, [&](std::int64_t at, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) y[at + i] = Function{}(left[static_cast<std::size_t>(i)], b[at + i]);
      });
    }
    if (rows.repeats_row_of(1)) {
      const auto right = repeated(b, rows.row());
      return rows.for_each_stretch(executor, stretch, [&](std::int64_t at, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) y[at + i] = Function{}(a[at + i], right[static_cast<std::size_t>(i)]);
      });
    }
    rows.for_each(executor, [&](std::int64_t out, const std::array<std::int64_t, 2>& offset, std::int64_t n) {
      const T* p = a + offset[0];
      const T* q = b + offset[1];
      Result* r = y + out;
      if (rows.step(0) == 1 && rows.step(1) == 1) {
        for (std::int64_t i = 0; i < n; ++i) r[i] = Function{}(p[i], q[i]);
      } else if (rows.step(0) == 1) {
        const T right = *q;
        for (std::int64_t i = 0; i < n; ++i) r[i] = Function{}(p[i], right);
      } else if (rows.step(1) == 1) {
        const T left = *p;
        for (std::int64_t i = 0; i < n; ++i) r[i] = Function{}(left, q[i]);
      } else {
        std::fill_n(r, n, Function{}(*p, *q));
      }
    });
  });
}

void select(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor& executor) noexcept {
  visit<Domain::any>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const bool* condition = inputs[0].as<bool>();
    const T* a = inputs[1].as<T>();
    const T* b = inputs[2].as<T>();
    T* y = output.as<T>();
    const BroadcastRows<3> rows(output.shape, {inputs[0].shape, inputs[1].shape, inputs[2].shape});
    const std::int64_t step_c = rows.step(0), step_a = rows.step(1), step_b = rows.step(2);
    rows.for_each(executor, [&](std::int64_t out, const std::array<std::int64_t, 3>& offset, std::int64_t n) {
      const bool* c = condition + offset[0];
      const T* p = a + offset[1];
      const T* q = b + offset[2];
      for (std::int64_t i = 0; i < n; ++i) y[out + i] = c[i * step_c] ? p[i * step_a] : q[i * step_b];
    });
  });
}

#define LINSEED_INSTANTIATE(F) \
  template void unary<scalar::F>(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
LINSEED_UNARY_FUNCTIONS(LINSEED_INSTANTIATE)
#undef LINSEED_INSTANTIATE
#define LINSEED_INSTANTIATE(F) \
  template void binary<scalar::F>(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
LINSEED_BINARY_FUNCTIONS(LINSEED_INSTANTIATE)
#undef LINSEED_INSTANTIATE

}  // namespace linseed::kernels::cpu
