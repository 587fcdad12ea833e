// A small residual network (He et al. 2016) with the trainer: blocks of two convolutions around which the input passes,
// a learning rate that warms up and falls along a cosine, early stopping that gives back the best epoch.
//
//     residual [DATA]     a folder with the four IDX files, or "embedded"; MAX_EPOCH and DATASET_LIMIT are honoured

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include <linseed/linseed.hpp>

using namespace linseed;

/// relu(x + f(x)); where the size or the channels change, x goes through a convolution of 1 x 1.
struct ResidualBlock {
  std::int64_t features = 0;
  std::int64_t stride = 1;
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    const nn::BatchNorm norm{.use_running_average = !train, .momentum = 0.9};
    const auto conv = [&](const Array& input, std::int64_t kernel, std::int64_t step) {
      return nn::Conv{
          .features = features, .kernel_size = {kernel, kernel}, .strides = {step, step}, .use_bias = false}(scope,
                                                                                                             input);
    };
    Array y = nn::relu(norm(scope, conv(x, 3, stride)));
    y = conv(y, 3, 1);
    // A scale of zero: the block begins as the identity.
    nn::BatchNorm last = norm;
    last.scale_init = nn::initializers::zeros();
    y = last(scope, y);
    const bool same = stride == 1 && x.extent(-1) == features;
    return nn::relu(y + (same ? x : norm(scope, conv(x, 1, stride))));
  }
};

struct ResNet {
  std::vector<std::int64_t> widths = {16, 32, 64};
  std::int64_t blocks = 1;  // of each width

  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Conv{.features = widths.front(), .kernel_size = {3, 3}, .strides = {2, 2}, .use_bias = false}(scope, x);
    x = nn::relu(nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x));
    for (const std::int64_t features : widths) {
      for (std::int64_t i = 0; i < blocks; ++i) {
        const std::int64_t stride = i == 0 && features != widths.front() ? 2 : 1;
        x = ResidualBlock{.features = features, .stride = stride}(scope, x, train);
      }
    }
    return nn::Dense{.features = 10}(scope, mean(x, {1, 2}));
  }
};

int main(int argc, char** argv) {
  try {
    const std::string source = argc > 1 ? argv[1] : data::fashion_mnist_default_directory();
    const data::FashionMnist mnist =
        source == "embedded" ? data::fashion_mnist_embedded() : data::fashion_mnist(source);
    constexpr std::int64_t epochs = 6, batch_size = 128;
    const std::int64_t steps = epochs * (mnist.train.size() / batch_size + 1);
    const auto rate = optim::warmup_cosine_decay_schedule(0.0, 0.1, steps / 10, steps);

    const auto [state, history, reason, partial] = training::fit(
        ResNet{}, optim::sgd(rate, {.momentum = 0.9, .nesterov = true}),
        {.train = mnist.train, .validation = mnist.test},
        {.loss = [](const Array& logits,
                    const Array& labels) { return nn::softmax_cross_entropy_with_integer_labels(logits, labels); },
         .metrics = {{"accuracy", correct}},
         .epochs = epochs,
         .batch_size = batch_size,
         .listeners = {training::console()},
         .early_stopping = training::EarlyStopping{.patience = 2},
         .restore_best = true,
         .executor = Executor(std::max(1, static_cast<int>(std::thread::hardware_concurrency())))});
    const std::vector<double> losses = history.column("validation_loss");
    fmt::print("\n{} parameters, best validation loss {:.4f}\n", state.params.element_count(),
               losses.empty() ? 0.0 : *std::min_element(losses.begin(), losses.end()));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "residual: {}\n", error.what());
    return 1;
  }
}
