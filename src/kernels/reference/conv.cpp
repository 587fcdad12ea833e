#include "kernels/conv.hpp"

#include <optional>

#include "kernels/dtypes.hpp"
#include "kernels/reference/places.hpp"

namespace linseed::kernels::reference {

namespace {

/// A convolution of x [samples, input, groups x channels] with w [kernel, channels, groups x features] giving
/// y [samples, output, groups x features]. Tap k of output place o meets input place i where
/// i * input_dilation = o * stride - low + k * kernel_dilation, on every axis. `together` samples lie side by side.
struct Geometry {
  std::int64_t samples, together, groups, channels, features;
  Place input, kernel, output;
  Place stride, low, input_dilation, kernel_dilation;

  Geometry(const attr::Conv& conv, const Shape& y, std::int64_t side_by_side) noexcept : together(side_by_side) {
    const std::size_t rank = conv.strides.size();
    samples = y[0] * together;
    groups = conv.groups;
    channels = conv.kernel_shape[rank];
    features = conv.kernel_shape[rank + 1] / groups;
    input = place(conv.input_shape, 1, rank, 1);
    kernel = place(conv.kernel_shape, 0, rank, 1);
    output = place(y, 1, rank, 1);
    stride = place(conv.strides, 0, rank, 1);
    low = place(conv.low, 0, rank, 0);
    input_dilation = place(conv.input_dilation, 0, rank, 1);
    kernel_dilation = place(conv.kernel_dilation, 0, rank, 1);
  }

  /// The input place under tap k of output place o, if it is not padding or a gap of the dilated input.
  std::optional<Place> input_at(const Place& o, const Place& k) const noexcept {
    Place i;
    for (std::size_t axis = 0; axis < i.size(); ++axis) {
      const std::int64_t dilated = o[axis] * stride[axis] - low[axis] + k[axis] * kernel_dilation[axis];
      i[axis] = dilated / input_dilation[axis];
      if (dilated < 0 || dilated % input_dilation[axis] != 0 || i[axis] >= input[axis]) return {};
    }
    return i;
  }

  /// The output place whose tap k lies on input place i, if there is one.
  std::optional<Place> output_at(const Place& i, const Place& k) const noexcept {
    Place o;
    for (std::size_t axis = 0; axis < o.size(); ++axis) {
      const std::int64_t strided = i[axis] * input_dilation[axis] + low[axis] - k[axis] * kernel_dilation[axis];
      o[axis] = strided / stride[axis];
      if (strided < 0 || strided % stride[axis] != 0 || o[axis] >= output[axis]) return {};
    }
    return o;
  }

  std::int64_t x_index(std::int64_t n, const Place& i, std::int64_t g, std::int64_t c) const noexcept {
    const std::int64_t place = ((n / together * input[0] + i[0]) * input[1] + i[1]) * input[2] + i[2];
    return ((place * groups + g) * channels + c) * together + n % together;
  }
  std::int64_t w_index(const Place& k, std::int64_t c, std::int64_t g, std::int64_t f) const noexcept {
    return ((((k[0] * kernel[1] + k[1]) * kernel[2] + k[2]) * channels + c) * groups + g) * features + f;
  }
  std::int64_t y_index(std::int64_t n, const Place& o, std::int64_t g, std::int64_t f) const noexcept {
    const std::int64_t place = ((n / together * output[0] + o[0]) * output[1] + o[1]) * output[2] + o[2];
    return ((place * groups + g) * features + f) * together + n % together;
  }
};

template <class T>
void conv(const Geometry& at, const T* x, const T* w, T* y) noexcept {
  for (std::int64_t n = 0; n < at.samples; ++n) {
    for_each_place(at.output, [&](const Place& o) {
      for (std::int64_t g = 0; g < at.groups; ++g) {
        for (std::int64_t f = 0; f < at.features; ++f) {
          double total = 0.0;
          for_each_place(at.kernel, [&](const Place& k) {
            const auto i = at.input_at(o, k);
            if (!i) return;
            for (std::int64_t c = 0; c < at.channels; ++c) {
              total += static_cast<double>(x[at.x_index(n, *i, g, c)]) * static_cast<double>(w[at.w_index(k, c, g, f)]);
            }
          });
          y[at.y_index(n, o, g, f)] = static_cast<T>(total);
        }
      }
    });
  }
}

template <class T>
void conv_input_grad(const Geometry& at, const T* dy, const T* w, T* dx) noexcept {
  for (std::int64_t n = 0; n < at.samples; ++n) {
    for_each_place(at.input, [&](const Place& i) {
      for (std::int64_t g = 0; g < at.groups; ++g) {
        for (std::int64_t c = 0; c < at.channels; ++c) {
          double total = 0.0;
          for_each_place(at.kernel, [&](const Place& k) {
            const auto o = at.output_at(i, k);
            if (!o) return;
            for (std::int64_t f = 0; f < at.features; ++f) {
              total +=
                  static_cast<double>(dy[at.y_index(n, *o, g, f)]) * static_cast<double>(w[at.w_index(k, c, g, f)]);
            }
          });
          dx[at.x_index(n, i, g, c)] = static_cast<T>(total);
        }
      }
    });
  }
}

template <class T>
void conv_kernel_grad(const Geometry& at, const T* x, const T* dy, T* dw) noexcept {
  for_each_place(at.kernel, [&](const Place& k) {
    for (std::int64_t c = 0; c < at.channels; ++c) {
      for (std::int64_t g = 0; g < at.groups; ++g) {
        for (std::int64_t f = 0; f < at.features; ++f) {
          double total = 0.0;
          for (std::int64_t n = 0; n < at.samples; ++n) {
            for_each_place(at.output, [&](const Place& o) {
              const auto i = at.input_at(o, k);
              if (!i) return;
              total +=
                  static_cast<double>(x[at.x_index(n, *i, g, c)]) * static_cast<double>(dy[at.y_index(n, o, g, f)]);
            });
          }
          dw[at.w_index(k, c, g, f)] = static_cast<T>(total);
        }
      }
    }
  });
}

void run_conv(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
              std::int64_t together) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry geometry(std::get<attr::Conv>(attributes), output.shape, together);
    conv(geometry, inputs[0].as<T>(), inputs[1].as<T>(), output.as<T>());
  });
}

void run_input_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                    std::int64_t together) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry geometry(std::get<attr::Conv>(attributes), inputs[0].shape, together);
    conv_input_grad(geometry, inputs[0].as<T>(), inputs[1].as<T>(), output.as<T>());
  });
}

void run_kernel_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                     std::int64_t together) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry geometry(std::get<attr::Conv>(attributes), inputs[1].shape, together);
    conv_kernel_grad(geometry, inputs[0].as<T>(), inputs[1].as<T>(), output.as<T>());
  });
}

}  // namespace

void conv(const Attributes& attributes, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  run_conv(attributes, inputs, output, 1);
}
void conv_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                   const Executor&) noexcept {
  run_conv(attributes, inputs, output, lanes);
}
void conv_input_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                     const Executor&) noexcept {
  run_input_grad(attributes, inputs, output, 1);
}
void conv_input_grad_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                              const Executor&) noexcept {
  run_input_grad(attributes, inputs, output, lanes);
}
void conv_kernel_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                      const Executor&) noexcept {
  run_kernel_grad(attributes, inputs, output, 1);
}
void conv_kernel_grad_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                               const Executor&) noexcept {
  run_kernel_grad(attributes, inputs, output, lanes);
}

}  // namespace linseed::kernels::reference
