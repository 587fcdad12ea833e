#include "kernels/cpu/conv_lanes.hpp"

#include <algorithm>
#include <atomic>

#include "kernels/conv.hpp"
#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu::lanes {

#if LINSEED_X86_TILES

namespace {

constexpr std::int64_t samples = kernels::lanes;  // side by side in a block

/// One row of output pixels of a block: x [rows][padded columns][channels][samples] and w [taps][taps][channels]
/// [features] give y [pixels][features][samples].
struct Row {
  const float* x;  // the first row under the window, at its first column
  const float* w;
  float* y;
  std::int64_t channels, features, pixels, taps;
  std::int64_t stride;               // of the window along the row
  std::int64_t tap_step;             // elements from tap to tap along the row
  std::int64_t tap_row_step;         // and from row to row of taps
  std::int64_t first_tap, last_tap;  // the rows of taps that meet the input
};

/// The inputs and cotangents of a block: x as above, dy [rows][columns][features][samples].
struct Plane {
  const float* x;
  const float* dy;
  std::int64_t channels, features;
  std::int64_t rows, columns, in_rows, in_columns;
  std::int64_t row_taps, taps, row_stride, stride, row_dilation, dilation, low;
};

/// Some rows of a block's cotangents for some features: [rows][columns][those features][samples].
struct Strip {
  const float* cotangents;
  std::int64_t feature, first, last;
};
constexpr std::int64_t strip_elements = 6 << 10;

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr std::int64_t vector_lanes = vectors::avx2::lanes;
constexpr int most_features = 3, most_features_of_five = 2;  // of a kernel's gradient, in tiles of 3 and 5 taps
#include "kernels/cpu/conv_lanes_tile.inc"

void gather_row(const Row& row) noexcept {
  for (std::int64_t lane = 0; lane < samples; lane += vector_lanes) {
    std::int64_t feature = 0;
    while (feature < row.features) {
      switch (const std::int64_t left = row.features - feature; left) {
        case 1: gather_features<1, 4>(row, feature, lane), feature += 1; break;
        case 2: gather_features<2, 4>(row, feature, lane), feature += 2; break;
        case 3: gather_features<3, 3>(row, feature, lane), feature += 3; break;
        case 6: gather_features<6, 2>(row, feature, lane), feature += 6; break;
        default: gather_features<4, 3>(row, feature, lane), feature += 4;
      }
    }
  }
}

/// to[i] += the sum of the lanes of sums[i], which are added in pairs that are 8, 4, 2 and 1 apart.
void add_lanes(const float* sums, std::int64_t count, float* to) noexcept {
  for (std::int64_t i = 0; i < count; ++i, sums += samples) {
    const __m256 eight = _mm256_add_ps(_mm256_load_ps(sums), _mm256_load_ps(sums + 8));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    to[i] += _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
}
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr std::int64_t vector_lanes = vectors::avx512::lanes;
constexpr int most_features = 8, most_features_of_five = 4;
#include "kernels/cpu/conv_lanes_tile.inc"

void gather_row(const Row& row) noexcept {
  std::int64_t feature = 0;
  while (feature < row.features) {
    switch (const std::int64_t left = row.features - feature; left) {
      case 1: gather_features<1, 8>(row, feature, 0), feature += 1; break;
      case 2: gather_features<2, 8>(row, feature, 0), feature += 2; break;
      case 3: gather_features<3, 7>(row, feature, 0), feature += 3; break;
      case 4:
      case 5: gather_features<4, 5>(row, feature, 0), feature += 4; break;
      case 6:
      case 7:
      case 12: gather_features<6, 4>(row, feature, 0), feature += 6; break;
      default: gather_features<8, 3>(row, feature, 0), feature += 8;
    }
  }
}
}  // namespace avx512
#pragma GCC pop_options

/// to[k][n] = from[n][k] for n below `count`, zero for the other lanes.
void interleave(const float* from, std::int64_t step, std::int64_t count, std::int64_t length, float* to) noexcept {
  std::int64_t k = 0;
  for (; k + 4 <= length; k += 4) {
    for (std::int64_t n = 0; n < samples; n += 4) {
      __m128 row[4];
      for (std::int64_t i = 0; i < 4; ++i)
        row[i] = n + i < count ? _mm_loadu_ps(from + (n + i) * step + k) : _mm_setzero_ps();
      _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
      for (std::int64_t i = 0; i < 4; ++i) _mm_store_ps(to + (k + i) * samples + n, row[i]);
    }
  }
  for (; k < length; ++k) {
    for (std::int64_t n = 0; n < samples; ++n) to[k * samples + n] = n < count ? from[n * step + k] : 0.0F;
  }
}

/// to[n][k] = from[k][n] for n below `count`.
void separate(const float* from, std::int64_t length, float* to, std::int64_t step, std::int64_t count) noexcept {
  std::int64_t k = 0;
  for (; k + 4 <= length; k += 4) {
    for (std::int64_t n = 0; n < count; n += 4) {
      __m128 row[4];
      for (std::int64_t i = 0; i < 4; ++i) row[i] = _mm_load_ps(from + (k + i) * samples + n);
      _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
      for (std::int64_t i = 0; i < std::min<std::int64_t>(4, count - n); ++i)
        _mm_storeu_ps(to + (n + i) * step + k, row[i]);
    }
  }
  for (; k < length; ++k) {
    for (std::int64_t n = 0; n < count; ++n) to[n * step + k] = from[k * samples + n];
  }
}

/// Sizes of a block of samples.
struct Sizes {
  std::int64_t padded_columns;      // of the input, with the zeros beside it
  std::int64_t input, row, kernel;  // elements of a block's input, of a row of its output, of the kernel

