#include "train/ticks.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace linseed::training::detail {

Ticks ticks(double low, double high, int count, bool whole) {
  if (!(high > low)) {
    const double widen = whole ? 0.5 : low == 0.0 ? 0.5 : 0.1 * std::fabs(low);
    high = low + widen;
    low -= widen;
  }
  const double raw = (high / 2.0 - low / 2.0) / std::max(1, count - 1) * 2.0;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10.0 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * (1.0 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  if (whole) step = std::max(1.0, step);
  const double first = std::floor(low / step + 1e-9), last = std::max(first + 1.0, std::ceil(high / step - 1e-9));

  Ticks result;
  const double largest = std::max(std::fabs(first), std::fabs(last)) * step;
  const int digits = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 20);
  for (double i = first; i <= last + 0.5; i += 1.0) {
    const double value = i == 0.0 ? 0.0 : i * step;  // no -0
    result.at.push_back(value);
    const bool plain = largest < 1e6 && digits <= 6;
    result.text.push_back(plain ? fmt::format("{:.{}f}", value, digits) : fmt::format("{:.3g}", value));
  }
  return result;
}

}  // namespace linseed::training::detail
