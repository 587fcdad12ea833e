#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linseed::training {

/// A number with its name: {"train_loss", 0.25}.
struct Score {
  std::string name;
  double value = 0.0;
};

/// What an epoch came to. Names that begin with "train_", "validation_" or "test_" are curves: those that go on with
/// the same words share a chart.
struct EpochRecord {
  std::int64_t epoch = 0;  ///< 1, 2, ...
  std::vector<Score> scores = {};

  /// NaN when there is no score of that name.
  [[nodiscard]] double score(std::string_view name) const;
};

/// The epochs of a run, in their order.
struct History {
  std::vector<EpochRecord> epochs = {};

  /// Every name that occurs, in the order in which they came up.
  [[nodiscard]] std::vector<std::string> names() const;
  /// One number per epoch; NaN where an epoch has none.
  [[nodiscard]] std::vector<double> column(std::string_view name) const;
};

/// {"epoch":1,"train_loss":0.25}: one line without its end. Numbers read back as the same bits; NaN and infinities,
/// which JSON does not have, are null.
[[nodiscard]] std::string to_json(const EpochRecord& record);
/// JSON Lines: one such object per line.
[[nodiscard]] std::string to_jsonl(const History& history);
/// RFC 4180 with lines that end in \n: a line of names beginning with "epoch", then a line per epoch. Missing scores
/// are empty; NaN and infinities are "nan", "inf", "-inf".
[[nodiscard]] std::string to_csv(const History& history);
/// For people: a head of two lines, where train, validation and test stand above their scores, and a line per epoch.
[[nodiscard]] std::string to_table(const History& history);

/// Write the same to a file, completely or not at all: to a temporary file beside it, which then takes its name. Throw
/// FileError.
void write_jsonl(const std::string& path, const History& history);
void write_csv(const std::string& path, const History& history);

/// JSON Lines that grow by an epoch at a time: the file is replaced as a whole each time; what is no regular file, as
/// /dev/stdout, gets the new line alone.
class JsonlWriter {
 public:
  /// Begins with an empty file. Throws FileError.
  explicit JsonlWriter(std::string path);
  /// Throws FileError; the file then holds the records before.
  void append(const EpochRecord& record);

 private:
  std::string path_, text_;
  bool is_regular_;
};

}  // namespace linseed::training
