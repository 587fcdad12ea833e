#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include <linseed/train/curves.hpp>

#include "train/atomic_file.hpp"
#include "train/table.hpp"
#include "train/terminal.hpp"
#include "train/ticks.hpp"

namespace linseed::training {

namespace {

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --page: #f6f6f4; --card: #ffffff; --ink: #16161a; --soft: #5c5c66; --line: #e4e4e0;
  --c0: #2469c4; --c1: #d9601f; --c2: #178a63; --c3: #8a4fc0; }
@media (prefers-color-scheme: dark) { :root { --page: #131316; --card: #1c1c20; --ink: #f1f1f3; --soft: #a0a0ab;
  --line: #303037; --c0: #5b9bf0; --c1: #f08a4b; --c2: #3fbf93; --c3: #b98ae6; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem 1.25rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; }
h1 { margin: 0; font-size: 1.6rem; font-weight: 650; letter-spacing: -0.01em; }
h2 { margin: 0; font-size: 1rem; font-weight: 600; }
.facts { margin: .35rem 0 0; color: var(--soft); }
.facts b { color: var(--ink); font-weight: 500; }
.grid { display: grid; gap: 1rem; margin-top: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.tiles { grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.25rem; }
.tile span { display: block; color: var(--soft); font-size: .82rem; }
.tile strong { display: block; margin: .1rem 0; font-size: 1.65rem; font-weight: 600; line-height: 1.25; }
.top { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: baseline; justify-content: space-between; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; color: var(--soft); font-size: .85rem; }
.legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; margin-right: .45rem; vertical-align: middle; }
.legend b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; margin-top: .75rem; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.mesh { stroke: var(--line); stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.point { stroke: var(--card); stroke-width: 2; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); }
.f0 { fill: var(--c0); background: var(--c0); } .f1 { fill: var(--c1); background: var(--c1); }
.f2 { fill: var(--c2); background: var(--c2); } .f3 { fill: var(--c3); background: var(--c3); }
.scroll { overflow-x: auto; margin-top: 1rem; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; }
)";

constexpr double view_width = 560, view_height = 300;
constexpr double left = 56, right = 18, top = 12, bottom = 40;  // margins
constexpr std::size_t palette = 4;
constexpr std::size_t few = 25;  // points that are shown one by one

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

/// The places of finite values.
std::vector<std::size_t> finite_points(const Curve& curve) {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < std::min(curve.x.size(), curve.y.size()); ++i) {
    if (std::isfinite(curve.x[i]) && std::isfinite(curve.y[i])) result.push_back(i);
  }
  return result;
}

/// Maps values of ticks to the drawing.
struct Axis {
  double low, high, from, to;
  [[nodiscard]] double operator()(double value) const {
    return from + (to - from) * (value / 2 - low / 2) / (high / 2 - low / 2);
  }
};

std::string svg(const Chart& chart) {
  double low_x = std::numeric_limits<double>::infinity(), high_x = -low_x, low_y = low_x, high_y = -low_x;
  for (const Curve& curve : chart.curves) {
    for (const std::size_t i : finite_points(curve)) {
      low_x = std::min(low_x, curve.x[i]);
      high_x = std::max(high_x, curve.x[i]);
      low_y = std::min(low_y, curve.y[i]);
      high_y = std::max(high_y, curve.y[i]);
    }
  }
  if (low_x > high_x) return "<p class=\"facts\">No finite values.</p>\n";
  const detail::Ticks ys = detail::ticks(low_y, high_y, 6), xs = detail::ticks(low_x, high_x, 8, /*whole=*/true);
  // The x axis ends with the data; its ticks outside are left out.
  const bool single = low_x == high_x;
  const Axis x{single ? low_x - 1 : low_x, single ? high_x + 1 : high_x, left, view_width - right};
  const Axis y{ys.low(), ys.high(), view_height - bottom, top};

  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", view_width, view_height,
                                escaped(chart.title + " by " + chart.x_label));
  for (std::size_t i = 0; i < ys.at.size(); ++i) {
    const double at = y(ys.at[i]);
    out += fmt::format("<line class=\"mesh\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", left,
                       view_width - right, at);
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 10, at + 4, ys.text[i]);
  }
  for (std::size_t i = 0; i < xs.at.size(); ++i) {
    if (xs.at[i] < low_x || xs.at[i] > high_x) continue;
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(xs.at[i]),
                       view_height - bottom + 20, xs.text[i]);
  }
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", (left + view_width - right) / 2,
                     view_height - 4, escaped(chart.x_label));

  for (std::size_t c = chart.curves.size(); c-- > 0;) {  // the first one on top
    const Curve& curve = chart.curves[c];
    const std::vector<std::size_t> points = finite_points(curve);
    std::string path, dots;
    for (std::size_t k = 0; k < points.size(); ++k) {
      const std::size_t i = points[k];
      const bool joined = k > 0 && points[k - 1] + 1 == i;
      path += fmt::format("{}{:.1f} {:.1f}", joined ? "L" : "M", x(curve.x[i]), y(curve.y[i]));
      if (points.size() > few && k + 1 < points.size()) continue;
      dots += fmt::format("<circle class=\"point f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", c % palette,
                          x(curve.x[i]), y(curve.y[i]));
    }
    if (!path.empty()) out += fmt::format("<path class=\"curve s{}\" d=\"{}\"/>{}\n", c % palette, path, dots);
  }
  return out + "</svg>\n";
}

