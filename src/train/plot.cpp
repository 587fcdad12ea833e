#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <linseed/train/curves.hpp>

#include "train/table.hpp"
#include "train/terminal.hpp"
#include "train/ticks.hpp"

namespace linseed::training {

namespace {

using linseed::detail::columns_of;
using linseed::detail::cut_columns;

constexpr int narrowest = 24;
constexpr int widest = 60;  // of one chart
constexpr int gap = 3;      // between charts
constexpr std::string_view colors[] = {"\033[94m", "\033[33m", "\033[32m", "\033[35m"};
constexpr std::string_view plain = "\033[0m";

std::string_view color_of(std::size_t curve) { return colors[curve % std::size(colors)]; }

bool finite(const Curve& curve, std::size_t i) { return std::isfinite(curve.x[i]) && std::isfinite(curve.y[i]); }

std::size_t points(const Curve& curve) { return std::min(curve.x.size(), curve.y.size()); }

/// Dots of Braille characters, two by four to a character.
class Canvas {
 public:
  Canvas(int columns, int rows)
      : columns_(columns), rows_(rows), dots_(cells()), owner_(cells(), std::numeric_limits<std::size_t>::max()) {}

  [[nodiscard]] int width() const { return 2 * columns_; }
  [[nodiscard]] int height() const { return 4 * rows_; }

  /// y counts from below.
  void dot(int x, int y, std::size_t curve) {
    if (x < 0 || y < 0 || x >= width() || y >= height()) return;
    const int from_top = height() - 1 - y;
    const auto cell = static_cast<std::size_t>((from_top / 4) * columns_ + x / 2);
    constexpr unsigned bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    dots_[cell] |= bits[from_top % 4][x % 2];
    owner_[cell] = curve;
  }

  [[nodiscard]] std::string row(int row, bool color) const {
    std::string line;
    for (int column = 0; column < columns_; ++column) {
      const auto cell = static_cast<std::size_t>(row * columns_ + column);
      if (dots_[cell] == 0) {
        line += ' ';
        continue;
      }
      const unsigned code = 0x2800U + dots_[cell];
      const char utf8[] = {static_cast<char>(0xE0U | (code >> 12U)), static_cast<char>(0x80U | ((code >> 6U) & 0x3FU)),
                           static_cast<char>(0x80U | (code & 0x3FU))};
      if (color) line += color_of(owner_[cell]);
      line.append(utf8, 3);
      if (color) line += plain;
    }
    return line;
  }

 private:
  [[nodiscard]] std::size_t cells() const {
    return static_cast<std::size_t>(columns_) * static_cast<std::size_t>(rows_);
  }

