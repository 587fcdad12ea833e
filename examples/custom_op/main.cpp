// An op of one's own, with the gradient that its author wants (jax.custom_vjp): a sign that lets gradients through
// where its input is small. With it the weights of a network are trained to be -1 or 1, although the derivative of sign
// is 0.

#include <cstdio>

#include <linseed/linseed.hpp>

using namespace linseed;

/// sign(x), zero counted as positive; its gradient is that of clip(x, -1, 1), the straight-through estimator of Hubara
/// et al. (2016).
Array binarize(const Array& x) {
  const auto op = custom_vjp(
      [](const Array& value) { return where(value >= 0, ones_like(value), -ones_like(value)); },
      [](const Array& value) {
        return std::pair{where(value >= 0, ones_like(value), -ones_like(value)), value};  // the result, what to keep
      },
      [](const Array& value, const Array& cotangent) { return cotangent * astype(abs(value) <= 1, value.dtype()); });
  return op(x);
}

/// A dense layer whose weights are -1 or 1, up to one scale per output.
struct BinaryDense {
  std::int64_t features = 0;
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x) const {
    nn::Scope scope = parent.enter(*this);
    const Array kernel = scope.param("kernel", nn::initializers::lecun_normal(), {x.extent(-1), features});
    const Array scale = scope.param("scale", nn::initializers::ones(), {features});
    return matmul(x, binarize(kernel)) * scale;
  }
};

struct Classifier {
  Array operator()(nn::Scope& scope, Array x) const {
    x = nn::tanh(BinaryDense{.features = 32}(scope, x));
    return BinaryDense{.features = 2}(scope, x);
  }
};

int main() {
  const Array x{-2.0, -0.5, 0.0, 0.5, 2.0};
  fmt::print("x                    {}\n", x);
  fmt::print("binarize(x)          {}\n", binarize(x));
  fmt::print("its gradient         {}\n", grad([](const Array& v) { return sum(binarize(v)); })(x));
  fmt::print("gradient of sign(x)  {}\n\n", grad([](const Array& v) { return sum(sign(v)); })(x));

  // Two classes: the sign of a sum of five numbers of either sign.
  const Array input = random::normal(random::key(1), {512, 5});
  const Array label = astype(matmul(input, Array{1.0, -1.0, 1.0, 1.0, -1.0}) > 0, int32);
  const auto cross_entropy = [](const Array& logits, const Array& labels) {
    return nn::softmax_cross_entropy_with_integer_labels(logits, labels);
  };
  const auto [state, history, reason, partial] =
      training::fit(Classifier{}, optim::adam(0.01), {.train = {input, label}},
                    {.loss = cross_entropy, .metrics = {{"accuracy", correct}}, .epochs = 30, .batch_size = 64});
  for (const training::EpochRecord& record : history.epochs) {
    if (record.epoch % 10 != 0) continue;
    fmt::print("epoch {}  loss {:.2f}  accuracy {:.2f}\n", record.epoch, record.score("train_loss"),
               record.score("train_accuracy"));
  }
  const Array kernel = binarize(state.params["BinaryDense_0"]["kernel"]);
  fmt::print("weights of the first unit: {}\n", ravel(slice_axis(kernel, 1, 0, 1)));
}
