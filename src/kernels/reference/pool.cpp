#include "kernels/pool.hpp"

#include <algorithm>
#include <optional>

#include "kernels/dtypes.hpp"
#include "kernels/reduce.hpp"
#include "kernels/reference/places.hpp"

namespace linseed::kernels::reference {

namespace {

/// Windows over x [samples, input, channels] that give y [samples, output, channels]: place k of the window at output
/// place o lies on input place o * stride - low + k.
struct Geometry {
  std::int64_t samples, channels;
  Place input, output, window, stride, low;

  Geometry(const attr::Window& pool, const Shape& y) noexcept {
    const std::size_t rank = pool.window.size();
    samples = y[0];
    channels = y[rank + 1];
    input = place(pool.input_shape, 1, rank, 1);
    output = place(y, 1, rank, 1);
    window = place(pool.window, 0, rank, 1);
    stride = place(pool.strides, 0, rank, 1);
    low = place(pool.low, 0, rank, 0);
  }

  std::optional<Place> input_at(const Place& o, const Place& k) const noexcept {
    Place i;
    for (std::size_t axis = 0; axis < i.size(); ++axis) {
      i[axis] = o[axis] * stride[axis] - low[axis] + k[axis];
      if (i[axis] < 0 || i[axis] >= input[axis]) return {};
    }
    return i;
  }

  std::int64_t x_index(std::int64_t n, const Place& i, std::int64_t c) const noexcept {
    return (((n * input[0] + i[0]) * input[1] + i[1]) * input[2] + i[2]) * channels + c;
  }
  std::int64_t y_index(std::int64_t n, const Place& o, std::int64_t c) const noexcept {
    return (((n * output[0] + o[0]) * output[1] + o[1]) * output[2] + o[2]) * channels + c;
  }

  /// Calls `function(y_index, sample, output place, channel)` for every window.
  template <class Function>
  void for_each_window(Function&& function) const noexcept {
    for (std::int64_t n = 0; n < samples; ++n) {
      for_each_place(output, [&](const Place& o) {
        for (std::int64_t c = 0; c < channels; ++c) function(y_index(n, o, c), n, o, c);
      });
    }
  }
  /// Calls `function(x_index)` for every element under a window.
  template <class Function>
  void for_each_under(std::int64_t n, const Place& o, std::int64_t c, Function&& function) const noexcept {
    for_each_place(window, [&](const Place& k) {
      if (const auto i = input_at(o, k)) function(x_index(n, *i, c));
    });
  }
};

/// Where the first largest element under a window lies, NaN being larger than all; -1 when there is only padding.
template <class T>
std::int64_t first_largest(const Geometry& at, const T* x, std::int64_t n, const Place& o, std::int64_t c) noexcept {
  std::int64_t best = -1;
  at.for_each_under(n, o, c, [&](std::int64_t i) {
    if (best < 0 || (x[best] == x[best] && !(x[i] <= x[best]))) best = i;
  });
  return best;
}

}  // namespace

void max_pool(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
              const Executor&) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::numeric>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), output.shape);
    const T* x = inputs[0].as<T>();
    T* y = output.as<T>();
    at.for_each_window([&](std::int64_t index, std::int64_t n, const Place& o, std::int64_t c) {
      const std::int64_t largest = first_largest(at, x, n, o, c);
      y[index] = largest < 0 ? fold::lowest<T>() : x[largest];
    });
  });
}

void max_pool_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                   const Executor&) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), inputs[1].shape);
    const T* x = inputs[0].as<T>();
    const T* g = inputs[1].as<T>();
    T* dx = output.as<T>();
    std::fill_n(dx, output.shape.elements(), T{});
    at.for_each_window([&](std::int64_t index, std::int64_t n, const Place& o, std::int64_t c) {
      if (const std::int64_t largest = first_largest(at, x, n, o, c); largest >= 0) dx[largest] += g[index];
    });
  });
}

void max_pool_gather(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                     const Executor&) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), output.shape);
    const T* x = inputs[0].as<T>();
    const T* values = inputs[1].as<T>();
    T* y = output.as<T>();
    at.for_each_window([&](std::int64_t index, std::int64_t n, const Place& o, std::int64_t c) {
      const std::int64_t largest = first_largest(at, x, n, o, c);
      y[index] = largest < 0 ? T{} : values[largest];
    });
  });
}

void window_sum(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                const Executor&) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), output.shape);
    const T* x = inputs[0].as<T>();
    T* y = output.as<T>();
    at.for_each_window([&](std::int64_t index, std::int64_t n, const Place& o, std::int64_t c) {
      double total = 0.0;
      at.for_each_under(n, o, c, [&](std::int64_t i) { total += static_cast<double>(x[i]); });
      y[index] = static_cast<T>(total);
    });
  });
}

void window_sum_transpose(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                          const Executor&) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), inputs[0].shape);
    const T* g = inputs[0].as<T>();
    T* dx = output.as<T>();
    std::fill_n(dx, output.shape.elements(), T{});
    at.for_each_window([&](std::int64_t index, std::int64_t n, const Place& o, std::int64_t c) {
      at.for_each_under(n, o, c, [&](std::int64_t i) { dx[i] += g[index]; });
    });
  });
}

}  // namespace linseed::kernels::reference
