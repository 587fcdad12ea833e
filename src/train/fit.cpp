#include <linseed/train/fit.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <tuple>

#include <fmt/format.h>

#include <linseed/nn/module.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/train/metrics.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "train/interrupt.hpp"

namespace linseed::training {

namespace {

constexpr std::string_view op = "fit";
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// ---- one step ----

/// The sum of an evaluator's numbers over a batch, and how many they are.
struct Total {
  Array sum;
  std::int64_t count = 0;
};

Total total_of(const Array& values, std::int64_t rows) {
  if (values.rank() == 0) return {values * static_cast<double>(rows), rows};
  return {sum(values), values.size()};
}

/// What the steps compute.
struct Task {
  Evaluator loss;
  std::vector<Metric> metrics;
  std::vector<std::string> streams;
};

std::vector<Total> totals_of(const Task& task, const Array& losses, const Array& outputs, const Batch& batch) {
  const std::int64_t rows = batch.input.extent(0);
  std::vector<Total> totals{total_of(losses, rows)};
  for (const Metric& metric : task.metrics) totals.push_back(total_of(metric.evaluator(outputs, batch.target), rows));
  return totals;
}

nn::Rngs rngs_of(const Task& task, const Array& key) {
  Tree streams;
  std::int64_t index = 0;
  for (const std::string& name : task.streams) streams = streams.set(name, random::fold_in(key, index++));
  return {streams};
}

/// What has no gradient, or is of nothing, would train nothing without a word.
const Array& checked(const Array& losses) {
  if (!is_floating(losses.dtype())) {
    throw DTypeError(op, "The loss has no gradient.", {.got = describe(losses), .expected = "float32 or float64"});
  }
  if (losses.size() == 0) {
    throw ShapeError(op, "The loss is of nothing.", {.got = describe(losses), .expected = "a number per example"});
  }
  return losses;
}

auto train_step_of(const Task& task) {
  return [task](const TrainState& state, const Batch& batch, const Array& key) {
    const nn::Rngs rngs = rngs_of(task, random::fold_in(key, state.step));
    const nn::Mutable batch_stats = nn::mutable_({"batch_stats"});
    const auto loss_fn = [&](const Tree& params) {
      const Tree variables = state.replace({.params = params}).variables();
      auto [outputs, updates] = state.model.takes_flag()
                                    ? nn::apply(state.model, variables, batch_stats, rngs, batch.input, /*train=*/true)
                                    : nn::apply(state.model, variables, batch_stats, rngs, batch.input);
      const Array losses = checked(task.loss(outputs, batch.target));
      return std::pair{mean(losses), std::pair{totals_of(task, losses, outputs, batch), updates}};
    };
    const auto [value, grads] = value_and_grad(loss_fn)(state.params);
    const auto& [totals, updates] = value.second;
    TrainState next = state.apply_gradients(grads);
    if (updates.contains("batch_stats")) next = next.replace({.batch_stats = updates["batch_stats"]});
    return std::pair{next, totals};
  };
}

auto eval_step_of(const Task& task) {
  return [task](const TrainState& state, const Batch& batch) {
    const Tree variables = state.variables();
    const Array outputs = state.model.takes_flag() ? nn::apply(state.model, variables, batch.input, /*train=*/false)
                                                   : nn::apply(state.model, variables, batch.input);
    return totals_of(task, task.loss(outputs, batch.target), outputs, batch);
  };
}

// ---- arguments ----

std::optional<std::int64_t> positive_from_environment(const char* name) {
  const char* text = std::getenv(name);  // NOLINT: read before any thread could change it
  if (text == nullptr || *text == '\0') return std::nullopt;
  std::int64_t value = 0;
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, value);
  if (error != std::errc() || at != end || value <= 0) {
    throw ValueError(
        op, "An environment variable is no positive number.",
        {.at = name, .got = text, .expected = "at least 1", .hint = "unset it, or set .read_environment = false"});
  }
  return value;
}

void check_positive(const char* name, std::int64_t value) {
  if (value <= 0) {
    throw ValueError(op, "An option is not positive.",
                     {.at = name, .got = fmt::to_string(value), .expected = "at least 1"});
  }
}

/// The options with what the environment has to say.
FitOptions resolved(FitOptions options) {
  if (!options.read_environment) return options;
  options.epochs = positive_from_environment("MAX_EPOCH").value_or(options.epochs);
  options.limit = positive_from_environment("DATASET_LIMIT").value_or(options.limit);
  return options;
}

void check(const FitOptions& options, bool validates) {
  check_positive("epochs", options.epochs);
  check_positive("batch_size", options.batch_size);
  if (options.limit < 0) {
    throw ValueError(op, "An option is negative.",
                     {.at = "limit", .got = fmt::to_string(options.limit), .expected = "at least 1, or 0 for all"});
  }
  if (!options.loss)
    throw ValueError(op, "There is no loss.", {.hint = "set .loss to a function of outputs and targets"});
  std::vector<std::string> names{"loss"};
  for (const Metric& metric : options.metrics) {
    if (!metric.evaluator) throw ValueError(op, "A metric has no function.", {.at = metric.name});
    if (metric.name.empty() || std::find(names.begin(), names.end(), metric.name) != names.end()) {
      throw ValueError(op, "The names of metrics must differ from each other and from \"loss\".",
                       {.got = fmt::format("\"{}\"", metric.name)});
    }
    names.push_back(metric.name);
  }
  if (!options.early_stopping && !options.restore_best) return;
  std::vector<std::string> scores;
  for (const std::string& name : names) {
    scores.push_back("train_" + name);
    if (validates) scores.push_back("validation_" + name);
  }
  if (std::find(scores.begin(), scores.end(), options.monitor) == scores.end()) {
    throw ValueError(op, "There is no such score to monitor.",
                     {.at = "monitor", .got = options.monitor, .expected = fmt::format("{}", fmt::join(scores, ", "))});
  }
}

void check_rows(const Batch& batch, std::string_view set) {
  const bool fits =
      batch.input.rank() > 0 && batch.target.rank() > 0 && batch.input.extent(0) == batch.target.extent(0);
  if (fits && batch.input.extent(0) > 0) return;
  throw ShapeError(op, fits ? "A batch holds no examples." : "There is not one target per input.",
                   {.at = std::string(set),
                    .got = fmt::format("input {}, target {}", describe(batch.input), describe(batch.target))});
}

/// One example, for the eye: "float32[28,28,1]".
std::string example_of(const Array& array) {
  return describe(array.dtype(), Shape(array.shape().begin() + 1, array.shape().end()));
}

// ---- the run ----

class Run {
 public:
  Run(const TrainState& state, const Data& data, const FitOptions& options)
      : options_(options),
        data_(data),
        state_(state),
        history_(options.history),
        train_step_(jit(train_step_of(task_of(options)), {.executor = options.executor})),
        eval_step_(jit(eval_step_of(task_of(options)), {.executor = options.executor})),
        guard_(options.catch_interrupt),
        early_stopping_(options.early_stopping) {
    const auto keys = random::split<2>(options.key);
    order_key_ = keys[0];
    stream_key_ = keys[1];
    for (const EpochRecord& record : history_.epochs) (void)improves(record);
  }