std::string chart_card(const Chart& chart) {
  std::string legend;
  for (std::size_t c = 0; c < chart.curves.size(); ++c) {
    const Curve& curve = chart.curves[c];
    const std::vector<std::size_t> points = finite_points(curve);
    legend += fmt::format("<span><i class=\"f{}\"></i>{}{}</span>", c % palette, escaped(curve.name),
                          points.empty() ? "" : fmt::format(" <b>{}</b>", detail::display(curve.y[points.back()])));
  }
  return fmt::format(
      "<section class=\"card\"><div class=\"top\"><h2>{}</h2><div class=\"legend\">{}</div></div>\n{}</section>\n",
      escaped(chart.title), legend, svg(chart));
}

std::string tile(std::string_view label, std::string_view value, std::string_view note) {
  return fmt::format("<div class=\"card tile\"><span>{}</span><strong>{}</strong><span>{}</span></div>\n",
                     escaped(label), escaped(value), escaped(note));
}

/// The best value of the curve that tells most about new data.
std::string best_tile(const Chart& chart) {
  const Curve* chosen = nullptr;
  for (const std::string_view pass : {"validation", "test", "train"}) {
    const auto at =
        std::find_if(chart.curves.begin(), chart.curves.end(), [&](const Curve& c) { return c.name == pass; });
    if (chosen == nullptr && at != chart.curves.end()) chosen = &*at;
  }
  if (chosen == nullptr) return "";
  const bool falls = chart.title.find("loss") != std::string::npos || chart.title.find("error") != std::string::npos;
  std::optional<std::size_t> best;
  for (const std::size_t i : finite_points(*chosen)) {
    if (!best || (falls ? chosen->y[i] < chosen->y[*best] : chosen->y[i] > chosen->y[*best])) best = i;
  }
  if (!best) return "";
  return tile(fmt::format("{} {} {}", falls ? "lowest" : "highest", chosen->name, chart.title),
              detail::display(chosen->y[*best]), fmt::format("{} {}", chart.x_label, chosen->x[*best]));
}

std::string tiles(const History& history, const std::vector<Chart>& all) {
  std::string out;
  for (const Chart& chart : all) out += best_tile(chart);
  std::vector<double> rates = history.column("examples_per_second");
  std::erase_if(rates, [](double rate) { return !std::isfinite(rate); });
  if (!rates.empty()) {
    const auto middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
    std::nth_element(rates.begin(), middle, rates.end());
    out += tile("training speed", detail::display(std::round(*middle)), "examples per second, median");
  }
  double seconds = 0.0;
  for (const double part : history.column("seconds")) seconds += std::isfinite(part) ? part : 0.0;
  if (seconds > 0.0) {
    out += tile("training time", linseed::detail::clock_time(seconds),
                fmt::format("{} epoch{}", history.epochs.size(), history.epochs.size() == 1 ? "" : "s"));
  }
  return out;
}

std::string table(const History& history) {
  const std::vector<std::string> names = history.names();
  std::string out =
      "<section class=\"card\" style=\"margin-top:1rem\"><h2>epochs</h2><div "
      "class=\"scroll\"><table>\n<tr><th>epoch</th>";
  for (const std::string& name : names) out += fmt::format("<th>{}</th>", escaped(detail::words(name)));
  out += "</tr>\n";
  for (const EpochRecord& record : history.epochs) {
    out += fmt::format("<tr><td>{}</td>", record.epoch);
    for (const std::string& name : names) out += fmt::format("<td>{}</td>", detail::display(record.score(name)));
    out += "</tr>\n";
  }
  return out + "</table></div></section>\n";
}

}  // namespace

std::string html_report(const History& history, const ReportOptions& options) {
  std::string facts;
  for (const auto& [name, value] : options.facts) {
    facts += fmt::format("{}{} <b>{}</b>", facts.empty() ? "" : " · ", escaped(name), escaped(value));
  }
  std::string body = fmt::format("<h1>{}</h1>\n<p class=\"facts\">{}</p>\n", escaped(options.title), facts);
  if (history.epochs.empty()) {
    body += "<p>No epoch is finished yet.</p>\n";
  } else {
    const std::vector<Chart> all = charts(history);
    body += fmt::format("<div class=\"grid tiles\">\n{}</div>\n<div class=\"grid\">\n", tiles(history, all));
    for (const Chart& chart : all) body += chart_card(chart);
    body += "</div>\n" + table(history);
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      escaped(options.title), style, body);
}

void write_html_report(const std::string& path, const History& history, const ReportOptions& options) {
  detail::write_file("write_html_report", path, html_report(history, options));
}

}  // namespace linseed::training
