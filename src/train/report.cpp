#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include <linseed/train/curves.hpp>

#include "train/atomic_file.hpp"
#include "train/svg.hpp"
#include "train/table.hpp"
#include "train/terminal.hpp"

namespace linseed::training {

namespace {

constexpr std::string_view style = R"(
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

using detail::escaped;
using detail::finite_points;

/// The colours as variables of CSS; `page` lies behind the cards.
std::string variables(const detail::Palette& palette, std::string_view page) {
  std::string css = fmt::format("--page: {}; --card: {}; --ink: {}; --soft: {}; --line: {};", page, palette.card,
                                palette.ink, palette.soft, palette.line);
  for (std::size_t c = 0; c < palette.curves.size(); ++c) css += fmt::format(" --c{}: {};", c, palette.curves[c]);
  return css;
}

std::string inline_svg(const Chart& chart) {
  const std::string curves = detail::drawing(chart);
  if (curves.empty()) return "<p class=\"facts\">No finite values.</p>\n";
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", detail::chart_width,
                     detail::chart_height, escaped(chart.title + " by " + chart.x_label), curves);
}

std::string chart_card(const Chart& chart) {
  std::string legend;
  for (std::size_t c = 0; c < chart.curves.size(); ++c) {
    const Curve& curve = chart.curves[c];
    const std::vector<std::size_t> points = finite_points(curve);
    legend +=
        fmt::format("<span><i class=\"f{}\"></i>{}{}</span>", c % detail::light.curves.size(), escaped(curve.name),
                    points.empty() ? "" : fmt::format(" <b>{}</b>", detail::display(curve.y[points.back()])));
  }
  return fmt::format(
      "<section class=\"card\"><div class=\"top\"><h2>{}</h2><div class=\"legend\">{}</div></div>\n{}</section>\n",
      escaped(chart.title), legend, inline_svg(chart));
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
      "<title>{}</title>\n<style>\n:root {{ color-scheme: light dark; {} }}\n"
      "@media (prefers-color-scheme: dark) {{ :root {{ {} }} "
      "}}{}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      escaped(options.title), variables(detail::light, "#f6f6f4"), variables(detail::dark, "#131316"), style, body);
}

void write_html_report(const std::string& path, const History& history, const ReportOptions& options) {
  detail::write_file("write_html_report", path, html_report(history, options));
}

}  // namespace linseed::training