  FitResult operator()() {
    check_first_batches();
    try {
      tell(When::run_begin);
      const std::int64_t first = history_.epochs.empty() ? 1 : history_.epochs.back().epoch + 1;
      for (std::int64_t epoch = first; !reason_ && epoch <= options_.epochs; ++epoch) run_epoch(epoch);
      tell(When::run_end);
      return {.state = best_ ? *best_ : state_,
              .history = history_,
              .reason = reason_.value_or(StopReason::finished),
              .partial = partial_};
    } catch (const std::exception& error) {
      give_up(error.what());
    } catch (...) {
      give_up("something that is no std::exception");
    }
  }

 private:
  static Task task_of(const FitOptions& options) { return {options.loss, options.metrics, options.streams}; }

  void check_first_batches() const {
    const std::optional<Batch> batch = stream_of(data_.train, /*training=*/true).next();
    if (!batch) {
      throw ValueError(op, "The training set is empty.",
                       {.hint = options_.drop_last ? "with .drop_last, fewer examples than .batch_size are none" : ""});
    }
    check_rows(*batch, "training set");
    if (!data_.validation) return;
    const std::optional<Batch> other = stream_of(*data_.validation, /*training=*/false).next();
    if (!other) throw ValueError(op, "The validation set is empty.", {.hint = "leave .validation out to have none"});
    check_rows(*other, "validation set");
    try {
      (void)eval_step_.lower(state_, *other);
    } catch (const Error& error) {
      const std::string got = fmt::format("{}, {}", example_of(other->input), example_of(other->target));
      const std::string expected = fmt::format("{}, {}", example_of(batch->input), example_of(batch->target));
      if (got == expected) throw;
      throw ShapeError(op, "The model cannot be evaluated on the validation set, whose examples have other shapes.",
                       {.at = error.context().at, .got = got, .expected = expected, .hint = headline(error)});
    }
  }

