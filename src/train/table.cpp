#include "train/table.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace linseed::training::detail {

namespace {
constexpr std::string_view gap = "  ";
constexpr std::size_t narrowest = 7;          // of a column: "0.12345"
constexpr std::string_view corner = "epoch";  // above the numbers of the epochs
}  // namespace

SplitName split_name(std::string_view name) {
  for (const std::string_view pass : {"train", "validation", "test"}) {
    if (name.size() > pass.size() + 1 && name.starts_with(pass) && name[pass.size()] == '_') {
      return {std::string(pass), std::string(name.substr(pass.size() + 1))};
    }
  }
  return {"", std::string(name)};
}

std::string words(std::string name) {
  if (name == "examples_per_second") return "examples/s";
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string display(double value) {
  const double size = std::fabs(value);
  if (!std::isfinite(value)) return fmt::format("{}", value);
  if (size < 1e15 && value == std::floor(value) && size >= 1.0) return fmt::format("{:.0f}", value);
  if (size >= 1e7 || (size > 0.0 && size < 1e-3)) return fmt::format("{:.2e}", value);
  return fmt::format("{:.{}f}", value, size >= 1000.0 ? 0 : size >= 10.0 ? 2 : 4);
}

Table::Table(const std::vector<std::string>& names, std::size_t limit) {
  // The columns of a pass stand together.
  for (const std::string_view pass : {"train", "validation", "test", ""}) {
    for (const std::string& name : names) {
      SplitName split = split_name(name);
      if (split.pass != pass) continue;
      std::string title = words(split.rest);
      const std::size_t width = std::max(title.size(), narrowest);
      columns_.push_back({name, std::move(split.pass), std::move(title), width});
    }
  }
  const std::vector<Column> all = columns_;
  widen();
  for (std::size_t count = all.size(); limit > 0 && width() > limit && count > 1; widen()) {
    columns_.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(--count));
  }
}

void Table::widen() {
  for (std::size_t i = 0, end = 0; i < columns_.size(); i = end) {
    std::size_t room = 0;
    for (end = i; end < columns_.size() && columns_[end].pass == columns_[i].pass; ++end) {
      room += columns_[end].width + (end > i ? gap.size() : 0);
    }
    const std::size_t needed = columns_[i].pass.size() + 4;  // spaces and dashes
    if (!columns_[i].pass.empty() && room < needed) columns_[i].width += needed - room;
  }
}

std::size_t Table::width() const {
  std::size_t result = corner.size();
  for (const Column& column : columns_) result += gap.size() + column.width;
  return result;
}

std::string Table::head() const {
  std::string passes(corner.size(), ' '), titles(corner);
  for (std::size_t i = 0, end = 0; i < columns_.size(); i = end) {
    std::size_t room = 0;
    for (end = i; end < columns_.size() && columns_[end].pass == columns_[i].pass; ++end) {
      titles += fmt::format("{}{:>{}}", gap, columns_[end].title, columns_[end].width);
      room += columns_[end].width + (end > i ? gap.size() : 0);
    }
    const std::string& pass = columns_[i].pass;
    if (!pass.empty()) passes += fmt::format("{}{:-^{}}", gap, fmt::format(" {} ", pass), room);
  }
  return (columns_.empty() || columns_[0].pass.empty() ? "" : passes + '\n') + titles + '\n';
}

std::string Table::row(const EpochRecord& record) const {
  std::string line = fmt::format("{:{}}", record.epoch, corner.size());
  for (const Column& column : columns_) {
    line += fmt::format("{}{:>{}}", gap, display(record.score(column.name)), column.width);
  }
  return line + '\n';
}

}  // namespace linseed::training::detail
