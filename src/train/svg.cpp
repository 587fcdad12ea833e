#include "train/svg.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "train/atomic_file.hpp"
#include "train/table.hpp"
#include "train/ticks.hpp"

namespace linseed::training {

namespace {

constexpr int left = 56, right = 18, top = 12, bottom = 40;  // margins of a drawing
constexpr std::size_t few = 25;                              // points that are shown one by one
constexpr std::size_t number_of_colors = detail::light.curves.size();

/// Maps values of ticks to the drawing.
struct Axis {
  double low, high, from, to;
  [[nodiscard]] double operator()(double value) const {
    return from + (to - from) * (value / 2 - low / 2) / (high / 2 - low / 2);
  }
};

// Of a picture by itself: cards with a title and a legend above each drawing.
constexpr int gap = 16, head = 40, columns = 2;
constexpr int card_width = detail::chart_width + 2 * gap, card_height = head + detail::chart_height + gap;

std::string colors(const detail::Palette& palette) {
  std::string css = fmt::format(
      ".card{{fill:{};stroke:{}}}.title,.last{{fill:{}}}text{{fill:{}}}.mesh{{stroke:{}}}.point{{stroke:{}}}\n",
      palette.card, palette.line, palette.ink, palette.soft, palette.line, palette.card);
  for (std::size_t c = 0; c < number_of_colors; ++c) {
    css += fmt::format(".s{0}{{stroke:{1}}}.f{0}{{fill:{1}}}", c, palette.curves[c]);
  }
  return css + "\n";
}

std::string card(const Chart& chart, int x, int y) {
  std::string out = fmt::format(
      "<g transform=\"translate({} {})\">\n<rect class=\"card\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" "
      "rx=\"12\"/>\n<text class=\"title\" x=\"{}\" y=\"30\">{}</text>\n",
      x, y, card_width - 1, card_height - 1, gap, detail::escaped(chart.title));
  // One text that ends at the right border: no widths of letters need be known.
  std::string legend;
  for (std::size_t c = 0; c < chart.curves.size(); ++c) {
    const std::vector<std::size_t> points = detail::finite_points(chart.curves[c]);
    legend += fmt::format("<tspan class=\"f{}\">{}\u25cf</tspan> {}", c % number_of_colors, c == 0 ? "" : "\u2003",
                          detail::escaped(chart.curves[c].name));
    if (points.empty()) continue;
    legend += fmt::format(" <tspan class=\"last\">{}</tspan>", detail::display(chart.curves[c].y[points.back()]));
  }
  out += fmt::format("<text x=\"{}\" y=\"30\" text-anchor=\"end\">{}</text>\n", card_width - gap - right, legend);
  const std::string curves = detail::drawing(chart);
  return out +
         (curves.empty() ? fmt::format("<text x=\"{}\" y=\"{}\">No finite values.</text>\n", gap, head + 3 * gap)
                         : fmt::format("<g transform=\"translate({} {})\">\n{}</g>\n", gap, head, curves)) +
         "</g>\n";
}

}  // namespace

namespace detail {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      default: result += c;
    }
  }
  return result;
}

std::vector<std::size_t> finite_points(const Curve& curve) {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < std::min(curve.x.size(), curve.y.size()); ++i) {
    if (std::isfinite(curve.x[i]) && std::isfinite(curve.y[i])) result.push_back(i);
  }
  return result;
}

std::string drawing(const Chart& chart) {
  double low_x = std::numeric_limits<double>::infinity(), high_x = -low_x, low_y = low_x, high_y = -low_x;
  for (const Curve& curve : chart.curves) {
    for (const std::size_t i : finite_points(curve)) {
      low_x = std::min(low_x, curve.x[i]);
      high_x = std::max(high_x, curve.x[i]);
      low_y = std::min(low_y, curve.y[i]);
      high_y = std::max(high_y, curve.y[i]);
    }
  }
  if (low_x > high_x) return "";
  const Ticks ys = ticks(low_y, high_y, 6), xs = ticks(low_x, high_x, 8, /*whole=*/true);
  // The x axis ends with the data; its ticks outside are left out.
  const bool single = low_x == high_x;
  const Axis x{single ? low_x - 1 : low_x, single ? high_x + 1 : high_x, left, chart_width - right};
  const Axis y{ys.low(), ys.high(), chart_height - bottom, top};

  std::string out;
  for (std::size_t i = 0; i < ys.at.size(); ++i) {
    const double at = y(ys.at[i]);
    out += fmt::format("<line class=\"mesh\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", left,
                       chart_width - right, at);
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 10, at + 4, ys.text[i]);
  }
  for (std::size_t i = 0; i < xs.at.size(); ++i) {
    if (xs.at[i] < low_x || xs.at[i] > high_x) continue;
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(xs.at[i]),
                       chart_height - bottom + 20, xs.text[i]);
  }
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", (left + chart_width - right) / 2,
                     chart_height - 4, escaped(chart.x_label));

  for (std::size_t c = chart.curves.size(); c-- > 0;) {  // the first one on top
    const Curve& curve = chart.curves[c];
    const std::vector<std::size_t> points = finite_points(curve);
    const std::size_t color = c % number_of_colors;
    std::string path, dots;
    for (std::size_t k = 0; k < points.size(); ++k) {
      const std::size_t i = points[k];
      const bool joined = k > 0 && points[k - 1] + 1 == i;
      path += fmt::format("{}{:.1f} {:.1f}", joined ? "L" : "M", x(curve.x[i]), y(curve.y[i]));
      if (points.size() > few && k + 1 < points.size()) continue;
      dots += fmt::format("<circle class=\"point f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", color, x(curve.x[i]),
                          y(curve.y[i]));
    }
    if (!path.empty()) out += fmt::format("<path class=\"curve s{}\" d=\"{}\"/>{}\n", color, path, dots);
  }
  return out;
}

}  // namespace detail

std::string svg(const std::vector<Chart>& charts) {
  const int across = std::clamp(static_cast<int>(charts.size()), 1, columns);
  const int down = std::max(1, (static_cast<int>(charts.size()) + columns - 1) / columns);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" font-size=\"12\" "
      "font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\">\n<style>\n"
      ".title{{font-size:16px;font-weight:600}}.last{{font-weight:600}}.curve{{fill:none;stroke-width:2;"
      "stroke-linejoin:round;stroke-linecap:round}}.point{{stroke-width:2}}\n"
      "{2}@media (prefers-color-scheme:dark){{\n{3}}}\n</style>\n",
      across * (card_width + gap) - gap, down * (card_height + gap) - gap, colors(detail::light), colors(detail::dark));
  if (charts.empty()) out += card({.title = "No epoch is finished yet.", .curves = {}}, 0, 0);
  for (std::size_t i = 0; i < charts.size(); ++i) {
    const int column = static_cast<int>(i) % columns, row = static_cast<int>(i) / columns;
    out += card(charts[i], column * (card_width + gap), row * (card_height + gap));
  }
  return out + "</svg>\n";
}

std::string svg(const History& history) { return svg(charts(history)); }

void write_svg(const std::string& path, const History& history) { detail::write_file("write_svg", path, svg(history)); }

}  // namespace linseed::training
