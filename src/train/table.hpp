#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <linseed/train/history.hpp>

namespace linseed::training::detail {

/// "train_loss" as {"train", "loss"}; other names have no pass: {"", "seconds"}.
struct SplitName {
  std::string pass, rest;
};
[[nodiscard]] SplitName split_name(std::string_view name);

/// A name as people read it: "top 5 accuracy", "examples/s".
[[nodiscard]] std::string words(std::string name);

/// A number as people read it: 0.2534, 12346, 1.5e-07.
[[nodiscard]] std::string display(double value);

/// A table of epochs in columns of fixed width.
class Table {
 public:
  /// As many columns as fit into lines of `width`, but at least one; all of them for 0.
  explicit Table(const std::vector<std::string>& names, std::size_t width = 0);

  /// One line, below one that names the passes when there are any.
  [[nodiscard]] std::string head() const;
  /// One line.
  [[nodiscard]] std::string row(const EpochRecord& record) const;

 private:
  struct Column {
    std::string name, pass, title;
    std::size_t width;
  };
  /// Makes room for the name of a pass above its columns.
  void widen();
  [[nodiscard]] std::size_t width() const;

  std::vector<Column> columns_;
};

}  // namespace linseed::training::detail
