#include "kernels/reduce.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/dtypes.hpp"
#include "kernels/reference/views.hpp"

namespace linseed::kernels::reference {

namespace {

// The operand with the reduced axes last, so that a row-major walk meets what belongs to one result in a row.
template <class T>
auto reduced_last(const Input& input, const InlineVector<int, max_rank>& axes) {
  std::vector<std::size_t> permutation;
  for (int axis = 0; axis < input.shape.rank(); ++axis) {
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) permutation.push_back(static_cast<std::size_t>(axis));
  }
  permutation.insert(permutation.end(), axes.begin(), axes.end());
  return xt::eval(xt::transpose(view<T>(input), permutation));
}

template <class Better>
void arg_extremum(const Attributes& attributes, const Input& input, const Output& output, Better better) noexcept {
  const int axis = std::get<attr::Axis>(attributes).axis;
  const std::int64_t extent = input.shape[static_cast<std::size_t>(axis)];
  visit<Domain::any>(input.dtype, [&]<class T>(std::type_identity<T>) {
    const auto x = reduced_last<T>(input, {axis});
    auto element = x.begin();
    for (std::int32_t& result : output.span<std::int32_t>()) {
      T best = *element;
      result = 0;
      for (std::int32_t i = 0; i < extent; ++i, ++element) {
        const T value = *element;
        if (best == best && (value != value || better(value, best))) best = value, result = i;
      }
    }
  });
}

}  // namespace

template <class Fold>
void reduce(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
            const Executor&) noexcept {
  visit<Domain::any>(inputs[0].dtype, [&]<class T>(std::type_identity<T>) {
    using Accumulator = fold::Accumulator<T>;
    const auto x = reduced_last<T>(inputs[0], std::get<attr::AxisSet>(attributes).axes);
    const std::int64_t results = output.shape.elements();
    const std::int64_t count = results == 0 ? 0 : inputs[0].shape.elements() / results;
    auto element = x.begin();
    for (T& result : output.span<T>()) {
      Accumulator total = Fold::template identity<Accumulator>();
      for (std::int64_t i = 0; i < count; ++i, ++element) total = Fold{}(total, static_cast<Accumulator>(*element));
      result = static_cast<T>(total);
    }
  });
}

void argmax(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
            const Executor&) noexcept {
  arg_extremum(attributes, inputs[0], output, [](auto a, auto b) { return a > b; });
}
void argmin(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
            const Executor&) noexcept {
  arg_extremum(attributes, inputs[0], output, [](auto a, auto b) { return a < b; });
}

void argsort(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
             const Executor&) noexcept {
  const int axis = std::get<attr::Axis>(attributes).axis;
  const Input& input = inputs[0];
  const std::int64_t extent = input.shape[static_cast<std::size_t>(axis)];
  std::int64_t inner = 1;
  for (int i = axis + 1; i < input.shape.rank(); ++i) inner *= input.shape[static_cast<std::size_t>(i)];
  const std::int64_t lines = extent == 0 ? 0 : input.shape.elements() / extent;
  std::vector<std::int32_t> order(static_cast<std::size_t>(extent));
  visit<Domain::any>(input.dtype, [&]<class T>(std::type_identity<T>) {
    for (std::int64_t line = 0; line < lines; ++line) {
      const std::int64_t start = line / inner * inner * extent + line % inner;
      const auto at = [&](std::int32_t i) { return input.as<T>()[start + i * inner]; };
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        const T left = at(a);
        const T right = at(b);
        return left < right || (left == left && right != right);  // NaN last
      });
      for (std::int64_t i = 0; i < extent; ++i)
        output.as<std::int32_t>()[start + i * inner] = order[static_cast<std::size_t>(i)];
    }
  });
}

#define LINSEED_INSTANTIATE(F) \
  template void reduce<fold::F>(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
LINSEED_FOLDS(LINSEED_INSTANTIATE)
#undef LINSEED_INSTANTIATE

}  // namespace linseed::kernels::reference
