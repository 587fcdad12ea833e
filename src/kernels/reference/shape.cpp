#include "kernels/shape.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include <xtensor/xstrided_view.hpp>
#include <xtensor/xview.hpp>

#include "kernels/dtypes.hpp"
#include "kernels/reference/views.hpp"

namespace linseed::kernels::reference {

namespace {

std::int64_t product(const Shape& shape, int begin, int end) noexcept {
  std::int64_t result = 1;
  for (int axis = begin; axis < end; ++axis) result *= shape[static_cast<std::size_t>(axis)];
  return result;
}

/// Calls `body(index)` with every multi-index of `shape`, row-major.
template <class Body>
void for_each_index(const Shape& shape, const Body& body) noexcept {
  if (shape.elements() == 0) return;
  Shape index = Shape::filled(shape.rank(), 0);
  for (;;) {
    body(index);
    int axis = shape.rank() - 1;
    for (; axis >= 0 && ++index[static_cast<std::size_t>(axis)] == shape[static_cast<std::size_t>(axis)]; --axis) {
      index[static_cast<std::size_t>(axis)] = 0;
    }
    if (axis < 0) return;
  }
}

std::int64_t offset_of(const Shape& index, const Shape& strides) noexcept {
  std::int64_t offset = 0;
  for (std::size_t axis = 0; axis < index.size(); ++axis) offset += index[axis] * strides[axis];
  return offset;
}

// A label counted from the end when negative, and whether it then names an element.
bool in_range(std::int64_t& label, std::int64_t extent) noexcept {
  if (label < 0) label += extent;
  return label >= 0 && label < extent;
}

template <class T>
T missing() noexcept {
  if constexpr (std::is_floating_point_v<T>)
    return std::numeric_limits<T>::quiet_NaN();
  else
    return std::numeric_limits<T>::min();
}

template <class Body>
void visit_indices(const Input& indices, Body&& body) noexcept {
  linseed::detail::visit_dtype(indices.dtype, [&]<class I>(std::type_identity<I>) {
    if constexpr (std::is_integral_v<I> && !std::is_same_v<I, bool>) {
      body([data = indices.as<I>()](std::int64_t i) { return static_cast<std::int64_t>(data[i]); });
    }
  });
}

}  // namespace

void transpose(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
               const Executor&) noexcept {
  const auto& permutation = std::get<attr::Transpose>(attributes).permutation;
  visit_size(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto x = view<T>(inputs[0]);
    const auto transposed = xt::transpose(x, std::vector<std::size_t>(permutation.begin(), permutation.end()));
    std::copy(transposed.begin(), transposed.end(), output.as<T>());
  });
}

void broadcast_to(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  visit_size(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto repeated = broadcast<T>(inputs[0], output.shape);
    std::copy(repeated.begin(), repeated.end(), output.as<T>());
  });
}

void slice(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
           const Executor&) noexcept {
  const auto& [starts, limits, strides] = std::get<attr::Slice>(attributes);
  xt::xstrided_slice_vector ranges;
  for (std::size_t axis = 0; axis < starts.size(); ++axis) {
    ranges.push_back(xt::range(starts[axis], std::max(starts[axis], limits[axis]), strides[axis]));
  }
  if (output.shape.elements() == 0) return;
  visit_size(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto x = view<T>(inputs[0]);
    const auto part = xt::strided_view(x, ranges);
    std::copy(part.begin(), part.end(), output.as<T>());
  });
}

void flip(const Attributes& attributes, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const auto& axes = std::get<attr::AxisSet>(attributes).axes;
  const Shape strides = strides_of(output.shape);
  visit_size(output.dtype, [&]<class T>(std::type_identity<T>) {
    T* out = output.as<T>();
    for_each_index(output.shape, [&](Shape index) {
      for (const int axis : axes) {
        std::int64_t& i = index[static_cast<std::size_t>(axis)];
        i = output.shape[static_cast<std::size_t>(axis)] - 1 - i;
      }
      *out++ = inputs[0].as<T>()[offset_of(index, strides)];
    });
  });
}

void pad(const Attributes& attributes, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const auto& [low, high, interior] = std::get<attr::Pad>(attributes);
  const Shape strides = strides_of(output.shape);
  visit_size(output.dtype, [&]<class T>(std::type_identity<T>) {
    std::fill_n(output.as<T>(), output.shape.elements(), *inputs[1].as<T>());
    const T* element = inputs[0].as<T>();
    for_each_index(inputs[0].shape, [&](Shape index) {
      bool inside = true;
      for (std::size_t axis = 0; axis < index.size(); ++axis) {
        index[axis] = low[axis] + index[axis] * (interior[axis] + 1);
        inside = inside && index[axis] >= 0 && index[axis] < output.shape[axis];
      }
      if (inside) output.as<T>()[offset_of(index, strides)] = *element;
      ++element;
    });
  });
}

