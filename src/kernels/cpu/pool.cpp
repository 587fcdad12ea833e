#include "kernels/pool.hpp"

#include <algorithm>
#include <array>

#include "kernels/cpu/isa.hpp"
#include "kernels/dtypes.hpp"
#include "kernels/reduce.hpp"

namespace linseed::kernels::cpu {

namespace {

constexpr std::size_t axes = 3;     // missing leading axes have extent 1
constexpr std::int64_t chunk = 64;  // channels that one task takes

struct Axis {
  std::int64_t in = 1, out = 1, window = 1, stride = 1, low = 0;

  // The input places under the window at output place o: [begin, end).
  [[nodiscard]] std::int64_t begin(std::int64_t o) const noexcept {
    return std::max<std::int64_t>(o * stride - low, 0);
  }
  [[nodiscard]] std::int64_t end(std::int64_t o) const noexcept { return std::min(o * stride - low + window, in); }
};

struct Geometry {
  std::int64_t samples, channels;
  std::array<Axis, axes> axis;

  Geometry(const attr::Window& pool, const Shape& y) noexcept : samples(y[0]), channels(y.back()) {
    const std::size_t rank = pool.window.size();
    for (std::size_t i = 0; i < rank; ++i) {
      axis[i + axes - rank] = {pool.input_shape[i + 1], y[i + 1], pool.window[i], pool.strides[i], pool.low[i]};
    }
  }
  [[nodiscard]] std::int64_t chunks() const noexcept { return (channels + chunk - 1) / chunk; }
  [[nodiscard]] std::int64_t input_size() const noexcept { return axis[0].in * axis[1].in * axis[2].in * channels; }
  [[nodiscard]] std::int64_t output_size() const noexcept { return axis[0].out * axis[1].out * axis[2].out * channels; }
};

/// The part of the work that one task does: some channels of one sample. Tasks touch no common element.
struct Part {
  std::int64_t input, output;  // where it begins
  std::int64_t channels;
};

/// Calls `task(part)` for every part, compiled for the machine's vectors.
template <class Task>
void for_each_part(const Geometry& at, const Executor& executor, Task task) noexcept {
  const std::int64_t chunks = at.chunks();
  executor.parallel_for(at.samples * chunks, [&](std::int64_t index) {
    const std::int64_t sample = index / chunks;
    const std::int64_t first = index % chunks * chunk;
    const Part part{sample * at.input_size() + first, sample * at.output_size() + first,
                    std::min(chunk, at.channels - first)};
    with_widest_vectors(executor.vectors(), [&task, part]() LINSEED_LOOP { task(part); });
  });
}

/// For every output place at offset `out`: calls `begin(out)`, then `under(out, in)` with the offset of each input
/// place below the window, in row-major order, then `finish(out)`.
template <class Begin, class Under, class Finish>
LINSEED_LOOP inline void for_each_window(const Geometry& at, Begin begin, Under under, Finish finish) noexcept {
  const auto& [depth, height, width] = at.axis;
  std::int64_t out = 0;
  for (std::int64_t o0 = 0; o0 < depth.out; ++o0) {
    for (std::int64_t o1 = 0; o1 < height.out; ++o1) {
      for (std::int64_t o2 = 0; o2 < width.out; ++o2, out += at.channels) {
        begin(out);
        for (std::int64_t i0 = depth.begin(o0); i0 < depth.end(o0); ++i0) {
          for (std::int64_t i1 = height.begin(o1); i1 < height.end(o1); ++i1) {
            const std::int64_t row = (i0 * height.in + i1) * width.in;
            for (std::int64_t i2 = width.begin(o2); i2 < width.end(o2); ++i2) under(out, (row + i2) * at.channels);
          }
        }
        finish(out);
      }
    }
  }
}

/// Sets some channels of a sample's `places` to zero.
template <class T>
void clear(T* x, std::int64_t places, std::int64_t stride, std::int64_t channels) noexcept {
  if (channels == stride) {
    std::fill_n(x, places * channels, T{});
  } else {
    for (std::int64_t i = 0; i < places; ++i) std::fill_n(x + i * stride, channels, T{});
  }
}

/// For every output place, where the first largest elements lie: calls `use(out, offsets)`, with one offset into `x`
/// per channel, -1 where the window covers only padding. NaN is larger than all.
template <class T, class Use>
LINSEED_LOOP inline void for_each_largest(const Geometry& at, const T* x, std::int64_t channels, Use use) noexcept {
  std::array<T, chunk> best;
  std::array<std::int64_t, chunk> offset;
  for_each_window(
      at,
      [&](std::int64_t) LINSEED_LOOP {
        best.fill(T{});
        offset.fill(-1);
      },
      [&](std::int64_t, std::int64_t in) LINSEED_LOOP {
        for (std::int64_t c = 0; c < channels; ++c) {
          const T value = x[in + c];
          const bool better = (offset[c] < 0) | ((best[c] == best[c]) & !(value <= best[c]));
          best[c] = better ? value : best[c];
          offset[c] = better ? in + c : offset[c];
        }
      },
      [&](std::int64_t out) LINSEED_LOOP { use(out, offset.data()); });
}

}  // namespace

void max_pool(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
              const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::numeric>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), output.shape);
    for_each_part(at, executor, [&at, in = inputs[0].as<T>(), result = output.as<T>()](const Part& part) LINSEED_LOOP {
      const T* x = in + part.input;
      T* y = result + part.output;
      const std::int64_t channels = part.channels;
      for_each_window(
          at, [=](std::int64_t out) LINSEED_LOOP { std::fill_n(y + out, channels, fold::lowest<T>()); },
          [=](std::int64_t out, std::int64_t place) LINSEED_LOOP {
            for (std::int64_t c = 0; c < channels; ++c) {
              const T value = x[place + c];
              const T best = y[out + c];
              y[out + c] = (best == best) & !(value <= best) ? value : best;
            }
          },
          [](std::int64_t) LINSEED_LOOP {});
    });
  });
}