  explicit Sizes(const Problem& problem) noexcept
      : padded_columns(std::max(problem.axis[2].reach(problem.axis[2].out), problem.axis[2].low + problem.axis[2].in)),
        input(problem.axis[1].in * padded_columns * problem.channels * samples),
        row(problem.axis[2].out * problem.features * samples),
        kernel(problem.axis[1].taps * problem.axis[2].taps * problem.channels * problem.features) {}
};

}  // namespace

bool suits(const Problem& problem, VectorSet set) noexcept {
  constexpr std::int64_t fewest_samples = 8;
  constexpr double largest_block = 1 << 19;  // elements: two blocks stay in the second cache
  if (set == VectorSet::portable || problem.groups != 1 || problem.samples < fewest_samples) return false;
  const Axis& first = problem.axis[0];
  if (first.out != 1 || first.in != 1 || first.taps != 1) return false;
  double reach = 1;
  for (const Axis& axis : problem.axis) {
    if (axis.input_dilation != 1 || axis.low < 0) return false;
    reach *= static_cast<double>(axis.in) + static_cast<double>(axis.taps) * static_cast<double>(axis.kernel_dilation) +
             static_cast<double>(axis.out) * static_cast<double>(axis.stride);
  }
  const double channels = static_cast<double>(std::max(problem.channels, problem.features));
  return std::min(problem.channels, problem.features) <= 24 && channels <= 64 &&
         reach * channels * static_cast<double>(samples) <= 4 * largest_block;
}

namespace {

/// The input of the block from sample `first` on, with zeros beside its rows: in place where there are none, else in
/// `to`.
const float* load_input(const Problem& problem, const Sizes& sizes, Layout layout, const float* x, std::int64_t first,
                        float* to) noexcept {
  const std::int64_t row = problem.axis[2].in * problem.channels;
  const std::int64_t step = problem.axis[1].in * row;
  const std::int64_t count = std::min(samples, problem.samples - first);
  x += first * step;
  if (layout == Layout::lanes && sizes.padded_columns == problem.axis[2].in) return x;
  const float* const result = to;
  const std::int64_t left = problem.axis[2].low * problem.channels * samples;
  const std::int64_t padded = sizes.padded_columns * problem.channels * samples;
  for (std::int64_t i = 0; i < problem.axis[1].in; ++i, to += padded) {
    std::fill_n(to, left, 0.0F);
    if (layout == Layout::lanes) {
      std::copy_n(x + i * row * samples, row * samples, to + left);
    } else {
      interleave(x + i * row, step, count, row, to + left);
    }
    std::fill_n(to + left + row * samples, padded - left - row * samples, 0.0F);
  }
  return result;
}

/// The kernel as [taps][taps][channels][features].
void pack_weights(const Problem& problem, const float* w, const KernelLayout& kernel, float* to) noexcept {
  for (std::int64_t ky = 0; ky < problem.axis[1].taps; ++ky) {
    for (std::int64_t kx = 0; kx < problem.axis[2].taps; ++kx) {
      for (std::int64_t c = 0; c < problem.channels; ++c) {
        const float* from = w + kernel.first + ky * kernel.tap[1] + kx * kernel.tap[2] + c * kernel.channel;
        for (std::int64_t o = 0; o < problem.features; ++o) *to++ = from[o * kernel.feature];
      }
    }
  }
}

}  // namespace

