// The concise batch-norm LeNet of Dive into Deep Learning's Java edition (section 7.5) with the trainer: channels-first
// images, max pooling, plain SGD at a learning rate of 1.
//
//     lenet_concise [DATA [RUN]]
//
// DATA is a folder with the four IDX files, or "embedded" for a small extract; RUN a folder for a report, a picture of
// the curves, the history and TensorBoard's event files. MAX_EPOCH and DATASET_LIMIT shorten the run; Ctrl-C ends it
// with what it has.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>

#include <linseed/linseed.hpp>

using namespace linseed;

struct LeNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const nn::BatchNorm norm{.use_running_average = !train, .momentum = 0.9};
    x = moveaxis(x, 1, -1);  // [n, channels, height, width]: layers and pools want the channels last
    x = nn::Conv{.features = 6, .kernel_size = {5, 5}, .padding = "VALID"}(scope, x);
    x = nn::max_pool(norm(scope, x), {2, 2}, {2, 2});
    x = nn::Conv{.features = 16, .kernel_size = {5, 5}, .padding = "VALID"}(scope, x);
    x = nn::max_pool(nn::sigmoid(norm(scope, x)), {2, 2}, {2, 2});
    x = reshape(x, {x.extent(0), -1});
    x = nn::sigmoid(norm(scope, nn::Dense{.features = 120}(scope, x)));
    x = nn::sigmoid(norm(scope, nn::Dense{.features = 84}(scope, x)));
    return nn::Dense{.features = 10}(scope, x);
  }
};

data::Dataset channels_first(const data::Dataset& dataset) {
  return {.images = moveaxis(dataset.images, -1, 1), .labels = dataset.labels};
}

int main(int argc, char** argv) {
  try {
    const std::string source = argc > 1 ? argv[1] : data::fashion_mnist_default_directory();
    const data::FashionMnist mnist =
        source == "embedded" ? data::fashion_mnist_embedded() : data::fashion_mnist(source);

    std::vector<training::Listener> listeners{training::console()};
    if (argc > 2) {
      const std::string run = argv[2];
      std::filesystem::create_directories(run);
      listeners.push_back(training::csv_file(run + "/history.csv"));
      listeners.push_back(training::jsonl_file(run + "/history.jsonl"));
      listeners.push_back(training::svg_file(run + "/curves.svg"));
      listeners.push_back(training::html_report_file(
          run + "/report.html", {.title = "Batch-norm LeNet",
                                 .facts = {{"data", "Fashion-MNIST"}, {"optimizer", "SGD at 1.0"}, {"batch", "256"}}}));
      listeners.push_back(training::tensorboard(run));
    }

    const auto cross_entropy = [](const Array& logits, const Array& labels) {
      return nn::softmax_cross_entropy_with_integer_labels(logits, labels);
    };
    const auto [state, history, reason, partial] = training::fit(
        LeNet{}, optim::sgd(1.0), {.train = channels_first(mnist.train), .validation = channels_first(mnist.test)},
        {.loss = cross_entropy,
         .metrics = {{"accuracy", correct}},
         .epochs = 10,
         .batch_size = 256,
         .listeners = listeners,
         .executor = Executor(std::max(1, static_cast<int>(std::thread::hardware_concurrency())))});

    if (!history.epochs.empty()) {
      const training::EpochRecord& last = history.epochs.back();
      fmt::print("\n                 loss   train accuracy   test accuracy   examples/s\n");
      fmt::print("this run        {:.3f}            {:.3f}           {:.3f}   {:10.0f}\n", last.score("train_loss"),
                 last.score("train_accuracy"), last.score("validation_accuracy"), last.score("examples_per_second"));
      fmt::print("the book, Java  0.254            0.907           0.836        14497 (on a GPU)\n\n");
    }
    fmt::print("gamma of BatchNorm_0: {}\n", state.params["BatchNorm_0"]["scale"]);
    fmt::print("beta of BatchNorm_0: {}\n", state.params["BatchNorm_0"]["bias"]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "lenet_concise: {}\n", error.what());
    return 1;
  }
}
