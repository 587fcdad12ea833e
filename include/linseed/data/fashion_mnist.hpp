#pragma once

#include <string>

#include <linseed/data/dataset.hpp>

namespace linseed::data {

/// Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): grey images of 28 x 28 pixels in ten classes.
struct FashionMnist {
  Dataset train;  ///< images uint8 [n, 28, 28, 1], labels int32 [n] in 0..9; 60000 examples in the full set
  Dataset test;   ///< the same; 10000 examples in the full set
};

/// Reads the four files of Fashion-MNIST, under their usual names with or without ".gz", from `directory`.
///
/// Throws FileError when the folder or a file is missing, for everything that `read_idx` refuses, and when the contents
/// do not belong together: other than 28 x 28 pixels, as many labels as images, a label above 9, no examples at all.
[[nodiscard]] FashionMnist fashion_mnist(const std::string& directory);

/// Where the Debian package `dataset-fashion-mnist` puts the files.
[[nodiscard]] std::string fashion_mnist_default_directory();

/// The first 1000 training and 500 test examples of the real set, compiled into the library: for tests and first
/// steps, too few to learn well from.
[[nodiscard]] FashionMnist fashion_mnist_embedded();

}  // namespace linseed::data
