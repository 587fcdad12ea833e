#include <linseed/train/listeners.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include <linseed/train/event_writer.hpp>
#include <linseed/train/progress.hpp>

#include "train/table.hpp"
#include "train/terminal.hpp"

namespace linseed::training {

namespace {

using linseed::detail::terminal_size;

constexpr int piped_width = 100;
constexpr int tallest_plot = 12;
constexpr int shortest_plot = 4;
constexpr int other_lines = 4;  // of a terminal: a little of the table, and the bar

class Console {
 public:
  explicit Console(const ConsoleOptions& options)
      : options_(options), is_terminal_(linseed::detail::is_terminal(options.stream)) {}

  void operator()(const Event& event) {
    switch (event.when) {
      case When::run_begin: break;
      case When::epoch_begin: seen_ = 0; break;
      case When::train_step: move_bar(event, "train"); break;
      case When::validation_step: move_bar(event, "validation"); break;
      case When::epoch_end: end_epoch(event.history); break;
      case When::run_end: end_run(event.history); break;
    }
  }

 private:
  void move_bar(const Event& event, std::string_view pass) {
    if (!options_.bars || !is_terminal_) return;
    if (!bar_ || event.examples <= seen_) {  // another pass
      bar_.reset();
      bar_ =
          std::make_shared<Progress>(options_.stream, fmt::format("epoch {}/{} {:10}", event.epoch, event.epochs, pass),
                                     event.total, event.seconds);
    }
    seen_ = event.examples;
    bar_->update(event.examples, fmt::format("loss {}", detail::display(event.scores.front().value)));
  }

  void end_epoch(const History& history) {
    bar_.reset();
    erase_plot();
    if (options_.table) {
      if (!table_) {
        const int columns = is_terminal_ ? terminal_size(options_.stream).columns : 0;
        table_.emplace(history.names(), static_cast<std::size_t>(columns));
        write(table_->head());
      }
      write(table_->row(history.epochs.back()));
    }
    if (options_.plot && is_terminal_ && history.epochs.size() > 1) show_fitting_plot(history);
    std::fflush(options_.stream);
  }

  void end_run(const History& history) {
    bar_.reset();
    if (options_.plot && !is_terminal_ && history.epochs.size() > 1) {
      write(plot(history, {.width = piped_width, .height = tallest_plot}));
    }
    std::fflush(options_.stream);
  }

  /// The tallest plot that does not scroll: what has left the terminal cannot be erased.
  void show_fitting_plot(const History& history) {
    const auto [columns, rows] = terminal_size(options_.stream);
    const int width = columns > 0 ? columns - 1 : piped_width;
    for (int height = tallest_plot; height >= shortest_plot; --height) {
      const std::string text = plot(history, {.width = width, .height = height, .color = true});
      const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
      if (rows > 0 && lines > rows - other_lines) continue;
      plot_lines_ = lines;
      return write(text);
    }
  }

  void erase_plot() {
    if (plot_lines_ > 0) write(fmt::format("\033[{}A\r\033[J", plot_lines_));
    plot_lines_ = 0;
  }

  void write(const std::string& text) { std::fputs(text.c_str(), options_.stream); }

  ConsoleOptions options_;
  bool is_terminal_;
  std::shared_ptr<Progress> bar_;  // shared, because listeners are copied
  std::int64_t seen_ = 0;
  std::optional<detail::Table> table_;  // as wide as the terminal was when it began
  int plot_lines_ = 0;
};

/// Writes the whole history when the run begins and after each epoch.
template <class Write>
Listener rewriting(Write write) {
  return [write = std::move(write)](const Event& event) {
    if (event.when == When::run_begin || event.when == When::epoch_end) write(event.history);
  };
}

class EventFiles {
 public:
  explicit EventFiles(std::string folder) : folder_(std::move(folder)) {}

  void operator()(const Event& event) {
    if (event.when == When::run_begin) train_ = open("train");
    if (event.when != When::epoch_end) return;
    const EpochRecord& record = event.history.epochs.back();
    const auto step = static_cast<std::int64_t>(record.score("step"));
    for (const Score& score : record.scores) {
      const detail::SplitName name = detail::split_name(score.name);
      if (name.pass == "train") train_->scalar(name.rest, step, score.value);
      if (name.pass == "validation") {
        if (!validation_) validation_ = open("validation");
        validation_->scalar(name.rest, step, score.value);
      }
      if (score.name == "examples_per_second") train_->scalar(score.name, step, score.value);
    }
  }

 private:
  [[nodiscard]] std::shared_ptr<EventWriter> open(std::string_view name) const {
    return std::make_shared<EventWriter>(fmt::format("{}/{}", folder_, name));
  }

  std::string folder_;
  std::shared_ptr<EventWriter> train_, validation_;
};

}  // namespace

Listener console(const ConsoleOptions& options) { return Console(options); }

Listener csv_file(const std::string& path) {
  return rewriting([path](const History& history) { write_csv(path, history); });
}

Listener jsonl_file(const std::string& path) {
  return [path, writer = std::shared_ptr<JsonlWriter>()](const Event& event) mutable {
    if (event.when == When::run_begin) {
      writer = std::make_shared<JsonlWriter>(path);
      for (const EpochRecord& record : event.history.epochs) writer->append(record);
    }
    if (event.when == When::epoch_end) writer->append(event.history.epochs.back());
  };
}

Listener svg_file(const std::string& path) {
  return rewriting([path](const History& history) { write_svg(path, history); });
}

Listener html_report_file(const std::string& path, const ReportOptions& options) {
  return rewriting([path, options](const History& history) { write_html_report(path, history, options); });
}

Listener tensorboard(const std::string& folder) { return EventFiles(folder); }

}  // namespace linseed::training