  int columns_, rows_;
  std::vector<unsigned> dots_;
  std::vector<std::size_t> owner_;
};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool empty() const { return !(low <= high); }
};

/// Where `value` lies between `low` and `high`, in dots of a canvas.
int place(double value, double low, double high, int dots) {
  const double share = high > low ? (value / 2 - low / 2) / (high / 2 - low / 2) : 0.5;
  return static_cast<int>(std::lround(share * (dots - 1)));
}

/// One chart as lines of at most `width` columns each; `columns` are those that show, `text` also holds colours.
struct Line {
  std::string text;
  int columns = 0;
};

Line line_of(std::string text) {
  const auto columns = static_cast<int>(columns_of(text));
  return {std::move(text), columns};
}

/// The title and the curves' names, with their last values where there is room for those.
Line legend(const Chart& chart, int width, bool color, bool values = true) {
  Line line = line_of(chart.title);
  for (std::size_t c = 0; c < chart.curves.size(); ++c) {
    const Curve& curve = chart.curves[c];
    std::string words = curve.name;
    for (std::size_t i = points(curve); values && i-- > 0;) {
      if (!finite(curve, i)) continue;
      words += ' ' + detail::display(curve.y[i]);
      break;
    }
    const std::string_view mark = c == 0 || color ? "──" : "┄┄";
    line.text +=
        color ? fmt::format("   {}{}{} {}", color_of(c), mark, plain, words) : fmt::format("   {} {}", mark, words);
    line.columns += 6 + static_cast<int>(columns_of(words));
  }
  if (line.columns <= width) return line;
  if (values) return legend(chart, width, color, /*values=*/false);
  return line_of(std::string(cut_columns(chart.title, static_cast<std::size_t>(width))));
}

std::vector<Line> draw(const Chart& chart, int width, const PlotOptions& options) {
  Range xs, ys;
  for (const Curve& curve : chart.curves) {
    for (std::size_t i = 0; i < points(curve); ++i) {
      if (!finite(curve, i)) continue;
      xs.include(curve.x[i]);
      ys.include(curve.y[i]);
    }
  }
  if (xs.empty()) return {};
  const int rows = std::max(2, options.height);
  const detail::Ticks marks = detail::ticks(ys.low, ys.high, std::clamp(rows / 2, 2, 6));
  std::size_t label = 0;
  for (const std::string& text : marks.text) label = std::max(label, text.size());
  const int columns = width - static_cast<int>(label) - 2;
  if (columns < 4) return {};

  Canvas canvas(columns, rows);
  for (std::size_t c = chart.curves.size(); c-- > 0;) {  // the first one on top
    const Curve& curve = chart.curves[c];
    const bool dotted = c > 0 && !options.color;
    int drawn = 0, last_x = 0, last_y = 0;
    bool has_last = false;
    const auto dot = [&](int x, int y) {
      if (!dotted || drawn++ % 4 < 2) canvas.dot(x, y, c);
    };
    for (std::size_t i = 0; i < points(curve); ++i) {
      if (!finite(curve, i)) {
        has_last = false;
        continue;
      }
      const int x = place(curve.x[i], xs.low, xs.high, canvas.width());
      const int y = place(curve.y[i], marks.low(), marks.high(), canvas.height());
      const int steps = has_last ? std::max({1, std::abs(x - last_x), std::abs(y - last_y)}) : 1;
      for (int s = has_last ? 1 : steps; s <= steps; ++s) {
        const double share = static_cast<double>(s) / steps;
        dot(has_last ? static_cast<int>(std::lround(last_x + share * (x - last_x))) : x,
            has_last ? static_cast<int>(std::lround(last_y + share * (y - last_y))) : y);
      }
      last_x = x;
      last_y = y;
      has_last = true;
    }
  }

  std::vector<Line> lines{legend(chart, width, options.color)};
  for (int row = 0; row < rows; ++row) {
    std::string text;
    for (std::size_t t = 0; t < marks.at.size(); ++t) {
      const int y = place(marks.at[t], marks.low(), marks.high(), canvas.height());
      if ((canvas.height() - 1 - y) / 4 == row) text = marks.text[t];
    }
    const std::string axis = fmt::format("{:>{}} {}", text, label, text.empty() ? "│" : "┤");
    lines.push_back({axis + canvas.row(row, options.color), width});
  }
  std::string base = std::string(label + 1, ' ') + "└";
  for (int column = 0; column < columns; ++column) base += "─";
  lines.push_back({base, width});
  std::string left = fmt::format("{:.6g}", xs.low), right = xs.high > xs.low ? fmt::format("{:.6g}", xs.high) : "";
  const std::string& name = chart.x_label;
  const int room = columns - static_cast<int>(left.size() + right.size());
  std::string middle(static_cast<std::size_t>(std::max(0, room)), ' ');
  if (room > static_cast<int>(name.size()) + 2) middle.replace((middle.size() - name.size()) / 2, name.size(), name);
  if (room < 1) right.clear();
  lines.push_back(line_of(std::string(label + 2, ' ') + left + middle + right));
  return lines;
}

}  // namespace

std::vector<Chart> charts(const History& history) {
  std::vector<Chart> result;
  std::vector<double> epochs;
  for (const EpochRecord& record : history.epochs) epochs.push_back(static_cast<double>(record.epoch));
  for (const std::string& name : history.names()) {
    const detail::SplitName split = detail::split_name(name);
    if (split.pass.empty()) continue;
    const std::string title = detail::words(split.rest);
    auto chart = std::find_if(result.begin(), result.end(), [&](const Chart& c) { return c.title == title; });
    if (chart == result.end()) chart = result.insert(result.end(), Chart{.title = title, .curves = {}});
    chart->curves.push_back({split.pass, epochs, history.column(name)});
  }
  return result;
}

std::string plot(const std::vector<Chart>& charts, const PlotOptions& options) {
  if (options.width < narrowest) return "";
  const int beside = charts.size() > 1 && options.width >= 2 * (narrowest + 12) + gap ? 2 : 1;
  const int width = std::min(widest, (options.width - gap * (beside - 1)) / beside);
  std::vector<std::vector<Line>> drawn;
  for (const Chart& chart : charts) {
    if (auto lines = draw(chart, width, options); !lines.empty()) drawn.push_back(std::move(lines));
  }
  std::string result;
  for (std::size_t first = 0; first < drawn.size(); first += static_cast<std::size_t>(beside)) {
    const std::size_t end = std::min(drawn.size(), first + static_cast<std::size_t>(beside));
    for (std::size_t row = 0; row < drawn[first].size(); ++row) {
      std::string line;
      for (std::size_t c = first; c < end; ++c) {
        const Line& part = drawn[c][row];
        line += part.text;
        if (c + 1 < end) line += std::string(static_cast<std::size_t>(width - part.columns + gap), ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      result += line + '\n';
    }
  }
  return result;
}

std::string plot(const History& history, const PlotOptions& options) { return plot(charts(history), options); }

}  // namespace linseed::training
