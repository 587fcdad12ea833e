#pragma once

#include <optional>

#include <linseed/core/shape.hpp>
#include <linseed/optim/transform.hpp>

namespace linseed::optim {

// Bounds on updates, with Optax's formulas. g is the update of a leaf, p its parameter. The states are {} but for
// zero_nans. A number that is not finite throws ValueError.

/// Every element into [-max_delta, max_delta]; NaN stays NaN (optax.clip). Throws ValueError when max_delta is
/// negative.
[[nodiscard]] GradientTransformation clip(const Scalar& max_delta);
/// All updates times max_norm / global_norm where the norm is not below max_norm; a norm of NaN makes all of them NaN
/// (optax.clip_by_global_norm; Pascanu et al. 2012).
[[nodiscard]] GradientTransformation clip_by_global_norm(const Scalar& max_norm);
/// g / max(1, rms(g) / threshold), leaf by leaf (optax.clip_by_block_rms).
[[nodiscard]] GradientTransformation clip_by_block_rms(const Scalar& threshold);
/// Unit by unit: where |g| is not below m = clipping * max(|p|, eps), g * m / max(|g|, 1e-6) (optax.adaptive_grad_clip;
/// Brock et al. 2021). A unit is what lies along `axes`; by default all of a leaf with at most one axis longer than 1,
/// else all axes but the last (rank 2, 4 and 5) or the first axis (rank 3). Updating throws ShapeError for leaves of
/// higher rank when no axes are given.
[[nodiscard]] GradientTransformation adaptive_grad_clip(const Scalar& clipping, const Scalar& eps = 1e-3,
                                                        const std::optional<Axes>& axes = {});
/// The updates of leaves with two axes or more less their mean over all axes but the first (optax.centralize; Yong et
/// al. 2020).
[[nodiscard]] GradientTransformation centralize();
/// 0 for every NaN. State {"found_nan"}: whether there was one, bool[] per leaf (optax.zero_nans).
[[nodiscard]] GradientTransformation zero_nans();
/// -p where p + g would be negative, which keeps parameters at 0 or above (optax.keep_params_nonnegative).
[[nodiscard]] GradientTransformation keep_params_nonnegative();

}  // namespace linseed::optim
