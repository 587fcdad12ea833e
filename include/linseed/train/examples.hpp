#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <linseed/core/array.hpp>
#include <linseed/data/dataset.hpp>

namespace linseed::training {

/// What one step of `fit` sees.
struct Batch {
  Array input;   ///< [b, ...]: what the model takes
  Array target;  ///< [b, ...]: what its output is compared with
};

/// How `fit` asks for the batches of an epoch.
struct Cut {
  std::int64_t epoch = 1;
  std::int64_t batch_size = 1;
  std::int64_t limit = 0;  ///< use the first so many examples; 0: all
  bool drop_last = false;  ///< leave out a last batch of fewer examples
  Array shuffle_key = {};  ///< empty: in their order
};

/// The batches of an epoch, one after the other.
struct BatchStream {
  std::function<std::optional<Batch>()> next;  ///< nothing after the last one
  std::int64_t examples = 0;                   ///< 0: not known before the end
};

/// Where batches come from.
class Examples {
 public:
  /// Images that become float32, pixels of uint8 divided by 255, and their labels.
  Examples(const data::Dataset& dataset);  // NOLINT: .train = dataset
  /// Row i of both is example i. Throws ShapeError unless both have the same number of rows.
  Examples(Array inputs, Array targets);
  /// `function(epoch)`, epoch = 1, 2, ..., gives a range of batches, which are pairs or plain structs of an input and a
  /// target:
  ///
  ///     [=](std::int64_t epoch) { return data::shuffled(train, 256, random::fold_in(key, epoch)); }
  ///
  /// It is a pure function of the epoch, and the batches are as it makes them: `fit` neither shuffles nor cuts them;
  /// its `limit` ends the epoch after the batch that reaches it.
  template <class F>
    requires std::invocable<const F&, std::int64_t>
  Examples(F function)  // NOLINT
      : Examples(Function([function = std::move(function)](const Cut& cut) {
          using Range = std::remove_cvref_t<decltype(function(cut.epoch))>;
          const auto range = std::make_shared<Range>(function(cut.epoch));
          return BatchStream{[range, at = range->begin()]() mutable -> std::optional<Batch> {
            if (at == range->end()) return std::nullopt;
            const auto& [input, target] = *at;
            Batch batch{input, target};
            ++at;
            return batch;
          }};
        })) {}

  /// The batches of one epoch.
  [[nodiscard]] BatchStream batches(const Cut& cut) const { return make_(cut); }

 private:
  using Function = std::function<BatchStream(const Cut&)>;
  explicit Examples(Function make) : make_(std::move(make)) {}

  Function make_;
};

}  // namespace linseed::training
