// Draws from a finite set: categorical and choice.
#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "core/dispatch.hpp"
#include "ops/random.hpp"

namespace linseed::random {

namespace {

// The indices of the `count` largest elements along the last axis, largest first, ties in order (jax.lax.top_k).
Array largest(const Array& x, std::int64_t count) { return slice_axis(argsort(-x), -1, 0, count); }

Array categorical_with_replacement(const Array& key, const Array& logits, int along, Shape draws) {
  const int from_end = along - logits.rank();
  draws.insert(static_cast<std::size_t>(draws.rank() + 1 + from_end), logits.extent(along));
  return argmax(gumbel(key, draws, logits.dtype()) + logits, from_end);
}

Array categorical_without_replacement(const Array& key, const Array& logits, int along, const Shape& batch,
                                      const Shape& draws) {
  std::int64_t count = 1;
  for (int axis = 0; axis < draws.rank() - batch.rank(); ++axis) count *= draws[static_cast<std::size_t>(axis)];
  if (count > logits.extent(along)) {
    throw ValueError("random::categorical", "There are more draws without replacement than categories.",
                     {.got = fmt::format("{} draws, {} categories", count, logits.extent(along))});
  }
  const Array noisy = moveaxis(logits + gumbel(key, logits.shape(), logits.dtype()), along, -1);
  return reshape(moveaxis(largest(noisy, count), -1, 0), draws);
}

}  // namespace

Array categorical(const Array& key, const Array& logits, int axis, const std::optional<Shape>& shape, bool replace) {
  const int along = normalize_axis(axis, logits.rank(), "random::categorical");
  Shape batch = logits.shape();
  batch.erase(static_cast<std::size_t>(along));
  const Shape draws = shape.value_or(batch);
  // Without replacement the axes of the logits are taken as they are.
  const bool fits = replace ? broadcast_shapes(draws, batch, "random::categorical") == draws
                            : draws.rank() >= batch.rank() && Shape(draws.end() - batch.rank(), draws.end()) == batch;
  if (!fits) {
    throw ShapeError("random::categorical", "The logits have more axes, or longer ones, than the shape asked for.",
                     {.got = to_string(draws), .expected = fmt::format("axes that end in {}", to_string(batch))});
  }
  return replace ? categorical_with_replacement(key, logits, along, draws)
                 : categorical_without_replacement(key, logits, along, batch, draws);
}

namespace {

// Running sums of a vector in XLA's order, on which the last bit depends: sums within tiles of 16, each then raised by
// the running sum of the tiles before it.
Array running_sum(const Array& x) {
  constexpr std::int64_t tile = 16;
  const std::int64_t count = x.size(), tiles = (count + tile - 1) / tile;
  const Array rows = reshape(pad(x, {{0, tiles * tile - count}}), {tiles, tile});
  std::vector<Array> columns;
  for (std::int64_t i = 0; i < std::min(tile, count); ++i) {
    const Array column = squeeze(slice_axis(rows, 1, i, i + 1), 1);
    columns.push_back(i == 0 ? column : columns.back() + column);
  }
  Array within = stack(columns, 1);
  if (tiles > 1) {
    const Array before = slice_axis(pad(running_sum(columns.back()), {{1, 0}}), 0, 0, tiles);
    within = within + expand_dims(before, 1);
  }
  return slice_axis(ravel(within), 0, 0, count);
}

// How many elements of a sorted vector lie below each query, by halving steps.
Array count_below(const Array& sorted, const Array& queries) {
  const std::int64_t count = sorted.size();
  std::int64_t step = 1;
  while (2 * step <= count) step *= 2;
  Array found = zeros(queries.shape(), DType::int32);
  for (; step > 0; step /= 2) {
    const Array next = found + step;
    const Array inside = next <= count;
    const Array below = take(sorted, where(inside, next - 1, 0)) < queries;
    found = where(inside && below, next, found);
  }
  return found;
}

void require_probabilities(const Array& p, std::int64_t count, std::int64_t draws, bool replace) {
  if (!is_floating(p.dtype())) {
    throw DTypeError("random::choice", "Probabilities are floating-point.", {.got = describe(p)});
  }
  if (!(p.shape() == Shape{count})) {
    throw ShapeError("random::choice", "There must be one probability for each number drawn from.",
                     {.got = describe(p), .expected = to_string(Shape{count})});
  }
  if (!p.has_value()) return;
  std::int64_t possible = 0;
  linseed::detail::visit_floating(p.dtype(), [&]<class T>(std::type_identity<T>) {
    for (const T probability : p.data<T>()) {
      if (!(probability >= 0 && std::isfinite(probability))) {
        throw ValueError("random::choice", "A probability is negative or not finite.",
                         {.got = fmt::format("{}", probability)});
      }
      possible += probability > 0 ? 1 : 0;
    }
  });
  const std::int64_t needed = replace ? 1 : draws;
  if (possible < needed) {
    throw ValueError("random::choice", "Too few probabilities are positive.",
                     {.got = fmt::format("{}", possible), .expected = fmt::format("at least {}", needed)});
  }
}

// Indices in [0, count).
Array choose(const Array& key, std::int64_t count, const Shape& shape, const ChoiceOptions& options) {
  ops::require_key(abstract(key));
  for (const std::int64_t extent : shape) {
    if (extent < 0) throw ShapeError("random", "An extent is negative.", {.got = to_string(shape)});
  }
  const std::int64_t draws = shape.elements();
  if (draws == 0) return zeros(shape, DType::int32);
  if (count <= 0) {
    throw ValueError("random::choice", "There is nothing to draw from.", {.got = fmt::format("{}", count)});
  }
  if (!options.replace && draws > count) {
    throw ValueError("random::choice", "There are more draws without replacement than numbers.",
                     {.got = fmt::format("{} draws, {} numbers", draws, count)});
  }
  if (!options.p) {
    if (options.replace) return randint(key, shape, 0, count);
    return reshape(slice_axis(permutation(key, count), 0, 0, draws), shape);
  }
  const Array& p = *options.p;
  require_probabilities(p, count, draws, options.replace);
  if (!options.replace) return reshape(largest(gumbel(key, {count}, p.dtype()) + log(p), draws), shape);
  const Array sums = running_sum(p);
  const Array total = squeeze(slice_axis(sums, 0, count - 1, count), 0);
  return count_below(sums, total * (1 - uniform(key, shape, p.dtype())));
}

}  // namespace

Array choice(const Array& key, std::int64_t count, const Shape& shape, const ChoiceOptions& options) {
  return choose(key, count, shape, options);
}

Array choice(const Array& key, const Array& x, const Shape& shape, const ChoiceOptions& options) {
  const int along = normalize_axis(options.axis, x.rank(), "random::choice");
  return take(x, choose(key, x.extent(along), shape, options), along);
}

}  // namespace linseed::random
