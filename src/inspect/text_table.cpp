#include "inspect/text_table.hpp"

#include <algorithm>
#include <string_view>

namespace linseed::inspect {

namespace {

std::vector<std::string_view> lines_of(std::string_view cell) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin <= cell.size();) {
    const std::size_t end = std::min(cell.find('\n', begin), cell.size());
    lines.push_back(cell.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// Columns on the screen, taking one for each code point of UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

std::string TextTable::to_string() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    widths.push_back(width_of(columns[i].title));
    for (const auto& row : rows) {
      for (const std::string_view line : lines_of(row[i])) widths[i] = std::max(widths[i], width_of(line));
    }
  }
  std::string text;
  const auto rule = [&](const char* left, const char* middle, const char* right) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      text += i == 0 ? left : middle;
      for (std::size_t k = 0; k < widths[i] + 2; ++k) text += "─";
    }
    text += right;
    text += '\n';
  };
  const auto print = [&](const auto& cell) {
    std::size_t height = 1;
    for (std::size_t i = 0; i < columns.size(); ++i) height = std::max(height, lines_of(cell(i)).size());
    for (std::size_t k = 0; k < height; ++k) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto lines = lines_of(cell(i));
        const std::string_view line = k < lines.size() ? lines[k] : std::string_view();
        const std::string fill(widths[i] - width_of(line), ' ');
        text += "│ ";
        if (columns[i].right_aligned) text += fill;
        text += line;
        if (!columns[i].right_aligned) text += fill;
        text += ' ';
      }
      text += "│\n";
    }
  };
  rule("╭", "┬", "╮");
  print([&](std::size_t i) -> std::string_view { return columns[i].title; });
  rule("├", "┼", "┤");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const bool footer = last_is_footer && r + 1 == rows.size();
    if (r > 0 && (lines_between_rows || footer)) rule("├", "┼", "┤");
    print([&](std::size_t i) -> std::string_view { return rows[r][i]; });
  }
  rule("╰", "┴", "╯");
  return text;
}

}  // namespace linseed::inspect
