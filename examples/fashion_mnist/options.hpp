#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <linseed/linseed.hpp>

/// The settings of a run, from the command line and the environment.
struct Options {
  std::string data;
  std::int64_t epochs = 10;
  std::int64_t batch_size = 256;
  double learning_rate = 0.1;
  double momentum = 0.9;
  std::string schedule = "cosine";
  std::string optimizer = "sgd";
  std::int64_t seed = 0;
  std::int64_t limit = 0;  // 0: all examples
  int threads = 1;
  std::string history, curves;

  [[nodiscard]] linseed::data::FashionMnist load() const;
  /// `total_steps` is the length of a decaying schedule.
  [[nodiscard]] linseed::optim::GradientTransformation make_optimizer(std::int64_t total_steps) const;
};

/// Nothing after --help. Throws std::runtime_error for anything that is not understood.
std::optional<Options> parse_options(int argc, char** argv);