  static std::string headline(const std::exception& error) {
    const std::string text = error.what();
    return text.substr(0, text.find('\n'));
  }

  BatchStream stream_of(const Examples& examples, bool training) const {
    Cut cut{.epoch = std::max<std::int64_t>(epoch_, 1), .batch_size = options_.batch_size, .limit = options_.limit};
    if (training) {
      cut.drop_last = options_.drop_last;
      if (options_.shuffle) cut.shuffle_key = random::fold_in(order_key_, cut.epoch);
    }
    return examples.batches(cut);
  }

  Event event(When when) const {
    return {.when = when,
            .state = state_,
            .history = history_,
            .epoch = epoch_,
            .epochs = options_.epochs,
            .examples = examples_,
            .total = total_,
            .seconds = seconds_,
            .scores = scores_};
  }

  void tell(When when) {
    for (const Listener& listener : options_.listeners) {
      if (listener(event(when)) == Action::stop && !reason_) reason_ = StopReason::listener;
    }
    if (guard_.interrupted() && !reason_) reason_ = StopReason::interrupt;
  }

  /// A pass over a set. `step` gives the totals of a batch.
  template <class Step>
  void pass(const Examples& examples, bool training, const Step& step) {
    std::vector<Average> averages(options_.metrics.size() + 1);
    scores_.assign(1, {"loss"});
    for (const Metric& metric : options_.metrics) scores_.push_back({metric.name});
    examples_ = 0;
    seconds_ = 0.0;
    Clock::time_point start = Clock::now();
    const BatchStream stream = stream_of(examples, training);
    total_ = stream.examples;
    while (const std::optional<Batch> batch = stream.next()) {
      check_rows(*batch, training ? "training set" : "validation set");
      const std::vector<Total> totals = step(*batch);
      for (std::size_t i = 0; i < totals.size(); ++i) {
        averages[i] = averages[i].merge(Average::of_sum(totals[i].sum, totals[i].count));
        scores_[i].value = averages[i].value();
      }
      examples_ += batch->input.extent(0);
      seconds_ += seconds_since(start);
      tell(training ? When::train_step : When::validation_step);
      start = Clock::now();
      if (reason_ || (options_.limit > 0 && examples_ >= options_.limit)) break;
    }
    if (examples_ == 0) {
      throw ValueError(op, training ? "The training set is empty." : "The validation set is empty.",
                       {.at = fmt::format("epoch {}", epoch_)});
    }
  }