void concatenate(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                 const Executor&) noexcept {
  const int axis = std::get<attr::Axis>(attributes).axis;
  const auto element = static_cast<std::int64_t>(size_of(output.dtype));
  const std::int64_t outer = product(output.shape, 0, axis);
  auto* out = output.as<std::byte>();
  for (std::int64_t row = 0; row < outer; ++row) {
    for (const Input& input : inputs) {
      const std::int64_t bytes = product(input.shape, axis, input.shape.rank()) * element;
      if (bytes > 0) std::memcpy(out, input.as<std::byte>() + row * bytes, static_cast<std::size_t>(bytes));
      out += bytes;
    }
  }
}

// x viewed as [outer, extent, inner] and the result as [outer, labels, inner].
void take(const Attributes& attributes, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  const int axis = std::get<attr::Axis>(attributes).axis;
  const Shape& shape = inputs[0].shape;
  const std::int64_t outer = product(shape, 0, axis);
  const std::int64_t extent = shape[static_cast<std::size_t>(axis)];
  const std::int64_t inner = product(shape, axis + 1, shape.rank());
  const std::int64_t labels = inputs[1].shape.elements();
  visit<Domain::any>(output.dtype, [&]<class T>(std::type_identity<T>) {
    visit_indices(inputs[1], [&](auto label_at) {
      T* out = output.as<T>();
      for (std::int64_t row = 0; row < outer; ++row) {
        for (std::int64_t i = 0; i < labels; ++i, out += inner) {
          std::int64_t label = label_at(i);
          if (in_range(label, extent)) {
            std::copy_n(inputs[0].as<T>() + (row * extent + label) * inner, inner, out);
          } else {
            std::fill_n(out, inner, missing<T>());
          }
        }
      }
    });
  });
}

// The transpose of `take`: adds the slices of a cotangent where they were taken from.
void take_add(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
              const Executor&) noexcept {
  const int axis = std::get<attr::Scatter>(attributes).axis;
  const Shape& shape = output.shape;
  const std::int64_t outer = product(shape, 0, axis);
  const std::int64_t extent = shape[static_cast<std::size_t>(axis)];
  const std::int64_t inner = product(shape, axis + 1, shape.rank());
  const std::int64_t labels = inputs[1].shape.elements();
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    std::fill_n(output.as<T>(), shape.elements(), T{});
    visit_indices(inputs[1], [&](auto label_at) {
      const T* cotangent = inputs[0].as<T>();
      for (std::int64_t row = 0; row < outer; ++row) {
        for (std::int64_t i = 0; i < labels; ++i, cotangent += inner) {
          std::int64_t label = label_at(i);
          if (!in_range(label, extent)) continue;
          T* target = output.as<T>() + (row * extent + label) * inner;
          for (std::int64_t k = 0; k < inner; ++k) target[k] += cotangent[k];
        }
      }
    });
  });
}

void take_along(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                const Executor&) noexcept {
  const auto axis = static_cast<std::size_t>(std::get<attr::Axis>(attributes).axis);
  const Shape strides = strides_of(inputs[0].shape);
  visit<Domain::any>(output.dtype, [&]<class T>(std::type_identity<T>) {
    visit_indices(inputs[1], [&](auto label_at) {
      std::int64_t position = 0;
      for_each_index(output.shape, [&](Shape index) {
        index[axis] = label_at(position);
        const bool found = in_range(index[axis], inputs[0].shape[axis]);
        output.as<T>()[position++] = found ? inputs[0].as<T>()[offset_of(index, strides)] : missing<T>();
      });
    });
  });
}

void take_along_add(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                    const Executor&) noexcept {
  const auto axis = static_cast<std::size_t>(std::get<attr::Scatter>(attributes).axis);
  const Shape strides = strides_of(output.shape);
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    std::fill_n(output.as<T>(), output.shape.elements(), T{});
    visit_indices(inputs[1], [&](auto label_at) {
      std::int64_t position = 0;
      for_each_index(inputs[1].shape, [&](Shape index) {
        index[axis] = label_at(position);
        if (in_range(index[axis], output.shape[axis])) {
          output.as<T>()[offset_of(index, strides)] += inputs[0].as<T>()[position];
        }
        ++position;
      });
    });
  });
}

void iota(const Attributes& attributes, std::span<const Input>, const Output& output, const Executor&) noexcept {
  const auto axis = static_cast<std::size_t>(std::get<attr::Iota>(attributes).axis);
  visit<Domain::any>(output.dtype, [&]<class T>(std::type_identity<T>) {
    T* out = output.as<T>();
    for_each_index(output.shape, [&](const Shape& index) { *out++ = static_cast<T>(index[axis]); });
  });
}

}  // namespace linseed::kernels::reference
