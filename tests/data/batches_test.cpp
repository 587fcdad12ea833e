#include <linseed/data/batches.hpp>

#include <limits>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/reflect.hpp>
#include <linseed/random/random.hpp>

#include "data/files.hpp"
#include "support.hpp"

using namespace linseed;
using namespace linseed::tests;
using support::error_of;

namespace {

// Example i has the pixels 2 i and 2 i + 1, and the label 10 i.
data::Dataset small_dataset(std::int64_t count) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    pixels.push_back(static_cast<std::uint8_t>(2 * i));
    pixels.push_back(static_cast<std::uint8_t>(2 * i + 1));
    labels.push_back(static_cast<std::int32_t>(10 * i));
  }
  return {.images = Array::from(pixels, {count, 1, 2, 1}), .labels = Array::from(labels, {count})};
}

std::vector<std::int32_t> labels_of(const data::Batches& batches) {
  std::vector<std::int32_t> labels;
  for (const data::Batch& batch : batches) {
    const auto some = batch.label.data<std::int32_t>();
    labels.insert(labels.end(), some.begin(), some.end());
  }
  return labels;
}

}  // namespace

static_assert(std::input_iterator<data::Batches::Iterator>);
static_assert(std::is_aggregate_v<data::Batch>);
static_assert(reflect::field_count<data::Batch> == 2);
static_assert(reflect::field_names<data::Batch>[0] == "image");
static_assert(reflect::field_names<data::Batch>[1] == "label");

TEST_CASE("batches in order") {
  const data::Batches batches(small_dataset(7), 3);
  CHECK(batches.size() == 3);
  CHECK(batches.examples() == 7);
  CHECK_FALSE(batches.empty());
  CHECK(labels_of(batches) == std::vector<std::int32_t>{0, 10, 20, 30, 40, 50, 60});

  const data::Batch second = batches[1];
  CHECK(describe(second.image) == "float32[3,1,2,1]");
  CHECK(describe(second.label) == "int32[3]");
  CHECK(identical(second.label, Array{30, 40, 50}));
  const auto pixels = second.image.data<float>();
  for (std::size_t i = 0; i < 6; ++i) CHECK(pixels[i] == static_cast<float>(6 + i) / 255.0f);

  const data::Batch last = batches[2];
  CHECK(describe(last.image) == "float32[1,1,2,1]");
  CHECK(describe(last.label) == "int32[1]");
}

TEST_CASE("the last partial batch can be dropped") {
  const data::Batches batches(small_dataset(7), 3, {.drop_last = true});
  CHECK(batches.size() == 2);
  CHECK(batches.examples() == 6);
  CHECK(labels_of(batches) == std::vector<std::int32_t>{0, 10, 20, 30, 40, 50});
  CHECK(data::Batches(small_dataset(6), 3, {.drop_last = true}).size() == 2);
  CHECK(data::Batches(small_dataset(6), 3).size() == 2);

  const data::Batches none(small_dataset(2), 3, {.drop_last = true});
  CHECK(none.size() == 0);
  CHECK(none.empty());
  CHECK(none.examples() == 0);
  CHECK(labels_of(none).empty());
}

TEST_CASE("one batch may hold everything, and an empty dataset gives none") {
  CHECK(data::Batches(small_dataset(3), 1000).size() == 1);
  CHECK(describe(data::Batches(small_dataset(3), 1000)[0].image) == "float32[3,1,2,1]");
  CHECK(data::Batches(small_dataset(3), std::numeric_limits<std::int64_t>::max()).examples() == 3);
  const data::Dataset nothing{.images = Array::adopt(nullptr, {0, 1, 2, 1}, uint8),
                              .labels = Array::adopt(nullptr, {0}, int32)};
  CHECK(data::Batches(nothing, 4).empty());
}

TEST_CASE("pixels are divided as asked") {
  const data::Dataset dataset = small_dataset(3);
  CHECK(identical(data::Batches(dataset, 1, {.divide_by = 1.0f})[2].image, Array{{{{4.0}, {5.0}}}}));
  CHECK(identical(data::Batches(dataset, 1, {.divide_by = 2.0f})[2].image, Array{{{{2.0}, {2.5}}}}));
  const data::Dataset floats{.images = Array{{-1.5, 3.0}, {4.0, 5.0}}, .labels = Array{1, 2}};
  CHECK(identical(data::Batches(floats, 2, {.divide_by = 1.0f})[0].image, floats.images));
}

TEST_CASE("batches follow an order") {
  const data::Batches batches(small_dataset(5), 2, Array{4, 0, 0});
  CHECK(batches.size() == 2);
  CHECK(batches.examples() == 3);
  CHECK(labels_of(batches) == std::vector<std::int32_t>{40, 0, 0});
  CHECK(identical(data::Batches(small_dataset(5), 2, Array{4, 0, 0}, {.divide_by = 1.0f})[0].image,
                  Array{{{{8.0}, {9.0}}}, {{{0.0}, {1.0}}}}));
}

