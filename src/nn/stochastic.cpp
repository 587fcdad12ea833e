#include <linseed/nn/stochastic.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

namespace linseed::nn {

Array Dropout::operator()(Scope& parent, const Array& x, std::optional<bool> deterministic_at_call,
                          const Array& rng) const {
  Scope scope = parent.enter(*this);
  const bool keep_all = merge_param("deterministic", deterministic, deterministic_at_call);
  if (!(rate >= 0.0 && rate <= 1.0)) {
    throw ValueError("Dropout", "The rate must lie between 0 and 1.", {.got = fmt::format("{}", rate)});
  }
  if (rate == 0.0 || keep_all) return scope.output(x);
  if (!is_floating(x.dtype())) throw DTypeError("Dropout", "The input must be floating-point.", {.got = describe(x)});
  if (rate == 1.0) return scope.output(zeros_like(x));
  Shape mask_shape = x.shape();
  for (const int axis : broadcast_dims)
    mask_shape[static_cast<std::size_t>(normalize_axis(axis, x.rank(), "Dropout"))] = 1;
  const Array kept = random::bernoulli(rng.defined() ? rng : scope.make_rng(rng_collection), 1.0 - rate, mask_shape);
  const float keep = static_cast<float>(1.0 - rate);
  return scope.output(where(kept, x * (1.0F / keep), 0));
}

}  // namespace linseed::nn
