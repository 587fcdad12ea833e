#include <linseed/nn/combinators.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

namespace linseed::nn {

Array Sequential::operator()(Scope& parent, const Array& x) const {
  if (layers.empty()) throw ValueError("Sequential", "There are no layers.");
  const bool at_own_root = parent.is_for(*this);
  Scope scope = parent.enter(*this);
  Array y = x;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Model& layer = layers[i];
    if (at_own_root && layer.is_module()) {
      Scope own = scope.child(fmt::format("layers_{}", i), layer.type(), layer.name());
      y = layer(own, y);
    } else {
      y = layer(parent, y);
    }
  }
  return scope.output(std::move(y));
}

}  // namespace linseed::nn
