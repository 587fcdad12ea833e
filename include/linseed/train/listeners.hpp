#pragma once

#include <cstdio>
#include <string>

#include <linseed/train/curves.hpp>
#include <linseed/train/fit.hpp>

// What listens to `fit`. Each writes when the run begins, so that a place that cannot be written to is a FileError
// before the first step, and keeps up with every epoch.

namespace linseed::training {

struct ConsoleOptions {
  std::FILE* stream = stdout;  ///< must outlive the run
  bool bars = true;            ///< on a terminal: a bar each for training and validation
  bool table = true;           ///< a line per epoch
  bool plot = true;            ///< curves: on a terminal redrawn after each epoch, elsewhere printed at the end
};
/// Bars, table and curves. On anything but a terminal only whole lines are written.
[[nodiscard]] Listener console(const ConsoleOptions& options = {});

/// The history as it grows, see write_csv, write_jsonl, write_svg and write_html_report.
[[nodiscard]] Listener csv_file(const std::string& path);
[[nodiscard]] Listener jsonl_file(const std::string& path);
[[nodiscard]] Listener svg_file(const std::string& path);
[[nodiscard]] Listener html_report_file(const std::string& path, const ReportOptions& options = {});

/// TensorBoard's event files in FOLDER/train and FOLDER/validation, so that their curves share charts: "loss" and the
/// metrics, over the number of updates; in FOLDER/train also "examples_per_second".
[[nodiscard]] Listener tensorboard(const std::string& folder);

}  // namespace linseed::training
