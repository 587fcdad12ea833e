#pragma once

#include <cstdint>

#include <linseed/core/array.hpp>

namespace linseed {

/// Share of rows whose largest logit is at the label: logits [..., classes], integer labels [...] -> float32 scalar.
[[nodiscard]] Array accuracy(const Array& logits, const Array& labels);
/// Which rows those are: bool [...], a metric for training::fit.
[[nodiscard]] Array correct(const Array& logits, const Array& labels);
/// Their number (int32 scalar), which adds up exactly over batches of any sizes.
[[nodiscard]] Array correct_predictions(const Array& logits, const Array& labels);

/// A mean that is put together from batches of any sizes without rounding their sizes in. A value: `merge` gives a new
/// one.
struct Average {
  double total = 0.0;
  std::int64_t count = 0;

  /// From the sum over `count` examples.
  [[nodiscard]] static Average of_sum(const Array& sum, std::int64_t count) { return {sum.item<double>(), count}; }
  /// From the mean over `count` examples.
  [[nodiscard]] static Average of_mean(const Array& mean, std::int64_t count) {
    return {mean.item<double>() * static_cast<double>(count), count};
  }
  [[nodiscard]] Average merge(const Average& other) const { return {total + other.total, count + other.count}; }
  /// NaN when there was nothing.
  [[nodiscard]] double value() const;
};

}  // namespace linseed
