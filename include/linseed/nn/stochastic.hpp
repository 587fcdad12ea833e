#pragma once

#include <optional>
#include <string>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/merge_param.hpp>
#include <linseed/nn/scope.hpp>

namespace linseed::nn {

/// Zeroes elements with probability `rate` and scales the others by 1 / (1 - rate); the same mask along
/// `broadcast_dims` (flax.linen.Dropout). `deterministic` (no dropping) is given here or at the call, exactly once.
/// Draws from the stream `rng_collection`, unless a key is given. Throws DTypeError for integers, ValueError for a rate
/// outside [0, 1].
struct Dropout {
  double rate = 0.5;
  std::vector<int> broadcast_dims = {};
  std::optional<bool> deterministic = {};
  std::string rng_collection = "dropout";
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, std::optional<bool> deterministic_at_call = {},
                                 const Array& rng = {}) const;
};

}  // namespace linseed::nn
