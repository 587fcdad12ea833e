#pragma once

#include <string>
#include <utility>
#include <vector>

#include <linseed/train/history.hpp>

namespace linseed::training {

/// Points joined by lines. Points that are not finite are left out.
struct Curve {
  std::string name;
  std::vector<double> x, y;
};

/// Curves over one pair of axes.
struct Chart {
  std::string title;
  std::vector<Curve> curves;
  std::string x_label = "epoch";
};

/// The curves of a history over its epochs: a chart "loss" with the curves "train" and "validation" from the scores
/// "train_loss" and "validation_loss", and so on. Scores without such a prefix are no curves.
[[nodiscard]] std::vector<Chart> charts(const History& history);

struct PlotOptions {
  int width = 80;      ///< no line has more columns; narrower than 24 gives an empty text
  int height = 10;     ///< lines between the axes of a chart, at least 2
  bool color = false;  ///< ANSI colours; without, curves after the first are dotted
};
/// Charts in Braille characters, each at most 60 columns wide, side by side where there is room. Ends with \n; empty
/// when there is nothing to draw.
[[nodiscard]] std::string plot(const std::vector<Chart>& charts, const PlotOptions& options = {});
[[nodiscard]] std::string plot(const History& history, const PlotOptions& options = {});

/// A picture of the charts, two side by side: one self-contained SVG, light or dark as the reader's system is.
[[nodiscard]] std::string svg(const std::vector<Chart>& charts);
[[nodiscard]] std::string svg(const History& history);
/// The same as a file, written completely or not at all. Throws FileError.
void write_svg(const std::string& path, const History& history);

struct ReportOptions {
  std::string title = "Training";
  std::vector<std::pair<std::string, std::string>> facts = {};  ///< what else to say: {"model", "LeNet"}
};
/// One self-contained HTML page, without scripts or anything fetched: the last and the best scores, a chart of inline
/// SVG per kind of score, a table of the epochs. Light or dark as the reader's system is.
[[nodiscard]] std::string html_report(const History& history, const ReportOptions& options = {});
/// The same as a file, written completely or not at all. Throws FileError.
void write_html_report(const std::string& path, const History& history, const ReportOptions& options = {});

}  // namespace linseed::training
