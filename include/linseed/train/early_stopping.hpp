#pragma once

#include <limits>

namespace linseed::training {

/// Tells when a number that should fall has stopped falling (flax.training.early_stopping.EarlyStopping). A value:
/// `update` gives the next one. For a number that should rise, pass its negative.
struct EarlyStopping {
  double min_delta = 0.0;  ///< an improvement is larger than this
  int patience = 0;        ///< so many updates without an improvement are let pass; the next one stops
  double best_metric = std::numeric_limits<double>::infinity();
  int patience_count = 0;     ///< updates since the last improvement
  bool should_stop = false;   ///< stays once it is set
  bool has_improved = false;  ///< by the last update

  /// After one more number. The first one is an improvement, whatever it is; NaN is none and, as in Flax, never
  /// replaced when it came first.
  [[nodiscard]] EarlyStopping update(double metric) const;
  /// As at the beginning, with the same bounds.
  [[nodiscard]] EarlyStopping reset() const { return {.min_delta = min_delta, .patience = patience}; }
};

}  // namespace linseed::training