TEST_CASE("shuffled batches follow the permutation of their key") {
  const Array key = random::key(3);
  const data::Dataset dataset = small_dataset(20);
  const data::Batches batches = data::shuffled(dataset, 6, key);
  CHECK(batches.size() == 4);
  CHECK(batches.examples() == 20);

  std::vector<std::int32_t> expected;
  const Array order = random::permutation(key, 20);
  for (const std::int32_t index : order.data<std::int32_t>()) expected.push_back(10 * index);
  const std::vector<std::int32_t> labels = labels_of(batches);
  CHECK(labels == expected);
  CHECK(std::set(labels.begin(), labels.end()).size() == 20);
  CHECK(labels_of(data::shuffled(dataset, 6, key)) == labels);
  CHECK(labels_of(data::shuffled(dataset, 6, random::key(4))) != labels);
  CHECK(data::shuffled(dataset, 6, key, {.drop_last = true}).size() == 3);

  // Images stay with their labels.
  for (const data::Batch& batch : data::shuffled(dataset, 6, key, {.divide_by = 1.0f})) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch.label.size()); ++i) {
      CHECK(batch.image.data<float>()[2 * i] * 5.0f == static_cast<float>(batch.label.data<std::int32_t>()[i]));
    }
  }
}

TEST_CASE("batches refuse bad sizes and numbers") {
  const data::Dataset dataset = small_dataset(4);
  const auto text = [&](std::int64_t batch_size, data::BatchOptions options) {
    return error_of<ValueError>([&] { (void)data::Batches(dataset, batch_size, options); });
  };
  CHECK(text(0, {}) == "[Batches] The batch size is not positive.\n  got: 0\n  expected: at least 1");
  CHECK(text(-8, {}) == "[Batches] The batch size is not positive.\n  got: -8\n  expected: at least 1");
  CHECK(error_of<ValueError>([&] { (void)data::shuffled(dataset, 0, random::key(0)); }) ==
        "[Batches] The batch size is not positive.\n  got: 0\n  expected: at least 1");
  CHECK(text(1, {.divide_by = 0.0f}) ==
        "[Batches] Pixels cannot be divided by this number.\n  at: divide_by\n  got: 0\n  expected: a finite number "
        "other than 0");
  CHECK(text(1, {.divide_by = std::numeric_limits<float>::infinity()}) ==
        "[Batches] Pixels cannot be divided by this number.\n  at: divide_by\n  got: inf\n  expected: a finite number "
        "other than 0");
  CHECK(error_of<ValueError>([&] { (void)data::Batches(dataset, 2)[2]; }) ==
        "[Batches] There is no such batch.\n  got: 2\n  expected: 0 to 1");
  CHECK(error_of<ValueError>([&] { (void)data::Batches(dataset, 2)[-1]; }) ==
        "[Batches] There is no such batch.\n  got: -1\n  expected: 0 to 1");
}

TEST_CASE("batches refuse datasets and orders that do not fit") {
  const data::Dataset dataset = small_dataset(4);
  CHECK(error_of<ShapeError>([&] { (void)data::Batches({dataset.images, Array{1, 2, 3}}, 2); }) ==
        "[Batches] There is not one label per image.\n  got: images uint8[4,1,2,1], labels int32[3]\n"
        "  expected: images [n, ...] and labels [n]");
  CHECK(error_of<DTypeError>([&] { (void)data::Batches({dataset.labels, dataset.labels}, 2); }) ==
        "[Batches] Images have a dtype that is not batched.\n  got: int32[4]\n  expected: uint8 or float32");
  CHECK(error_of<DTypeError>([&] { (void)data::Batches({dataset.images, Array{1.0, 2.0, 3.0, 4.0}}, 2); }) ==
        "[Batches] Labels have a dtype that is not batched.\n  got: float32[4]\n  expected: int32");
  CHECK(error_of<DTypeError>([&] { (void)data::Batches(dataset, 2, Array{0.0, 1.0}); }) ==
        "[Batches] The order of the examples has a dtype that does not count.\n  got: float32[2]\n  expected: int32");
  CHECK(error_of<ShapeError>([&] { (void)data::Batches(dataset, 2, Array{{0, 1}, {2, 3}}); }) ==
        "[Batches] The order of the examples is not a list.\n  got: int32[2,2]\n  expected: one axis");
  CHECK(error_of<ValueError>([&] { (void)data::Batches(dataset, 2, Array{0, 4}); }) ==
        "[Batches] The order of the examples names one that does not exist.\n  got: 4\n  expected: 0 to 3");
  CHECK(error_of<ValueError>([&] { (void)data::Batches(dataset, 2, Array{-1, 2}); }) ==
        "[Batches] The order of the examples names one that does not exist.\n  got: -1\n  expected: 0 to 3");
}
