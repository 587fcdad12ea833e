#include "train/terminal.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace linseed::detail {

namespace {

constexpr std::int64_t longest_bar = 30;
constexpr std::int64_t shortest_bar = 5;
constexpr int usual_width = 80;

std::string times(std::string_view text, std::int64_t count) {
  std::string result;
  for (std::int64_t i = 0; i < count; ++i) result += text;
  return result;
}

std::string bar_of(double share, std::int64_t width, bool utf8) {
  const auto filled = std::clamp<std::int64_t>(static_cast<std::int64_t>(share * static_cast<double>(width)), 0, width);
  std::string bar = times(utf8 ? "━" : "=", filled);
  if (filled < width) bar += utf8 ? "╸" : ">";
  return bar + times(" ", width - filled - 1);
}

}  // namespace

bool is_terminal(std::FILE* stream) { return isatty(fileno(stream)) == 1; }

TerminalSize terminal_size(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0) return {};
  return {.columns = size.ws_col, .rows = size.ws_row};
}

bool utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);  // NOLINT: nobody changes the environment meanwhile
    if (value == nullptr || *value == '\0') continue;
    std::string text = value;
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
  }
  return false;
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string_view cut_columns(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) continue;
    if (columns-- == 0) break;
  }
  return text.substr(0, end);
}

std::string clock_time(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::clamp(seconds, 0.0, 359999.0));
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string progress_line(const ProgressView& view, int width, bool utf8) {
  const auto limit = static_cast<std::int64_t>((width > 0 ? width : usual_width) - 1);
  const std::int64_t done = std::max<std::int64_t>(view.done, 0);
  const bool measured = done > 0 && view.seconds > 0.0;
  const double rate = measured ? static_cast<double>(done) / view.seconds : 0.0;
  std::string left, share;
  double part = 0.0;
  if (view.total > 0) {
    part = std::min(1.0, static_cast<double>(done) / static_cast<double>(view.total));
    share = fmt::format("{:3.0f}%", std::floor(100.0 * part));
    if (measured) left = clock_time(static_cast<double>(std::max<std::int64_t>(view.total - done, 0)) / rate) + " left";
  } else {
    share = fmt::to_string(done);
  }
  std::string speed = measured ? fmt::format("{:.{}f}/s", rate, rate < 100.0 ? 1 : 0) : "";

  const auto assemble = [&](const std::string& bar) {
    std::string line(view.label);
    for (const std::string_view piece : {std::string_view(bar), std::string_view(share)}) {
      if (!piece.empty()) line += fmt::format("{}{}", line.empty() ? "" : " ", piece);
    }
    for (const std::string_view piece : {view.words, std::string_view(speed), std::string_view(left)}) {
      if (!piece.empty()) line += fmt::format("  {}", piece);
    }
    return line;
  };
  // Brackets and a space belong to the bar.
  const auto room = [&] { return limit - static_cast<std::int64_t>(columns_of(assemble(""))) - 3; };
  if (room() < shortest_bar) left.clear();
  if (room() < shortest_bar) speed.clear();
  const bool has_bar = view.total > 0 && room() >= shortest_bar;
  const std::string line =
      assemble(has_bar ? fmt::format("[{}]", bar_of(part, std::min(room(), longest_bar), utf8)) : "");
  return std::string(cut_columns(line, static_cast<std::size_t>(std::max<std::int64_t>(limit, 0))));
}

}  // namespace linseed::detail
