#include "kernels/elementwise.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/dtypes.hpp"
#include "kernels/reference/views.hpp"

namespace linseed::kernels::reference {

template <class Function>
void unary(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  visit<Function::domain>(inputs[0].dtype, [&]<class T>(std::type_identity<T>) {
    using Result = decltype(Function{}(T{}));
    const auto x = inputs[0].span<T>();
    std::transform(x.begin(), x.end(), output.as<Result>(), Function{});
  });
}

template <class Function>
void binary(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  visit<Function::domain>(inputs[0].dtype, [&]<class T>(std::type_identity<T>) {
    using Result = decltype(Function{}(T{}, T{}));
    const auto a = broadcast<T>(inputs[0], output.shape);
    const auto b = broadcast<T>(inputs[1], output.shape);
    std::transform(a.begin(), a.end(), b.begin(), output.as<Result>(), Function{});
  });
}

void select(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const auto condition = broadcast<bool>(inputs[0], output.shape);
  visit<Domain::any>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto a = broadcast<T>(inputs[1], output.shape);
    const auto b = broadcast<T>(inputs[2], output.shape);
    auto on_true = a.begin();
    auto on_false = b.begin();
    T* out = output.as<T>();
    for (const bool holds : condition) *out++ = holds ? *on_true : *on_false, ++on_true, ++on_false;
  });
}

void cast(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  visit<Domain::any>(inputs[0].dtype, [&]<class From>(std::type_identity<From>) {
    visit<Domain::any>(output.dtype, [&]<class To>(std::type_identity<To>) {
      const auto x = inputs[0].span<From>();
      std::transform(x.begin(), x.end(), output.as<To>(), [](From value) { return convert<To>(value); });
    });
  });
}

void copy(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const auto bytes = static_cast<std::size_t>(output.shape.elements()) * size_of(output.dtype);
  if (bytes > 0) std::memcpy(output.data, inputs[0].data, bytes);
}

#define LINSEED_INSTANTIATE(F) \
  template void unary<scalar::F>(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
LINSEED_UNARY_FUNCTIONS(LINSEED_INSTANTIATE)
#undef LINSEED_INSTANTIATE
#define LINSEED_INSTANTIATE(F) \
  template void binary<scalar::F>(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
LINSEED_BINARY_FUNCTIONS(LINSEED_INSTANTIATE)
#undef LINSEED_INSTANTIATE

}  // namespace linseed::kernels::reference
