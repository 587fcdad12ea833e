#include <linseed/train/examples.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/data/batches.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

namespace linseed::training {

Examples::Examples(const data::Dataset& dataset)
    : Examples(Function([dataset](const Cut& cut) {
        const data::Dataset kept = cut.limit > 0 ? data::limit(dataset, cut.limit) : dataset;
        const data::BatchOptions options{.drop_last = cut.drop_last,
                                         .divide_by = dataset.images.dtype() == DType::uint8 ? 255.0F : 1.0F};
        const auto batches = std::make_shared<const data::Batches>(
            cut.shuffle_key.defined() ? data::shuffled(kept, cut.batch_size, cut.shuffle_key, options)
                                      : data::Batches(kept, cut.batch_size, options));
        return BatchStream{[batches, index = std::int64_t{0}]() mutable -> std::optional<Batch> {
                             if (index == batches->size()) return std::nullopt;
                             data::Batch batch = (*batches)[index++];
                             return Batch{std::move(batch.image), std::move(batch.label)};
                           },
                           batches->examples()};
      })) {}

Examples::Examples(Array inputs, Array targets) {
  if (inputs.rank() == 0 || targets.rank() == 0 || inputs.extent(0) != targets.extent(0)) {
    throw ShapeError("Examples", "There is not one target per input.",
                     {.got = fmt::format("inputs {}, targets {}", describe(inputs), describe(targets))});
  }
  make_ = [x = std::move(inputs), y = std::move(targets)](const Cut& cut) {
    const std::int64_t all = cut.limit > 0 ? std::min(cut.limit, x.extent(0)) : x.extent(0);
    const std::int64_t used = cut.drop_last ? all - all % cut.batch_size : all;
    Array order;
    if (cut.shuffle_key.defined()) order = random::permutation(cut.shuffle_key, all);
    return BatchStream{
        [x, y, order, used, size = cut.batch_size, begin = std::int64_t{0}]() mutable -> std::optional<Batch> {
          if (begin >= used) return std::nullopt;
          const std::int64_t end = std::min(begin + size, used);
          const auto rows = [&](const Array& array) {
            return order.defined() ? take(array, slice_axis(order, 0, begin, end)) : slice_axis(array, 0, begin, end);
          };
          Batch batch{rows(x), rows(y)};
          begin = end;
          return batch;
        },
        used};
  };
}

}  // namespace linseed::training
