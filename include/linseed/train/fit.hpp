#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/error.hpp>
#include <linseed/core/executor.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/optim/transform.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/early_stopping.hpp>
#include <linseed/train/examples.hpp>
#include <linseed/train/history.hpp>
#include <linseed/train/train_state.hpp>

// The training loop in one call, for supervised learning. It is made of what everybody can use: value_and_grad, jit,
// TrainState, nn::apply; who needs another loop writes it with them.

namespace linseed::training {

/// Compares outputs with targets: one number per example or per element, as the losses of nn:: are. What is reported is
/// the mean of all numbers of a pass, exactly, whatever the sizes of the batches. A scalar counts as the mean of its
/// batch.
using Evaluator = std::function<Array(const Array& outputs, const Array& targets)>;

struct Metric {
  std::string name;
  Evaluator evaluator;
};

/// When listeners are called: at either end of the run, however it ends; when an epoch begins, and when it is finished;
/// after each step.
enum class When { run_begin, epoch_begin, train_step, validation_step, epoch_end, run_end };

/// What a listener is told. The references live as long as the call.
struct Event {
  When when = When::run_begin;
  const TrainState& state;  ///< a copy makes the next step copy what it would have overwritten
  const History& history;   ///< finished epochs, at epoch_end the present one included
  std::int64_t epoch = 0;   ///< 1, 2, ...; of how many:
  std::int64_t epochs = 0;
  std::int64_t examples = 0;         ///< of the present pass over the training or validation set, so far; of how many:
  std::int64_t total = 0;            ///< 0: not known
  double seconds = 0.0;              ///< of the present pass so far, listeners left out
  const std::vector<Score>& scores;  ///< of the present pass so far: "loss" and the metrics
};

/// What a listener answers.
enum class Action { proceed, stop };

/// Anything that can be called with an Event, and returns an Action or nothing. `fit` copies its listeners, so that
/// each run begins with them as they were: what is to outlive the run is captured by reference.
class Listener {
 public:
  template <class F>
    requires std::invocable<F&, const Event&>
  Listener(F function) {  // NOLINT: .listeners = {[](const Event& event) { ... }}
    if constexpr (std::is_void_v<std::invoke_result_t<F&, const Event&>>) {
      call_ = [f = std::move(function)](const Event& event) mutable {
        f(event);
        return Action::proceed;
      };
    } else {
      call_ = std::move(function);
    }
  }
  Action operator()(const Event& event) const { return call_(event); }

 private:
  std::function<Action(const Event&)> call_;
};

struct Data {
  Examples train;
  std::optional<Examples> validation = {};
};

struct FitOptions {
  Evaluator loss = {};  ///< its mean is what falls
  std::vector<Metric> metrics = {};
  std::int64_t epochs = 10;
  std::int64_t batch_size = 256;
  bool shuffle = true;                             ///< the training set, anew for each epoch
  std::int64_t limit = 0;                          ///< use the first so many examples of each set; 0: all
  bool drop_last = false;                          ///< leave out a last training batch that is smaller than the others
  Array key = random::key(0);                      ///< of the parameters, the order of examples, and the streams:
  std::vector<std::string> streams = {"dropout"};  ///< from which the model may draw in training
  std::vector<Listener> listeners = {};
  std::optional<EarlyStopping> early_stopping = {};
  std::string monitor = "validation_loss";  ///< what early stopping looks at, and the choice of the best epoch
  bool maximize = false;                    ///< the monitored number should rise
  bool restore_best = false;                ///< return the state after the best epoch instead of the last one
  History history = {};                     ///< of an earlier run: epochs count on from its last one
  Executor executor = Executor(1);
  bool catch_interrupt = true;   ///< SIGINT (Ctrl-C) ends the run after the present step, a second one the program
  bool read_environment = true;  ///< MAX_EPOCH, where it is set, in place of `epochs`, DATASET_LIMIT of `limit`
};

/// Why a run ended.
enum class StopReason { finished, early_stopping, listener, interrupt };

struct FitResult {
  TrainState state;
  History history;
  StopReason reason = StopReason::finished;
  /// Where the run was ended within an epoch: the scores of the part that it did. Not in the history.
  std::optional<EpochRecord> partial = {};
};

/// Something threw after the first update. Nested in it is what was thrown, see std::rethrow_if_nested.
class Interrupted : public Error, public std::nested_exception {
 public:
  /// In a handler of what was thrown, of which `cause` is the text.
  Interrupted(FitResult result, std::string_view cause);

  /// The state after the last update that succeeded, and the epochs until then.
  [[nodiscard]] const FitResult& result() const noexcept { return *result_; }

 private:
  std::shared_ptr<const FitResult> result_;
};

/// Trains: epochs of one compiled step per batch, each followed by an evaluation of the validation set. The history has
/// the scores train_loss, train_METRIC (means over the steps of the epoch, before their updates), validation_loss,
/// validation_METRIC, step (updates so far), seconds (of training, listeners left out) and examples_per_second.
///
/// The model is called with (x, train) when it takes a bool, else with (x). Its collection batch_stats is carried
/// along. Everything follows from the arguments: the same call gives the same bits, and a run that goes on from an
/// earlier one's state and history, the same as one that was never ended.
///
/// Before the first update these throw, and `state` is still the caller's: ValueError for options out of their range,
/// an environment variable that is no positive number, an empty training or validation set; DTypeError for a loss of
/// integers or truth values; ShapeError when it is of nothing, inputs and targets differ in number, or the validation
/// set has other shapes than the training set and the model does not take them; whatever model, loss or listeners
/// throw. After it everything that is thrown arrives as Interrupted, with the trained state.
[[nodiscard]] FitResult fit(const TrainState& state, const Data& data, const FitOptions& options);
/// From nn::init with the key of the options and an input as the first batch has them.
[[nodiscard]] FitResult fit(const nn::Model& model, const optim::GradientTransformation& tx, const Data& data,
                            const FitOptions& options);

}  // namespace linseed::training
