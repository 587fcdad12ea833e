#pragma once

#include <cstdint>
#include <optional>

#include <linseed/core/array.hpp>

namespace linseed::nn {

// The losses of Optax, with its formulas and defaults: one number per example, or per element, none averaged. Arguments
// that Optax wants floating throw DTypeError when they are not. Except where shapes must be equal, they broadcast.

/// Over which axes a loss of classes sums, and which elements count. A mask broadcasts to the classes, or has the shape
/// of the examples and then holds for all of an example's classes.
struct ClassOptions {
  Axes axis = -1;
  std::optional<Array> where = {};  ///< bool; what is false is left out
};

/// -sum(labels * log_softmax(logits)): logits and labels [..., classes, ...] (one-hot, or any distribution) -> the
/// shape without the axes summed over (optax.softmax_cross_entropy). 0 times minus infinity gives NaN.
[[nodiscard]] Array softmax_cross_entropy(const Array& logits, const Array& labels, const ClassOptions& options = {});
/// The same over the last axis, where classes with label 0 add nothing, whatever their logits
/// (optax.safe_softmax_cross_entropy). The gradient of a label of 0 beside minus infinity is the largest number where
/// Optax's is infinite.
[[nodiscard]] Array safe_softmax_cross_entropy(const Array& logits, const Array& labels);
/// logsumexp(logits) - logits[label]: integer labels of the shape of the logits without the class axis; several axes
/// count as one, row-major (optax.softmax_cross_entropy_with_integer_labels). A label in [-classes, 0) counts from the
/// end, another one outside the classes gives NaN. With a mask, an example without classes gives 0. Throws DTypeError
/// for labels that are not integers, ShapeError when shapes do not fit.
[[nodiscard]] Array softmax_cross_entropy_with_integer_labels(const Array& logits, const Array& labels,
                                                              const ClassOptions& options = {});
/// -labels * log_sigmoid(logits) - (1 - labels) * log_sigmoid(-logits), element by element
/// (optax.sigmoid_binary_cross_entropy).
[[nodiscard]] Array sigmoid_binary_cross_entropy(const Array& logits, const Array& labels);

struct CtcOptions {
  std::int64_t blank_id = 0;  ///< the class that stands for no label
  double log_epsilon = -1e5;  ///< the logarithm of a probability that counts as 0
};
/// Connectionist temporal classification (Graves et al. 2006; optax.ctc_loss): minus the logarithm of the probability
/// that logits [batch, time, classes] give to the labels [batch, labels], an integer for each; [batch]. Paddings, of
/// the shapes [batch, time] and [batch, labels], are 1 where there is nothing, and stand at the end. Labels that do not
/// fit into the time cost about -log_epsilon. Throws DTypeError or ShapeError when the arguments do not fit, ValueError
/// for a blank_id that is no class.
[[nodiscard]] Array ctc_loss(const Array& logits, const Array& logit_paddings, const Array& labels,
                             const Array& label_paddings, const CtcOptions& options = {});

struct FocalOptions {
  std::optional<double> alpha = {};  ///< weight of the label 1; 1 - alpha that of 0
  double gamma = 2.0;
};
/// sigmoid_binary_cross_entropy times (1 - p)^gamma, p the probability given to the label (optax.sigmoid_focal_loss;
/// Lin et al. 2017). Throws ValueError when a number is not finite.
[[nodiscard]] Array sigmoid_focal_loss(const Array& logits, const Array& labels, const FocalOptions& options = {});
/// softmax_cross_entropy + epsilon * sum(labels * (1 - softmax(logits))) (optax.poly_loss_cross_entropy; Leng et al.
/// 2022). Throws ValueError for an epsilon that is not finite.
[[nodiscard]] Array poly_loss_cross_entropy(const Array& logits, const Array& labels, double epsilon = 2.0,
                                            const ClassOptions& options = {});

/// max(0, 1 - outputs * targets), targets -1 or 1 (optax.hinge_loss).
[[nodiscard]] Array hinge_loss(const Array& outputs, const Array& targets);
/// max(0, -outputs * targets), targets -1 or 1 (optax.perceptron_loss). Throws ShapeError unless the shapes are equal.
[[nodiscard]] Array perceptron_loss(const Array& outputs, const Array& targets);
/// max(scores + 1 - one_hot(label)) - scores[label]: scores [..., classes], integer labels [...] -> [...]; a label
/// outside the classes is none of them (optax.multiclass_hinge_loss).
[[nodiscard]] Array multiclass_hinge_loss(const Array& scores, const Array& labels);
/// max(scores) - scores[label] (optax.multiclass_perceptron_loss).
[[nodiscard]] Array multiclass_perceptron_loss(const Array& scores, const Array& labels);

/// sum(targets * (log(targets) - log_predictions)), 0 log 0 = 0 (optax.kl_divergence).
[[nodiscard]] Array kl_divergence(const Array& log_predictions, const Array& targets, const ClassOptions& options = {});
/// sum(exp(log_targets) * (log_targets - log_predictions)) (optax.kl_divergence_with_log_targets).
[[nodiscard]] Array kl_divergence_with_log_targets(const Array& log_predictions, const Array& log_targets,
                                                   const ClassOptions& options = {});
/// kl_divergence + sum(exp(log_predictions) - targets), for what does not add up to 1
/// (optax.generalized_kl_divergence).
[[nodiscard]] Array generalized_kl_divergence(const Array& log_predictions, const Array& targets,
                                              const ClassOptions& options = {});

/// (predictions - targets)^2, element by element (optax.squared_error). Throws ShapeError unless the shapes are equal.
[[nodiscard]] Array squared_error(const Array& predictions, const Array& targets);
/// Half of squared_error (optax.l2_loss).
[[nodiscard]] Array l2_loss(const Array& predictions, const Array& targets);
/// Quadratic below delta, linear beyond (optax.huber_loss; Huber 1964). Throws ShapeError unless the shapes are equal,
/// ValueError for a delta that is negative or not finite.
[[nodiscard]] Array huber_loss(const Array& predictions, const Array& targets, double delta = 1.0);
/// log(cosh(predictions - targets)), without overflow (optax.log_cosh). Throws ShapeError unless the shapes are equal.
[[nodiscard]] Array log_cosh(const Array& predictions, const Array& targets);

struct CosineOptions {
  double epsilon = 0.0;  ///< squared norms are at least this
  Axes axis = -1;
  std::optional<Array> where = {};
};
/// sum(a / |a| * b / |b|) (optax.cosine_similarity). With epsilon 0 a vector of zeros gives NaN. Throws ValueError for
/// an epsilon that is negative or not finite.
[[nodiscard]] Array cosine_similarity(const Array& predictions, const Array& targets,
                                      const CosineOptions& options = {});
/// 1 - cosine_similarity (optax.cosine_distance).
[[nodiscard]] Array cosine_distance(const Array& predictions, const Array& targets, const CosineOptions& options = {});

/// (1 - alpha) * labels + alpha / classes (optax.smooth_labels; Szegedy et al. 2016). With a mask, the classes that
/// count. Throws DTypeError for labels that are not floating, ValueError for an alpha outside [0, 1].
[[nodiscard]] Array smooth_labels(const Array& labels, double alpha, const ClassOptions& options = {});

}  // namespace linseed::nn
