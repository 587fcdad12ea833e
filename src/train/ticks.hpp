#pragma once

#include <string>
#include <vector>

namespace linseed::training::detail {

/// Round numbers that span a range, and their texts, which have as many digits as they need.
struct Ticks {
  std::vector<double> at;  ///< equally spaced, at least two
  std::vector<std::string> text;

  [[nodiscard]] double low() const { return at.front(); }
  [[nodiscard]] double high() const { return at.back(); }
};
/// At most about `count` ticks at 1, 2 or 5 times a power of ten from `low` or below to `high` or above; a range of no
/// length is widened. `whole`: whole numbers only. The ends must be finite.
[[nodiscard]] Ticks ticks(double low, double high, int count, bool whole = false);

}  // namespace linseed::training::detail