void max_pool_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                   const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), inputs[1].shape);
    for_each_part(at, executor,
                  [&at, in = inputs[0].as<T>(), cotangent = inputs[1].as<T>(),
                   result = output.as<T>()](const Part& part) LINSEED_LOOP {
                    T* dx = result + part.input;
                    const T* g = cotangent + part.output;
                    clear(dx, at.input_size() / at.channels, at.channels, part.channels);
                    for_each_largest(at, in + part.input, part.channels,
                                     [=](std::int64_t out, const std::int64_t* offset) LINSEED_LOOP {
                                       for (std::int64_t c = 0; c < part.channels; ++c) {
                                         if (offset[c] >= 0) dx[offset[c]] += g[out + c];
                                       }
                                     });
                  });
  });
}

void max_pool_gather(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                     const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), output.shape);
    for_each_part(at, executor,
                  [&at, in = inputs[0].as<T>(), values = inputs[1].as<T>(), result = output.as<T>()](const Part& part)
                      LINSEED_LOOP {
                        T* y = result + part.output;
                        const T* source = values + part.input;
                        for_each_largest(at, in + part.input, part.channels,
                                         [=](std::int64_t out, const std::int64_t* offset) LINSEED_LOOP {
                                           for (std::int64_t c = 0; c < part.channels; ++c) {
                                             y[out + c] = offset[c] < 0 ? T{} : source[offset[c]];
                                           }
                                         });
                      });
  });
}

namespace {

/// y[i * y_step + c] += x[i * x_step + c] for all runs i and channels c. Few channels are a constant of the code.
template <class T>
LINSEED_LOOP inline void add_runs(T* y, std::int64_t y_step, const T* x, std::int64_t x_step, std::int64_t runs,
                                  std::int64_t channels) noexcept {
  const auto of = [=](auto count) LINSEED_LOOP {
    for (std::int64_t i = 0; i < runs; ++i) {
      for (std::int64_t c = 0; c < count; ++c) y[i * y_step + c] += x[i * x_step + c];
    }
  };
  switch (channels) {
    case 1: return of(std::integral_constant<std::int64_t, 1>{});
    case 2: return of(std::integral_constant<std::int64_t, 2>{});
    case 3: return of(std::integral_constant<std::int64_t, 3>{});
    case 4: return of(std::integral_constant<std::int64_t, 4>{});
    case 6: return of(std::integral_constant<std::int64_t, 6>{});
    case 8: return of(std::integral_constant<std::int64_t, 8>{});
    case 16: return of(std::integral_constant<std::int64_t, 16>{});
    case 32: return of(std::integral_constant<std::int64_t, 32>{});
    case 64: return of(std::integral_constant<std::int64_t, 64>{});
    default: return of(channels);
  }
}

/// The places of the last axis that lie under element `tap` of the window: `count` output places from `out` on, and the
/// input place below the first of them.
struct Taps {
  std::int64_t out, in, count;

