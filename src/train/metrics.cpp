#include <linseed/train/metrics.hpp>

#include <limits>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>

namespace linseed {

Array correct(const Array& logits, const Array& labels) {
  if (logits.rank() != labels.rank() + 1 ||
      !(Shape(logits.shape().begin(), logits.shape().end() - 1) == labels.shape())) {
    throw ShapeError(
        "accuracy", "There must be one label per row of logits.",
        {.got = fmt::format("logits {}, labels {}", to_string(logits.shape()), to_string(labels.shape()))});
  }
  return argmax(logits, -1) == labels;
}

Array accuracy(const Array& logits, const Array& labels) { return mean(correct(logits, labels)); }
Array correct_predictions(const Array& logits, const Array& labels) { return sum(correct(logits, labels)); }

double Average::value() const {
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : total / static_cast<double>(count);
}

}  // namespace linseed
