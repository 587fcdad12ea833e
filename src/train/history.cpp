#include <linseed/train/history.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "train/atomic_file.hpp"
#include "train/table.hpp"

namespace linseed::training {

namespace {

const Score* find(const EpochRecord& record, std::string_view name) {
  const auto at =
      std::find_if(record.scores.begin(), record.scores.end(), [&](const Score& score) { return score.name == name; });
  return at == record.scores.end() ? nullptr : &*at;
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

}  // namespace

double EpochRecord::score(std::string_view name) const {
  const Score* score = find(*this, name);
  return score == nullptr ? std::numeric_limits<double>::quiet_NaN() : score->value;
}

std::vector<std::string> History::names() const {
  std::vector<std::string> result;
  for (const EpochRecord& record : epochs) {
    for (const Score& score : record.scores) {
      if (std::find(result.begin(), result.end(), score.name) == result.end()) result.push_back(score.name);
    }
  }
  return result;
}

std::vector<double> History::column(std::string_view name) const {
  std::vector<double> result;
  for (const EpochRecord& record : epochs) result.push_back(record.score(name));
  return result;
}

std::string to_json(const EpochRecord& record) {
  std::string result = fmt::format("{{\"epoch\":{}", record.epoch);
  for (const Score& score : record.scores) {
    result += fmt::format(",{}:{}", json_string(score.name),
                          std::isfinite(score.value) ? fmt::format("{}", score.value) : "null");
  }
  return result + "}";
}

std::string to_jsonl(const History& history) {
  std::string result;
  for (const EpochRecord& record : history.epochs) result += to_json(record) + '\n';
  return result;
}

std::string to_csv(const History& history) {
  const std::vector<std::string> names = history.names();
  std::string result = "epoch";
  for (const std::string& name : names) result += ',' + csv_field(name);
  result += '\n';
  for (const EpochRecord& record : history.epochs) {
    result += fmt::to_string(record.epoch);
    for (const std::string& name : names) {
      const Score* score = find(record, name);
      result += score == nullptr ? "," : fmt::format(",{}", score->value);
    }
    result += '\n';
  }
  return result;
}

std::string to_table(const History& history) {
  if (history.epochs.empty()) return "";
  const detail::Table table(history.names());
  std::string result = table.head();
  for (const EpochRecord& record : history.epochs) result += table.row(record);
  return result;
}

void write_jsonl(const std::string& path, const History& history) {
  detail::write_file("write_jsonl", path, to_jsonl(history));
}

void write_csv(const std::string& path, const History& history) {
  detail::write_file("write_csv", path, to_csv(history));
}

JsonlWriter::JsonlWriter(std::string path) : path_(std::move(path)) {
  detail::write_file("JsonlWriter", path_, "");
  is_regular_ = std::filesystem::is_regular_file(path_);
}

void JsonlWriter::append(const EpochRecord& record) {
  std::string text = (is_regular_ ? text_ : std::string()) + to_json(record) + '\n';
  detail::write_file("JsonlWriter", path_, text);
  text_ = std::move(text);
}

}  // namespace linseed::training
