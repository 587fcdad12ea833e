#pragma once

#include <string>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/nn/scope.hpp>

namespace linseed::nn {

/// Calls its layers one after the other (flax.linen.Sequential). At the root the layers are named layers_0, layers_1,
/// ...; inside another module they belong to that module, as in Flax. Throws ValueError when there are none.
///
///     nn::Sequential{{nn::Dense{.features = 4}, nn::relu, nn::Dense{.features = 1}}}
struct Sequential {
  std::vector<Model> layers;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x) const;
};

}  // namespace linseed::nn
