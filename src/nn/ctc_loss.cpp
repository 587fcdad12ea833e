#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/nn/activations.hpp>
#include <linseed/nn/losses.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::nn {

namespace {

constexpr std::string_view op = "ctc_loss";

void require_fitting(const Array& logits, const Array& logit_paddings, const Array& labels, const Array& label_paddings,
                     const CtcOptions& options) {
  if (!is_floating(logits.dtype()))
    throw DTypeError(op, "The logits must be floating-point.", {.got = describe(logits)});
  if (!is_integer(labels.dtype())) throw DTypeError(op, "Labels are integers.", {.got = describe(labels)});
  const bool fit = logits.rank() == 3 && labels.rank() == 2 && logits.extent(0) == labels.extent(0) &&
                   logit_paddings.shape() == Shape{logits.extent(0), logits.extent(1)} &&
                   label_paddings.shape() == labels.shape() && logits.extent(1) > 0 && labels.extent(1) > 0;
  if (!fit) {
    throw ShapeError(op, "Logits, labels and paddings do not fit.",
                     {.got = fmt::format("logits {} with paddings {}, labels {} with paddings {}",
                                         to_string(logits.shape()), to_string(logit_paddings.shape()),
                                         to_string(labels.shape()), to_string(label_paddings.shape())),
                      .expected = "(batch, time, classes), (batch, time), (batch, labels), (batch, labels)"});
  }
  if (options.blank_id < 0 || options.blank_id >= logits.extent(2)) {
    throw ValueError(
        op, "The blank is no class.",
        {.got = fmt::format("{}", options.blank_id), .expected = fmt::format("0 to {}", logits.extent(2) - 1)});
  }
}

Array log_add(const Array& a, const Array& b) { return maximum(a, b) + log1p(exp(-abs(a - b))); }

// Scores of having read n labels and a blank after them, n from 0, and of having just read label n.
struct Scores {
  Array blank, label;
};

// Adds to the blank scores but the first.
Array with_added(const Array& blank, const Array& added) {
  const Array rest = slice_axis(blank, 1, 1, blank.extent(1));
  return concatenate({slice_axis(blank, 1, 0, 1), log_add(rest, added)}, 1);
}

}  // namespace

Array ctc_loss(const Array& logits, const Array& logit_paddings, const Array& labels, const Array& label_paddings,
               const CtcOptions& options) {
  require_fitting(logits, logit_paddings, labels, label_paddings, options);
  const DType dtype = logits.dtype();
  const std::int64_t batch = logits.extent(0), time = logits.extent(1), count = labels.extent(1);
  const double epsilon = options.log_epsilon;
  const Array log_probabilities = log_softmax(logits);
  const Array blanks = slice_axis(log_probabilities, 2, options.blank_id, options.blank_id + 1);
  const Array emitted = einsum("btk,bnk->btn", log_probabilities, one_hot(labels, logits.extent(2), dtype));
  const Array paddings = astype(logit_paddings, dtype);

  // 1 where the next label is the same, which only a blank between them tells apart.
  const Array same = slice_axis(labels, 1, 0, count - 1) == slice_axis(labels, 1, 1, count);
  const Array repeats = concatenate({astype(same, dtype), zeros({batch, 1}, dtype)}, 1);

  Scores now{concatenate({zeros({batch, 1}, dtype), full({batch, count}, epsilon, dtype)}, 1),
             full({batch, count}, epsilon, dtype)};
  for (std::int64_t step = 0; step < time; ++step) {
    const Array label_gain = squeeze(slice_axis(emitted, 1, step, step + 1), 1);
    const Array blank_gain = squeeze(slice_axis(blanks, 1, step, step + 1), 1);
    const Array blank = with_added(now.blank, now.label + epsilon * repeats);
    const Scores next{with_added(blank + blank_gain, now.label + blank_gain + epsilon * (1.0 - repeats)),
                      log_add(slice_axis(blank, 1, 0, count) + label_gain, now.label + label_gain)};
    const Array padded = slice_axis(paddings, 1, step, step + 1);
    now = {padded * now.blank + (1.0 - padded) * next.blank, padded * now.label + (1.0 - padded) * next.label};
  }

  const Array ends = with_added(now.blank, now.label);
  const Array lengths = count - astype(sum(label_paddings, 1), DType::int32);
  return -sum(ends * one_hot(lengths, count + 1, dtype), 1);
}

}  // namespace linseed::nn
