#include <linseed/data/fashion_mnist.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

#include "core/array_node.hpp"
#include "data/embedded.hpp"
#include "data/idx.hpp"

namespace linseed::data {

namespace {

constexpr std::string_view op = "fashion_mnist";
constexpr std::int64_t side = 28;
constexpr int classes = 10;
constexpr const char* how_to_get_it =
    "install the Debian package dataset-fashion-mnist, name a folder with the four files, or use the embedded extract";

// The contents of one half and the names under which errors speak of them.
struct Half {
  IdxBytes images;
  IdxBytes labels;
  std::string images_name;
  std::string labels_name;
};

Dataset checked(Half half) {
  const Shape& image_shape = half.images.shape;
  if (image_shape.rank() != 3 || image_shape[1] != side || image_shape[2] != side) {
    throw FileError(op, "These are not images of 28 x 28 pixels.",
                    {.at = half.images_name,
                     .got = fmt::format("shape {}", to_string(image_shape)),
                     .expected = "shape (n, 28, 28)"});
  }
  const Shape& label_shape = half.labels.shape;
  if (label_shape.rank() != 1) {
    throw FileError(
        op, "These are not labels.",
        {.at = half.labels_name, .got = fmt::format("shape {}", to_string(label_shape)), .expected = "shape (n,)"});
  }
  const std::int64_t count = image_shape[0];
  if (count != label_shape[0]) {
    throw FileError(op, "There is not one label per image.",
                    {.at = half.labels_name,
                     .got = fmt::format("{} labels", label_shape[0]),
                     .expected = fmt::format("{}, the number of images in {}", count, half.images_name)});
  }
  if (count == 0) {
    throw FileError(op, "The file holds no examples.",
                    {.at = half.images_name, .got = "0 images", .expected = "at least 1"});
  }

  const std::span bytes(static_cast<const std::uint8_t*>(half.labels.buffer.get()), static_cast<std::size_t>(count));
  auto labels = detail::allocate(Shape{count}, DType::int32);
  auto* label = static_cast<std::int32_t*>(labels.get());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] >= classes) {
      throw FileError(
          op, "A label is out of range.",
          {.at = half.labels_name, .got = fmt::format("label {} at index {}", bytes[i], i), .expected = "0 to 9"});
    }
    label[i] = bytes[i];
  }
  return {.images = Array::adopt(std::move(half.images.buffer), Shape{count, side, side, 1}, DType::uint8),
          .labels = Array::adopt(std::move(labels), Shape{count}, DType::int32)};
}

// The path of a file of the set: compressed, or without ".gz".
std::string locate(const std::string& directory, std::string_view name) {
  namespace fs = std::filesystem;
  std::error_code code;
  const fs::path folder(directory);
  for (const std::string& candidate : {fmt::format("{}.gz", name), std::string(name)}) {
    if (fs::exists(folder / candidate, code)) return (folder / candidate).string();
  }
  throw FileError(op, "A file of the data set is missing.",
                  {.at = directory,
                   .got = fmt::format("neither {}.gz nor {}", name, name),
                   .expected = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
                               "t10k-labels-idx1-ubyte, each with or without .gz",
                   .hint = how_to_get_it});
}

Dataset read_half(const std::string& directory, std::string_view prefix) {
  std::string images_name = locate(directory, fmt::format("{}-images-idx3-ubyte", prefix));
  std::string labels_name = locate(directory, fmt::format("{}-labels-idx1-ubyte", prefix));
  IdxBytes images = read_idx_file(images_name);
  IdxBytes labels = read_idx_file(labels_name);
  return checked({std::move(images), std::move(labels), std::move(images_name), std::move(labels_name)});
}

Dataset unpack_half(std::string_view prefix, std::span<const unsigned char> images,
                    std::span<const unsigned char> labels) {
  std::string images_name = fmt::format("embedded {} images", prefix);
  std::string labels_name = fmt::format("embedded {} labels", prefix);
  return checked(
      {read_idx_memory(images, images_name), read_idx_memory(labels, labels_name), images_name, labels_name});
}

}  // namespace

FashionMnist fashion_mnist(const std::string& directory) {
  std::error_code code;
  if (!std::filesystem::is_directory(directory, code)) {
    const bool exists = std::filesystem::exists(directory, code);
    throw FileError(op, exists ? "The data set is a folder." : "The folder of the data set does not exist.",
                    {.at = directory,
                     .got = exists ? "something else" : "",
                     .expected = exists ? "a folder with the four files" : "",
                     .hint = how_to_get_it});
  }
  return {.train = read_half(directory, "train"), .test = read_half(directory, "t10k")};
}

std::string fashion_mnist_default_directory() { return "/usr/share/datasets/fashion-mnist"; }

FashionMnist fashion_mnist_embedded() {
  return {.train = unpack_half("train", embedded::train_images(), embedded::train_labels()),
          .test = unpack_half("t10k", embedded::t10k_images(), embedded::t10k_labels())};
}

}  // namespace linseed::data
