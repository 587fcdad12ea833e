#include "optim/common.hpp"

#include <limits>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::optim::detail {

Tree zeros_like(const Tree& tree) {
  return tree::map([](const Array& leaf) { return linseed::zeros_like(leaf); }, tree);
}

Tree full_like(const Tree& tree, const Scalar& value) {
  return tree::map([&](const Array& leaf) { return full(leaf.shape(), value, leaf.dtype()); }, tree);
}

Array next_count(const Array& count) {
  constexpr int largest = std::numeric_limits<std::int32_t>::max();
  return where(count < largest, count + 1, largest);
}

Tree first_moment(const Tree& updates, const Tree& moment, const Scalar& decay) {
  const Scalar rest = decay.one_minus();
  return tree::map([&](const Array& g, const Array& m) { return rest * g + decay * m; }, updates, moment);
}

Tree second_moment(const Tree& updates, const Tree& moment, const Scalar& decay) {
  const Scalar rest = decay.one_minus();
  return tree::map([&](const Array& g, const Array& v) { return rest * square(g) + decay * v; }, updates, moment);
}

Tree debiased(const Tree& moment, const Scalar& decay, const Array& count) {
  const auto factor = [&](DType dtype) { return 1 / (1 - pow(decay.as(dtype), astype(count, dtype))); };
  const Array single = factor(DType::float32);
  Array wide;  // only made when there is a float64 moment
  return tree::map(
      [&](const Array& m) {
        if (m.dtype() != DType::float64) return m * astype(single, m.dtype());
        if (!wide.defined()) wide = factor(DType::float64);
        return m * wide;
      },
      moment);
}

Tree select(const Array& condition, const Tree& a, const Tree& b) {
  return tree::map([&](const Array& x, const Array& y) { return astype(where(condition, x, y), y.dtype()); }, a, b);
}

void require_all_finite(std::string_view op,
                        std::initializer_list<std::pair<std::string_view, const Scalar&>> hyperparameters) {
  for (const auto& [name, value] : hyperparameters) require_finite(op, name, value);
}

}  // namespace linseed::optim::detail
