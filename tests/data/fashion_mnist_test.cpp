#include <linseed/data/fashion_mnist.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>
#include <vector>

#include <doctest/doctest.h>

#include "data/files.hpp"
#include "folder.hpp"
#include "support.hpp"

using namespace linseed;
using namespace linseed::tests;
using support::error_of;

namespace {

std::vector<std::int32_t> first_labels(const Array& labels, std::size_t count) {
  const auto all = labels.data<std::int32_t>();
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::int64_t sum_of_image(const Array& images, std::size_t index) {
  const auto pixels = images.data<std::uint8_t>().subspan(index * 784, 784);
  return std::accumulate(pixels.begin(), pixels.end(), std::int64_t{0});
}

/// The four files of a small set: three training and two test examples.
struct SmallSet {
  support::Folder folder;
  SmallSet() {
    write("train-images-idx3-ubyte", idx_header({3, 28, 28}) + counting_bytes(3 * 784));
    write("train-labels-idx1-ubyte", idx_header({3}) + std::string("\0\x05\x09", 3));
    write("t10k-images-idx3-ubyte", idx_header({2, 28, 28}) + counting_bytes(2 * 784, 7));
    write("t10k-labels-idx1-ubyte", idx_header({2}) + "\x01\x02");
  }
  void write(std::string_view name, std::string_view bytes) const {
    folder.write(std::string(name) + ".gz", gzipped(bytes));
  }
  [[nodiscard]] std::string path(std::string_view name) const { return folder / (std::string(name) + ".gz"); }
  [[nodiscard]] std::string refusal() const {
    return error_of<FileError>([&] { (void)data::fashion_mnist(folder.path()); });
  }
};

constexpr const char* hint =
    "\n  hint: install the Debian package dataset-fashion-mnist, name a folder with the four files, or use the "
    "embedded extract";

}  // namespace

TEST_CASE("the embedded extract is the beginning of the real set") {
  const data::FashionMnist set = data::fashion_mnist_embedded();
  CHECK(describe(set.train.images) == "uint8[1000,28,28,1]");
  CHECK(describe(set.train.labels) == "int32[1000]");
  CHECK(describe(set.test.images) == "uint8[500,28,28,1]");
  CHECK(describe(set.test.labels) == "int32[500]");
  CHECK(set.train.size() == 1000);
  CHECK(set.test.size() == 500);
  CHECK(first_labels(set.train.labels, 10) == std::vector<std::int32_t>{9, 0, 0, 3, 0, 2, 7, 2, 5, 5});
  CHECK(first_labels(set.test.labels, 10) == std::vector<std::int32_t>{9, 2, 1, 1, 6, 1, 4, 6, 5, 7});
  CHECK(sum_of_image(set.train.images, 0) == 76247);
  CHECK(sum_of_image(set.test.images, 0) == 33456);

  for (const data::Dataset& half : {set.train, set.test}) {
    std::array<int, 10> count{};
    for (const std::int32_t label : half.labels.data<std::int32_t>()) ++count.at(static_cast<std::size_t>(label));
    for (const int examples : count) {
      CHECK(examples * 10 > half.size() * 3 / 4);
      CHECK(examples * 10 < half.size() * 4 / 3);
    }
  }
}

TEST_CASE("the embedded extract equals the installed set") {
  const std::string directory = data::fashion_mnist_default_directory();
  if (!std::filesystem::exists(directory)) {
    MESSAGE("not compared: there is no " << directory);
    return;
  }
  const data::FashionMnist full = data::fashion_mnist(directory);
  const data::FashionMnist extract = data::fashion_mnist_embedded();
  CHECK(describe(full.train.images) == "uint8[60000,28,28,1]");
  CHECK(describe(full.train.labels) == "int32[60000]");
  CHECK(describe(full.test.images) == "uint8[10000,28,28,1]");
  CHECK(describe(full.test.labels) == "int32[10000]");
  CHECK(identical(data::limit(full.train, 1000).images, extract.train.images));
  CHECK(identical(data::limit(full.train, 1000).labels, extract.train.labels));
  CHECK(identical(data::limit(full.test, 500).images, extract.test.images));
  CHECK(identical(data::limit(full.test, 500).labels, extract.test.labels));
}

TEST_CASE("fashion_mnist reads files with and without .gz") {
  const SmallSet set;
  std::filesystem::remove(set.path("t10k-labels-idx1-ubyte"));
  set.folder.write("t10k-labels-idx1-ubyte", idx_header({2}) + "\x01\x02");
  const data::FashionMnist read = data::fashion_mnist(set.folder.path());
  CHECK(describe(read.train.images) == "uint8[3,28,28,1]");
  CHECK(identical(read.train.labels, Array{0, 5, 9}));
  CHECK(describe(read.test.images) == "uint8[2,28,28,1]");
  CHECK(read.test.images.data<std::uint8_t>()[784] == (7 + 784) % 256);
  CHECK(identical(read.test.labels, Array{1, 2}));
}

TEST_CASE("fashion_mnist says what is missing and how to get it") {
  const SmallSet set;
  const std::string nowhere = set.folder / "nowhere";
  CHECK(error_of<FileError>([&] { (void)data::fashion_mnist(nowhere); }) ==
        fmt::format("[fashion_mnist] The folder of the data set does not exist.\n  at: {}{}", nowhere, hint));
  const std::string file = set.path("train-images-idx3-ubyte");
  CHECK(error_of<FileError>([&] { (void)data::fashion_mnist(file); }) ==
        fmt::format("[fashion_mnist] The data set is a folder.\n  at: {}\n  got: something else\n"
                    "  expected: a folder with the four files{}",
                    file, hint));
  std::filesystem::remove(set.path("t10k-images-idx3-ubyte"));
  CHECK(set.refusal() ==
        fmt::format("[fashion_mnist] A file of the data set is missing.\n  at: {}\n"
                    "  got: neither t10k-images-idx3-ubyte.gz nor t10k-images-idx3-ubyte\n"
                    "  expected: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
                    "t10k-labels-idx1-ubyte, each with or without .gz{}",
                    set.folder.path(), hint));
}

TEST_CASE("fashion_mnist refuses files that do not belong together") {
  const SmallSet set;
  SUBCASE("counts") {
    set.write("train-labels-idx1-ubyte", idx_header({2}) + "\x01\x02");
    CHECK(set.refusal() == fmt::format("[fashion_mnist] There is not one label per image.\n  at: {}\n  got: 2 labels\n"
                                       "  expected: 3, the number of images in {}",
                                       set.path("train-labels-idx1-ubyte"), set.path("train-images-idx3-ubyte")));
  }
  SUBCASE("label range") {
    set.write("t10k-labels-idx1-ubyte", idx_header({2}) + "\x01\x0a");
    CHECK(set.refusal() ==
          fmt::format("[fashion_mnist] A label is out of range.\n  at: {}\n  got: label 10 at index 1\n"
                      "  expected: 0 to 9",
                      set.path("t10k-labels-idx1-ubyte")));
  }
  SUBCASE("image size") {
    set.write("train-images-idx3-ubyte", idx_header({3, 32, 28}) + std::string(3 * 32 * 28, '\0'));
    CHECK(set.refusal() ==
          fmt::format("[fashion_mnist] These are not images of 28 x 28 pixels.\n  at: {}\n  got: shape (3, 32, 28)\n"
                      "  expected: shape (n, 28, 28)",
                      set.path("train-images-idx3-ubyte")));
  }
  SUBCASE("labels in place of images") {
    set.write("train-images-idx3-ubyte", idx_header({3}) + "abc");
    CHECK(set.refusal() ==
          fmt::format("[fashion_mnist] These are not images of 28 x 28 pixels.\n  at: {}\n  got: shape (3,)\n"
                      "  expected: shape (n, 28, 28)",
                      set.path("train-images-idx3-ubyte")));
  }
  SUBCASE("images in place of labels") {
    set.write("train-labels-idx1-ubyte", idx_header({3, 1}) + "abc");
    CHECK(set.refusal() == fmt::format("[fashion_mnist] These are not labels.\n  at: {}\n  got: shape (3, 1)\n"
                                       "  expected: shape (n,)",
                                       set.path("train-labels-idx1-ubyte")));
  }
  SUBCASE("no examples") {
    set.write("train-images-idx3-ubyte", idx_header({0, 28, 28}));
    set.write("train-labels-idx1-ubyte", idx_header({0}));
    CHECK(set.refusal() == fmt::format("[fashion_mnist] The file holds no examples.\n  at: {}\n  got: 0 images\n"
                                       "  expected: at least 1",
                                       set.path("train-images-idx3-ubyte")));
  }
  SUBCASE("a damaged file is named") {
    set.folder.write("t10k-images-idx3-ubyte.gz", "not a gzip file");
    CHECK(set.refusal() == fmt::format("[read_idx] This is not an IDX file.\n  at: {}\n  got: first bytes 6e 6f 74 20\n"
                                       "  expected: 00 00 08 (IDX) or 1f 8b (gzip)",
                                       set.path("t10k-images-idx3-ubyte")));
  }
}

TEST_CASE("limit keeps the first examples and shares the buffers") {
  const data::Dataset train = data::fashion_mnist_embedded().train;
  const data::Dataset few = data::limit(train, 3);
  CHECK(describe(few.images) == "uint8[3,28,28,1]");
  CHECK(identical(few.labels, Array{9, 0, 0}));
  CHECK(few.images.data<std::uint8_t>().data() == train.images.data<std::uint8_t>().data());
  CHECK(data::limit(train, 1000000).size() == 1000);
  CHECK(error_of<ValueError>([&] { (void)data::limit(train, 0); }) ==
        "[limit] A data set is limited to a positive number of examples.\n  got: 0\n  expected: at least 1");
  CHECK(error_of<ValueError>([&] { (void)data::limit(train, -5); }) ==
        "[limit] A data set is limited to a positive number of examples.\n  got: -5\n  expected: at least 1");
}
