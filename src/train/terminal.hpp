#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace linseed::detail {

struct TerminalSize {
  int columns = 0, rows = 0;  ///< 0: not known
};
[[nodiscard]] bool is_terminal(std::FILE* stream);
[[nodiscard]] TerminalSize terminal_size(std::FILE* stream);
/// Whether the environment says that terminals take UTF-8.
[[nodiscard]] bool utf8_locale();

/// Columns of UTF-8 text without wide or combining characters.
[[nodiscard]] std::size_t columns_of(std::string_view text);
/// The first `columns` columns.
[[nodiscard]] std::string_view cut_columns(std::string_view text, std::size_t columns);

/// "0:07", "1:02:03".
[[nodiscard]] std::string clock_time(double seconds);

struct ProgressView {
  std::string_view label, words;
  std::int64_t done = 0, total = 0;  ///< total 0: not known
  double seconds = 0.0;              ///< since the beginning
};
/// The line of a bar: shorter than `width` (0: as if 80), so that no terminal breaks it. Where room is short the time
/// left goes first, then the rate, the bar, and the end of the rest.
[[nodiscard]] std::string progress_line(const ProgressView& view, int width, bool utf8);

}  // namespace linseed::detail
