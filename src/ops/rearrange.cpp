// Functions of <linseed/ops/shape.hpp> that are made of its ops.
#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed {

std::vector<Array> split(const Array& x, std::int64_t sections, int axis) {
  const int place = normalize_axis(axis, x.rank(), "split");
  if (sections < 1) throw ValueError("split", "There must be at least one part.", {.got = std::to_string(sections)});
  if (x.extent(place) % sections != 0) {
    throw ShapeError("split", "The parts do not divide the axis.",
                     {.got = fmt::format("{} parts of axis {} of {}", sections, place, to_string(x.shape()))});
  }
  const std::int64_t width = x.extent(place) / sections;
  std::vector<Array> parts;
  for (std::int64_t i = 0; i < sections; ++i) parts.push_back(slice_axis(x, place, i * width, (i + 1) * width));
  return parts;
}

std::vector<Array> unstack(const Array& x, int axis) {
  const int place = normalize_axis(axis, x.rank(), "unstack");
  std::vector<Array> slices;
  for (std::int64_t i = 0; i < x.extent(place); ++i) slices.push_back(squeeze(slice_axis(x, place, i, i + 1), place));
  return slices;
}

Array repeat(const Array& x, std::int64_t count, int axis) {
  const int place = normalize_axis(axis, x.rank(), "repeat");
  if (count < 0) throw ValueError("repeat", "The count must not be negative.", {.got = std::to_string(count)});
  Shape result = x.shape(), repeated = x.shape();
  result[static_cast<std::size_t>(place)] *= count;
  repeated.insert(static_cast<std::size_t>(place) + 1, count);
  return reshape(broadcast_to(expand_dims(x, place + 1), repeated), result);
}

Array pad(const Array& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths, PadMode mode) {
  if (widths.size() != x.shape().size()) {
    throw ShapeError("pad", "There must be one width per axis.",
                     {.got = fmt::format("{} widths for {}", widths.size(), to_string(x.shape()))});
  }
  Array result = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const auto [low, high] = widths[static_cast<std::size_t>(axis)];
    const std::int64_t extent = x.extent(axis);
    if (low < 0 || high < 0 || (extent == 0 && low + high > 0)) {
      throw ShapeError("pad", "The axis cannot be continued by this width.",
                       {.got = fmt::format("({}, {}) on axis {} of {}", low, high, axis, to_string(x.shape())),
                        .expected = "widths of 0 or more, on an axis that is not empty"});
    }
    if (low + high == 0) continue;
    const std::int64_t period = mode == PadMode::wrap ? extent : std::max<std::int64_t>(2 * (extent - 1), 1);
    std::vector<std::int32_t> sources;
    for (std::int64_t i = -low; i < extent + high; ++i) {
      const std::int64_t phase = (i % period + period) % period;
      sources.push_back(static_cast<std::int32_t>(phase < extent ? phase : period - phase));
    }
    result = take(result, Array::from(sources, {static_cast<std::int64_t>(sources.size())}), axis);
  }
  return result;
}

}  // namespace linseed
