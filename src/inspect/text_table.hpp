#pragma once

#include <string>
#include <vector>

namespace linseed::inspect {

/// Rows of cells with lines around them. A cell may have several lines.
struct TextTable {
  struct Column {
    std::string title;
    bool right_aligned = false;
  };

  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;
  bool last_is_footer = false;
  bool lines_between_rows = false;

  [[nodiscard]] std::string to_string() const;
};

}  // namespace linseed::inspect