  void run_epoch(std::int64_t epoch) {
    epoch_ = epoch;
    EpochRecord record{.epoch = epoch};
    scores_.clear();
    examples_ = total_ = 0;
    seconds_ = 0.0;
    tell(When::epoch_begin);
    if (reason_) return;
    pass(data_.train, /*training=*/true, [&](const Batch& batch) {
      auto [next, totals] = train_step_(std::move(state_), batch, stream_key_);
      state_ = std::move(next);
      updated_ = true;
      return totals;
    });
    const auto append_scores = [&](const std::string& prefix) {
      for (const Score& score : scores_) record.scores.push_back({prefix + score.name, score.value});
    };
    append_scores("train_");
    const double seconds = seconds_;
    const std::int64_t examples = examples_;
    if (!reason_ && data_.validation) {
      pass(*data_.validation, /*training=*/false, [&](const Batch& batch) { return eval_step_(state_, batch); });
      if (!reason_) append_scores("validation_");
    }
    record.scores.push_back({"step", static_cast<double>(state_.step.item<std::int64_t>())});
    record.scores.push_back({"seconds", seconds});
    record.scores.push_back({"examples_per_second", static_cast<double>(examples) / seconds});
    if (reason_) {
      partial_ = record;
      return;
    }
    history_.epochs.push_back(record);
    if (improves(record) && options_.restore_best) best_ = state_;
    tell(When::epoch_end);
    if (early_stopping_ && early_stopping_->should_stop && !reason_) reason_ = StopReason::early_stopping;
  }

  /// Whether the record is the best one so far; early stopping hears of it.
  bool improves(const EpochRecord& record) {
    const double score = options_.maximize ? -record.score(options_.monitor) : record.score(options_.monitor);
    if (early_stopping_) early_stopping_ = early_stopping_->update(score);
    if (std::isnan(score) || score >= lowest_) return false;
    lowest_ = score;
    return true;
  }

  /// In a handler: hands on what was thrown.
  [[noreturn]] void give_up(std::string_view cause) {
    for (const Listener& listener : options_.listeners) {
      try {
        listener(event(When::run_end));  // so that the terminal and files are left in order
      } catch (...) {                    // NOLINT: the first error is the one to tell of
      }
    }
    if (!updated_) throw;
    throw Interrupted({.state = state_, .history = history_}, cause);
  }

  const FitOptions options_;
  const Data& data_;
  TrainState state_;
  History history_;
  Jitted<decltype(train_step_of(std::declval<Task>()))> train_step_;
  Jitted<decltype(eval_step_of(std::declval<Task>()))> eval_step_;
  detail::InterruptGuard guard_;
  std::optional<EarlyStopping> early_stopping_;
  double lowest_ = std::numeric_limits<double>::infinity();
  std::optional<TrainState> best_;
  Array order_key_, stream_key_;

  std::int64_t epoch_ = 0, examples_ = 0, total_ = 0;
  double seconds_ = 0.0;
  std::vector<Score> scores_;
  std::optional<EpochRecord> partial_;
  std::optional<StopReason> reason_;
  bool updated_ = false;
};

}  // namespace

Interrupted::Interrupted(FitResult result, std::string_view cause)
    : Error(op, "The run was cut short by an error.",
            {.at = fmt::format("after update {}", result.state.step.item<std::int64_t>()),
             .got = std::string(cause.substr(0, cause.find('\n'))),
             .hint = "result() has the trained state and the history, std::rethrow_if_nested the error"}),
      result_(std::make_shared<const FitResult>(std::move(result))) {}

FitResult fit(const TrainState& state, const Data& data, const FitOptions& options) {
  const FitOptions final_options = resolved(options);
  check(final_options, data.validation.has_value());
  return Run(state, data, final_options)();
}

FitResult fit(const nn::Model& model, const optim::GradientTransformation& tx, const Data& data,
              const FitOptions& options) {
  const FitOptions final_options = resolved(options);
  check(final_options, data.validation.has_value());
  const std::optional<Batch> batch =
      data.train.batches({.batch_size = final_options.batch_size, .limit = final_options.limit}).next();
  if (!batch) throw ValueError(op, "The training set is empty.");
  check_rows(*batch, "training set");
  Shape shape = batch->input.shape();
  shape[0] = 1;
  const Array input = zeros(shape, batch->input.dtype());
  const Tree variables =
      model.takes_flag() ? nn::init(model, options.key, input, /*train=*/false) : nn::init(model, options.key, input);
  const Tree* batch_stats = variables.find("batch_stats");
  const Tree* params = variables.find("params");
  return Run(TrainState::create(model, params == nullptr ? Tree() : *params,
                                batch_stats == nullptr ? Tree() : *batch_stats, tx),
             data, final_options)();
}

}  // namespace linseed::training
