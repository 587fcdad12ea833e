#include "options.hpp"

#include <limits>
#include <thread>

#include <CLI/CLI.hpp>

using namespace linseed;

namespace {

// CLI::Range lets NaN through.
CLI::Validator between(double low, double high) {
  const std::string range = fmt::format("number from {} to {}", low, high);
  return {[=](const std::string& text) {
            double value = 0.0;
            const bool fits = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
            return fits ? std::string() : fmt::format("{} is not a {}", text, range);
          },
          range};
}

struct Parser {
  Options options;
  std::string preset = "default";
  CLI::App app{"Trains the batch-norm LeNet of Dive into Deep Learning on Fashion-MNIST."};

  Parser() {
    constexpr auto largest = std::numeric_limits<std::int32_t>::max();
    options.data = data::fashion_mnist_default_directory();
    options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    app.add_option("--data", options.data, "folder with the four IDX files, or \"embedded\" for a small extract")
        ->capture_default_str();
    app.add_option("--epochs", options.epochs, "passes over the training set")
        ->check(CLI::Range(1, largest))
        ->envname("MAX_EPOCH")
        ->capture_default_str();
    app.add_option("--batch-size", options.batch_size, "examples per step")
        ->check(CLI::Range(1, largest))
        ->capture_default_str();
    app.add_option("--learning-rate", options.learning_rate, "first learning rate")
        ->check(between(0.0, 1e6))
        ->capture_default_str();
    app.add_option("--momentum", options.momentum, "of SGD; 0 for none")
        ->check(between(0.0, 1.0))
        ->capture_default_str();
    app.add_option("--schedule", options.schedule, "cosine (down to 0) or constant")
        ->check(CLI::IsMember({"cosine", "constant"}))
        ->capture_default_str();
    app.add_option("--optimizer", options.optimizer, "sgd or adam")
        ->check(CLI::IsMember({"sgd", "adam"}))
        ->capture_default_str();
    app.add_option("--preset", preset, "default, or book: plain SGD at a constant rate, as the book has it")
        ->check(CLI::IsMember({"default", "book"}))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "of parameters and of shuffling")->capture_default_str();
    app.add_option("--limit", options.limit, "use only so many training and test examples")
        ->check(CLI::Range(1, largest))
        ->envname("DATASET_LIMIT");
    app.add_option("--threads", options.threads, "results do not depend on it")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    app.add_option("--history", options.history, "file for one JSON object per epoch");
    app.add_option("--curves", options.curves, "file for a picture of the curves (SVG), renewed after each epoch");
  }
};

}  // namespace

std::optional<Options> parse_options(int argc, char** argv) {
  Parser parser;
  try {
    parser.app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", parser.app.help());
    return std::nullopt;
  }
  if (parser.preset == "book") {  // what was said explicitly still holds
    if (parser.app.count("--momentum") == 0) parser.options.momentum = 0.0;
    if (parser.app.count("--schedule") == 0) parser.options.schedule = "constant";
  }
  return parser.options;
}

data::FashionMnist Options::load() const {
  data::FashionMnist loaded = data == "embedded" ? data::fashion_mnist_embedded() : data::fashion_mnist(data);
  if (limit > 0) loaded = {data::limit(loaded.train, limit), data::limit(loaded.test, limit)};
  if (loaded.train.size() < batch_size) {
    throw ValueError("fashion_mnist", "The batch is larger than the training set.",
                     {.got = fmt::format("--batch-size {} of {} examples", batch_size, loaded.train.size())});
  }
  return loaded;
}

optim::GradientTransformation Options::make_optimizer(std::int64_t total_steps) const {
  const optim::Schedule rate = schedule == "cosine" ? optim::cosine_decay_schedule(learning_rate, total_steps)
                                                    : optim::constant_schedule(learning_rate);
  if (optimizer == "adam") return optim::adam(rate);
  return momentum > 0 ? optim::sgd(rate, {.momentum = momentum}) : optim::sgd(rate);
}