bool gather(const Problem& problem, Layout layout, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  if (!suits(problem, executor.vectors())) return false;
  const Sizes sizes(problem);
  const auto& [depth, height, width] = problem.axis;
  const bool wide = executor.vectors() == VectorSet::avx512;
  const std::int64_t y_row = width.out * problem.features, y_sample = height.out * y_row;
  float* const weights = scratch_floats<Scratch::lanes_weights>(sizes.kernel);
  if (weights == nullptr) return false;
  pack_weights(problem, w, kernel, weights);
  std::atomic<bool> complete = true;

  executor.parallel_for(ceil_divide(problem.samples, samples), [&](std::int64_t block) {
    float* input = scratch_floats<Scratch::lanes_input>(sizes.input);
    float* rows = scratch_floats<Scratch::lanes_rows>(sizes.row);
    if (input == nullptr || rows == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    const std::int64_t first = block * samples, count = std::min(samples, problem.samples - first);
    const float* const under = load_input(problem, sizes, layout, x, first, input);
    float* const block_y = y + first * y_sample;
    const std::int64_t padded_row = sizes.padded_columns * problem.channels * samples;
    for (std::int64_t out = 0; out < height.out; ++out) {
      const std::int64_t origin = out * height.stride - height.low;  // the input row under the first row of taps
      const std::int64_t first_tap =
          std::clamp<std::int64_t>(ceil_divide(-origin, height.kernel_dilation), 0, height.taps);
      const std::int64_t last_tap =
          std::clamp<std::int64_t>(ceil_divide(height.in - origin, height.kernel_dilation), first_tap, height.taps);
      const Row row{.x = under + origin * padded_row,
                    .w = weights,
                    .y = layout == Layout::lanes ? block_y + out * y_row * samples : rows,
                    .channels = problem.channels,
                    .features = problem.features,
                    .pixels = width.out,
                    .taps = width.taps,
                    .stride = width.stride,
                    .tap_step = width.kernel_dilation * problem.channels * samples,
                    .tap_row_step = height.kernel_dilation * padded_row,
                    .first_tap = first_tap,
                    .last_tap = last_tap};
      wide ? avx512::gather_row(row) : avx2::gather_row(row);
      if (layout == Layout::ordinary) separate(rows, y_row, block_y + out * y_row, y_sample, count);
    }
  });
  return complete.load(std::memory_order_relaxed);
}

bool correlate(const Problem& problem, Layout layout, const float* x, const float* dy, float* dw,
               const Executor& executor) noexcept {
  if (!suits(problem, executor.vectors())) return false;
  constexpr std::int64_t most_partials = 32, affordable = 1 << 18;  // elements
  const Sizes sizes(problem);
  const auto& [depth, height, width] = problem.axis;
  const bool wide = executor.vectors() == VectorSet::avx512;
  const std::int64_t blocks = ceil_divide(problem.samples, samples);
  const std::int64_t partials = std::clamp<std::int64_t>(affordable / sizes.kernel, 1, std::min(blocks, most_partials));
  const std::int64_t dy_sample = height.out * width.out * problem.features;
  float* others = scratch_floats<Scratch::conv_partials>((partials - 1) * sizes.kernel);
  if (others == nullptr) return false;
  std::atomic<bool> complete = true;

  executor.parallel_for(partials, [&](std::int64_t partial) {
    float* input = scratch_floats<Scratch::lanes_input>(sizes.input);
    float* cotangent = scratch_floats<Scratch::lanes_cotangent>(dy_sample * samples);
    const std::int64_t packed = std::max(strip_elements, width.out * avx512::most_features * samples);
    float* lane_sums = scratch_floats<Scratch::lanes_rows>(packed + sizes.kernel * samples);
    if (input == nullptr || cotangent == nullptr || lane_sums == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    std::fill_n(lane_sums, sizes.kernel * samples, 0.0F);
    float* sums = partial == 0 ? dw : others + (partial - 1) * sizes.kernel;
    std::fill_n(sums, sizes.kernel, 0.0F);
    for (std::int64_t block = partial * blocks / partials; block < (partial + 1) * blocks / partials; ++block) {
      const std::int64_t first = block * samples, count = std::min(samples, problem.samples - first);
      const float* const block_dy = dy + first * dy_sample;
      if (layout == Layout::ordinary) interleave(block_dy, dy_sample, count, dy_sample, cotangent);
      const Plane plane{.x = load_input(problem, sizes, layout, x, first, input),
                        .dy = layout == Layout::lanes ? block_dy : cotangent,
                        .channels = problem.channels,
                        .features = problem.features,
                        .rows = height.out,
                        .columns = width.out,
                        .in_rows = height.in,
                        .in_columns = sizes.padded_columns,
                        .row_taps = height.taps,
                        .taps = width.taps,
                        .row_stride = height.stride,
                        .stride = width.stride,
                        .row_dilation = height.kernel_dilation,
                        .dilation = width.kernel_dilation,
                        .low = height.low};
      (wide ? avx512::correlate_plane : avx2::correlate_plane)(plane, lane_sums + sizes.kernel * samples, lane_sums);
    }
    avx2::add_lanes(lane_sums, sizes.kernel, sums);
  });
  if (!complete.load(std::memory_order_relaxed)) return false;
  for (std::int64_t partial = 0; partial + 1 < partials; ++partial) {
    for (std::int64_t i = 0; i < sizes.kernel; ++i) dw[i] += others[partial * sizes.kernel + i];
  }
  return true;
}

#else

bool suits(const Problem&, VectorSet) noexcept { return false; }
bool gather(const Problem&, Layout, const float*, const float*, const KernelLayout&, float*, const Executor&) noexcept {
  return false;
}
bool correlate(const Problem&, Layout, const float*, const float*, float*, const Executor&) noexcept { return false; }

#endif

}  // namespace linseed::kernels::cpu::lanes