  Taps(const Axis& axis, std::int64_t tap) noexcept {
    const std::int64_t shift = axis.low - tap;  // input place = output place * stride - shift
    out = shift > 0 ? (shift + axis.stride - 1) / axis.stride : 0;
    const std::int64_t end = axis.in - 1 + shift < 0 ? 0 : std::min(axis.out, (axis.in - 1 + shift) / axis.stride + 1);
    count = std::max<std::int64_t>(0, end - out);
    in = out * axis.stride - shift;
  }
};

/// For every row of output places, from offset `out` on, and every row of input places below it, from `in` on: calls
/// `row(out, in)`, in the order of for_each_window.
template <class Row>
LINSEED_LOOP inline void for_each_row(const Geometry& at, Row row) noexcept {
  const auto& [depth, height, width] = at.axis;
  for (std::int64_t o0 = 0; o0 < depth.out; ++o0) {
    for (std::int64_t o1 = 0; o1 < height.out; ++o1) {
      for (std::int64_t i0 = depth.begin(o0); i0 < depth.end(o0); ++i0) {
        for (std::int64_t i1 = height.begin(o1); i1 < height.end(o1); ++i1) {
          row((o0 * height.out + o1) * width.out * at.channels, (i0 * height.in + i1) * width.in * at.channels);
        }
      }
    }
  }
}

/// Whether the windows lie side by side and cover the input, so that every input place is under one of them.
bool is_tiling(const Geometry& at) noexcept {
  return std::all_of(at.axis.begin(), at.axis.end(), [](const Axis& axis) {
    return axis.low == 0 && axis.stride == axis.window && axis.out * axis.stride == axis.in;
  });
}

/// For every output place, in a tiling of windows of 2 x 2: calls `window(out, in)` with its offset and those of the
/// four input places, in their order.
template <class Window>
LINSEED_LOOP inline void for_each_quad(const Geometry& at, Window window) noexcept {
  const auto& [depth, height, width] = at.axis;
  const std::int64_t row = width.in * at.channels;
  std::int64_t out = 0;
  for (std::int64_t o = 0; o < depth.out * height.out; ++o) {
    std::int64_t in = 2 * o * row;
    for (std::int64_t i = 0; i < width.out; ++i, out += at.channels, in += 2 * at.channels)
      window(out, std::array{in, in + at.channels, in + row, in + row + at.channels});
  }
}

bool has_quads(const Geometry& at) noexcept {
  return at.axis[0].window == 1 && at.axis[1].window == 2 && at.axis[2].window == 2 && is_tiling(at);
}

}  // namespace

void window_sum(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), output.shape);
    if (has_quads(at)) {
      for_each_part(at, executor,
                    [&at, in = inputs[0].as<T>(), result = output.as<T>()](const Part& part) LINSEED_LOOP {
                      const T* x = in + part.input;
                      T* y = result + part.output;
                      for_each_quad(at, [=](std::int64_t out, const std::array<std::int64_t, 4>& under) LINSEED_LOOP {
                        const T *a = x + under[0], *b = x + under[1], *c = x + under[2], *d = x + under[3];
                        T* const sum = y + out;
#pragma GCC ivdep
                        for (std::int64_t i = 0; i < part.channels; ++i) sum[i] = T{} + a[i] + b[i] + c[i] + d[i];
                      });
                    });
      return;
    }
    for_each_part(at, executor, [&at, in = inputs[0].as<T>(), result = output.as<T>()](const Part& part) LINSEED_LOOP {
      const T* x = in + part.input;
      T* y = result + part.output;
      const std::int64_t places = at.output_size() / at.channels;
      clear(y, places, at.channels, part.channels);
      const Axis& width = at.axis.back();
      for_each_row(at, [&](std::int64_t out, std::int64_t row) LINSEED_LOOP {
        for (std::int64_t tap = 0; tap < width.window; ++tap) {
          const Taps taps(width, tap);
          add_runs(y + out + taps.out * at.channels, at.channels, x + row + taps.in * at.channels,
                   width.stride * at.channels, taps.count, part.channels);
        }
      });
    });
  });
}

void window_sum_transpose(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                          const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const Geometry at(std::get<attr::Window>(attributes), inputs[0].shape);
    for_each_part(at, executor,
                  [&at, cotangent = inputs[0].as<T>(), result = output.as<T>()](const Part& part) LINSEED_LOOP {
                    T* dx = result + part.input;
                    const T* g = cotangent + part.output;
                    if (has_quads(at)) {
                      for_each_quad(at, [=](std::int64_t out, const std::array<std::int64_t, 4>& under) LINSEED_LOOP {
                        T *a = dx + under[0], *b = dx + under[1], *c = dx + under[2], *d = dx + under[3];
                        const T* const from = g + out;
#pragma GCC ivdep
                        for (std::int64_t i = 0; i < part.channels; ++i) a[i] = b[i] = c[i] = d[i] = T{} + from[i];
                      });
                      return;
                    }
                    clear(dx, at.input_size() / at.channels, at.channels, part.channels);
                    const Axis& width = at.axis.back();
                    for_each_row(at, [&](std::int64_t out, std::int64_t row) LINSEED_LOOP {
                      // From the last tap down: what one input place gets comes in the order of the output places.
                      for (std::int64_t tap = width.window - 1; tap >= 0; --tap) {
                        const Taps taps(width, tap);
                        add_runs(dx + row + taps.in * at.channels, width.stride * at.channels,
                                 g + out + taps.out * at.channels, at.channels, taps.count, part.channels);
                      }
                    });
                  });
  });
}

}  // namespace linseed::kernels::cpu
