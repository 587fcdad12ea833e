#include "kernels/random.hpp"

#include <numeric>
#include <vector>

#include "core/dispatch.hpp"

namespace linseed::kernels::reference {

using linseed::detail::visit_floating;

void random_bits(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const Words key = key_of(inputs[0]);
  std::uint64_t index = 0;
  for (std::uint32_t& element : output.span<std::uint32_t>()) element = bits32(threefry2x32(key, index++));
}

void random_uniform(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                    const Executor&) noexcept {
  const auto& draw = std::get<attr::Random>(attributes);
  const Words key = key_of(inputs[0]);
  visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto low = static_cast<T>(draw.low);
    const T span = static_cast<T>(draw.high) - low;
    std::uint64_t index = 0;
    for (T& element : output.span<T>()) element = uniform(threefry2x32(key, index++), low, span);
  });
}

void random_randint(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                    const Executor&) noexcept {
  const auto& draw = std::get<attr::Random>(attributes);
  const IntegerRange range(key_of(inputs[0]), static_cast<std::int64_t>(draw.low),
                           static_cast<std::int64_t>(draw.high));
  std::uint64_t index = 0;
  for (std::int32_t& element : output.span<std::int32_t>()) element = range(index++);
}

void random_split(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const Words key = key_of(inputs[0]);
  auto* words = output.as<std::uint32_t>();
  for (std::int64_t i = 0; i < output.shape[0]; ++i) {
    const Words child = threefry2x32(key, static_cast<std::uint64_t>(i));
    words[2 * i] = child.first;
    words[2 * i + 1] = child.second;
  }
}

void random_fold_in(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const Words child = threefry2x32(key_of(inputs[0]), std::uint64_t{inputs[1].as<std::uint32_t>()[0]});
  output.as<std::uint32_t>()[0] = child.first;
  output.as<std::uint32_t>()[1] = child.second;
}

// Householder reflections in double, row by row. Column k of the result is flipped where the k-th diagonal element of
// the triangular factor is negative, which makes the factorisation unique: no other algorithm gives another matrix.
void random_orthogonal(const Attributes&, std::span<const Input> inputs, const Output& output,
                       const Executor&) noexcept {
  const std::int64_t rows = output.shape[0], columns = output.shape[1];
  std::vector<double> a(static_cast<std::size_t>(rows * columns)), q(a.size()), sums(static_cast<std::size_t>(columns));
  std::vector<double> scale(sums.size()), sign(sums.size());
  visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto normal = inputs[0].span<T>();
    std::copy(normal.begin(), normal.end(), a.begin());
  });

  // Applies the reflection that is kept in column k of `a`, from its diagonal down, to columns [from, columns) of
  // `target`.
  const auto reflect = [&](std::int64_t k, std::vector<double>& target, std::int64_t from) {
    std::fill(sums.begin() + from, sums.end(), 0.0);
    for (std::int64_t i = k; i < rows; ++i) {
      const double factor = a[static_cast<std::size_t>(i * columns + k)];
      const double* row = &target[static_cast<std::size_t>(i * columns)];
      for (std::int64_t j = from; j < columns; ++j) sums[static_cast<std::size_t>(j)] += factor * row[j];
    }
    for (std::int64_t i = k; i < rows; ++i) {
      const double factor = scale[static_cast<std::size_t>(k)] * a[static_cast<std::size_t>(i * columns + k)];
      double* row = &target[static_cast<std::size_t>(i * columns)];
      for (std::int64_t j = from; j < columns; ++j) row[j] -= factor * sums[static_cast<std::size_t>(j)];
    }
  };

  for (std::int64_t k = 0; k < columns; ++k) {
    double square = 0.0;
    for (std::int64_t i = k; i < rows; ++i) {
      const double x = a[static_cast<std::size_t>(i * columns + k)];
      square += x * x;
    }
    double& head = a[static_cast<std::size_t>(k * columns + k)];
    const double norm = std::sqrt(square);
    // The vector x + sign(x0) |x| e0 reflects x onto -sign(x0) |x| e0, the diagonal element.
    sign[static_cast<std::size_t>(k)] = norm == 0.0 ? 0.0 : head < 0.0 ? 1.0 : -1.0;
    head += std::copysign(norm, head);
    scale[static_cast<std::size_t>(k)] = norm == 0.0 ? 0.0 : 1.0 / (norm * std::abs(head));
    reflect(k, a, k + 1);
  }
  for (std::int64_t k = 0; k < columns; ++k) q[static_cast<std::size_t>(k * columns + k)] = 1.0;
  for (std::int64_t k = columns - 1; k >= 0; --k) reflect(k, q, k);

  visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto result = output.span<T>();
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = static_cast<T>(q[i] * sign[i % static_cast<std::size_t>(columns)]);
    }
  });
}

}  // namespace linseed::kernels::reference
