#include "kernels/linalg.hpp"

#include <algorithm>
#include <vector>

#include "kernels/dtypes.hpp"
#include "kernels/reduce.hpp"
#include "kernels/reference/views.hpp"

namespace linseed::kernels::reference {

namespace {

using AxisList = InlineVector<int, max_rank>;

std::int64_t product(const Shape& shape, const AxisList& axes) noexcept {
  std::int64_t result = 1;
  for (const int axis : axes) result *= shape[static_cast<std::size_t>(axis)];
  return result;
}

// The operand as [batch, free, contracted], each a merged axis.
template <class T>
auto canonical(const Input& input, const AxisList& batch, const AxisList& contract) {
  std::vector<std::size_t> order(batch.begin(), batch.end());
  for (int axis = 0; axis < input.shape.rank(); ++axis) {
    const bool is_free = std::find(batch.begin(), batch.end(), axis) == batch.end() &&
                         std::find(contract.begin(), contract.end(), axis) == contract.end();
    if (is_free) order.push_back(static_cast<std::size_t>(axis));
  }
  order.insert(order.end(), contract.begin(), contract.end());
  return xt::eval(xt::transpose(view<T>(input), order));
}

}  // namespace

void dot_general(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                 const Executor&) noexcept {
  const auto& dot = std::get<attr::Dot>(attributes);
  const std::int64_t batches = product(inputs[0].shape, dot.lhs_batch);
  const std::int64_t depth = product(inputs[0].shape, dot.lhs_contract);
  const auto free_of = [&](const Input& input) {
    return batches * depth == 0 ? 0 : input.shape.elements() / (batches * depth);
  };
  const std::int64_t rows = free_of(inputs[0]);
  const std::int64_t columns = free_of(inputs[1]);
  visit<Domain::any>(output.dtype, [&]<class T>(std::type_identity<T>) {
    using Accumulator = fold::Accumulator<T>;
    std::fill_n(output.as<T>(), output.shape.elements(), T{});
    const auto left = canonical<T>(inputs[0], dot.lhs_batch, dot.lhs_contract);
    const auto right = canonical<T>(inputs[1], dot.rhs_batch, dot.rhs_contract);
    std::vector<std::size_t> shape(dot.order.size()), order;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      order.push_back(static_cast<std::size_t>(dot.order[i]));
      shape[order[i]] = static_cast<std::size_t>(output.shape[i]);
    }
    xt::xarray<T> product(shape);  // where its axes are not in the order of the result
    T* out = dot.order.empty() ? output.as<T>() : product.data();
    for (std::int64_t batch = 0; batch < batches; ++batch) {
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t column = 0; column < columns; ++column) {
          const T* a = left.data() + (batch * rows + row) * depth;
          const T* b = right.data() + (batch * columns + column) * depth;
          Accumulator total{};
          for (std::int64_t k = 0; k < depth; ++k) {
            const Accumulator term = scalar::Mul{}(static_cast<Accumulator>(a[k]), static_cast<Accumulator>(b[k]));
            total = scalar::Add{}(total, term);
          }
          *out++ = static_cast<T>(total);
        }
      }
    }
    if (!dot.order.empty()) view<T>(output) = xt::transpose(product, order);
  });
}

}  // namespace linseed::kernels::reference
