#include <linseed/train/progress.hpp>

#include <array>

#include <doctest/doctest.h>
#include <linseed/nn/layers.hpp>
#include <linseed/nn/losses.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/train/listeners.hpp>

#include "folder.hpp"
#include "pseudo_terminal.hpp"
#include "support.hpp"
#include "train/table.hpp"
#include "train/terminal.hpp"

using namespace linseed;
using linseed::detail::columns_of;
using linseed::detail::progress_line;

TEST_CASE("a bar shows the share, the words, the rate and the time left") {
  const linseed::detail::ProgressView view{
      .label = "epoch 3/10", .words = "loss 0.4123", .done = 6100, .total = 10000, .seconds = 2.0};
  // 6100 in 2 s are 3050/s; 3900 more take 1.28 s.
  CHECK(progress_line(view, 100, false) ==
        "epoch 3/10 [==================>           ]  61%  loss 0.4123  3050/s  0:01 left");
  CHECK(progress_line(view, 100, true) ==
        "epoch 3/10 [━━━━━━━━━━━━━━━━━━╸           ]  61%  loss 0.4123  3050/s  0:01 left");
  // The bar takes what is left of width - 1 columns.
  CHECK(progress_line(view, 60, false) == "epoch 3/10 [=====>   ]  61%  loss 0.4123  3050/s  0:01 left");
  CHECK(progress_line(view, 50, false) == "epoch 3/10 [======>   ]  61%  loss 0.4123  3050/s");
  CHECK(progress_line(view, 40, false) == "epoch 3/10 [====>   ]  61%  loss 0.4123");
  CHECK(progress_line(view, 30, false) == "epoch 3/10  61%  loss 0.4123");
  CHECK(progress_line(view, 20, false) == "epoch 3/10  61%  lo");
  CHECK(progress_line(view, 0, false) == progress_line(view, 80, false));
  CHECK(progress_line({.label = "all", .words = {}, .done = 10, .total = 10, .seconds = 100.0}, 50, false) ==
        "all [====================] 100%  0.1/s  0:00 left");
  CHECK(progress_line({.label = "unknown", .words = {}, .done = 12, .total = 0, .seconds = 1.0}, 50, false) ==
        "unknown 12  12.0/s");
  CHECK(progress_line({.label = "none", .words = {}, .done = 0, .total = 9, .seconds = 0.0}, 50, false) ==
        "none [>                             ]   0%");
}

TEST_CASE("a bar is narrower than its terminal") {
  for (const std::int64_t done : {-5, 0, 1, 500, 999, 1000, 2000}) {
    for (int width = 1; width < 140; ++width) {
      const linseed::detail::ProgressView view{
          .label = "epoch", .words = "loss 0.4123", .done = done, .total = 1000, .seconds = 5000.0};
      for (const bool utf8 : {false, true})
        CHECK(static_cast<int>(columns_of(progress_line(view, width, utf8))) < width);
    }
  }
  CHECK(linseed::detail::clock_time(7.9) == "0:07");
  CHECK(linseed::detail::clock_time(3723) == "1:02:03");
  CHECK(linseed::detail::clock_time(1e300) == "99:59:59");
}

TEST_CASE("Progress is silent on what is no terminal") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  {
    Progress progress(file, "epoch 1", 10);
    for (int i = 0; i <= 10; ++i) progress.update(i, "loss 0.5");
    progress.clear();
    Progress empty(file, "nothing", 0);
    empty.update(0, "");
  }
  std::fflush(file);
  CHECK(std::ftell(file) == 0);
  std::fclose(file);
}

TEST_CASE("Progress counts from when the work began") {
  support::PseudoTerminal terminal(100, 24);
  {
    Progress progress(terminal.stream(), "epoch 1", 5010, /*seconds=*/10000.0);
    progress.update(5000, "");
  }
  const std::string text = terminal.read();
  CHECK(text.find("  0.5/s  0:20 left") != std::string::npos);
}

TEST_CASE("Progress draws on a terminal of any width and wipes itself away") {
  for (const int columns : {0, 1, 2, 40, 80}) {
    CAPTURE(columns);
    support::PseudoTerminal terminal(columns, 24);
    {
      Progress progress(terminal.stream(), "epoch 1", 10);
      progress.update(3, "loss 0.5");
      progress.update(10, "loss 0.25");
    }
    const std::string text = terminal.read();
    CHECK(text.starts_with("\r\033[K"));
    CHECK(text.ends_with("\r\033[K"));
    CHECK((text.find("100%") != std::string::npos) == (columns == 0 || columns >= 40));
  }
}

// ---- the console of fit ----

namespace {

const Array x = reshape(arange(10, float32) / 10, {10, 1});

training::FitResult run(std::vector<training::Listener> listeners) {
  const training::Data data{.train = {x, 2 * x}, .validation = training::Examples(x, 2 * x)};
  return training::fit(nn::Dense{.features = 1}, optim::sgd(0.1), data,
                       {.loss = nn::squared_error,
                        .epochs = 3,
                        .batch_size = 4,
                        .listeners = std::move(listeners),
                        .read_environment = false});
}

}  // namespace

TEST_CASE("the console writes whole lines where there is no terminal") {
  const support::Folder folder;
  std::FILE* file = std::fopen((folder / "out").c_str(), "w");
  REQUIRE(file != nullptr);
  const training::FitResult result = run({training::console({.stream = file})});
  std::fclose(file);
  const std::string text = folder.read("out");
  CHECK(text == to_table(result.history) + training::plot(result.history, {.width = 100, .height = 12}));
  CHECK(text.find('\033') == std::string::npos);
  CHECK(text.find('\r') == std::string::npos);

  file = std::fopen((folder / "out").c_str(), "w");
  REQUIRE(file != nullptr);
  (void)run({training::console({.stream = file, .table = false, .plot = false})});
  std::fclose(file);
  CHECK(folder.read("out").empty());
}

std::string last_line(const std::string& text) { return text.substr(text.rfind('\n', text.size() - 2) + 1); }

TEST_CASE("the console has bars, a table and a plot that stays below it on a terminal") {
  for (const int columns : {0, 1, 23, 80, 120}) {
    CAPTURE(columns);
    support::PseudoTerminal terminal(columns, 30);
    const training::FitResult result = run({training::console({.stream = terminal.stream()})});
    const std::string text = terminal.read();
    if (columns >= 80 || columns == 0) {
      CHECK(text.find("epoch 1/3 train") != std::string::npos);
      CHECK(text.find("epoch 3/3 validation") != std::string::npos);
    }
    // Each plot after the first replaces the one before: as many lines up as it had.
    const training::History two{{result.history.epochs.begin(), result.history.epochs.begin() + 2}};
    const std::string first = training::plot(two, {.width = columns == 0 ? 100 : columns - 1, .height = 12});
    const auto lines = std::count(first.begin(), first.end(), '\n');
    CHECK((lines > 0) == (columns != 1 && columns != 23));
    if (lines > 0) CHECK(text.find(fmt::format("\033[{}A\r\033[J", lines)) != std::string::npos);
    // The table has as many columns as fit; the epoch and the first score always.
    const std::string table = training::detail::Table(result.history.names(), static_cast<std::size_t>(columns))
                                  .row(result.history.epochs.back());
    CHECK((table == last_line(to_table(result.history))) == (columns == 0 || columns >= 80));
    CHECK(text.find(table.substr(0, table.size() - 1)) != std::string::npos);
    if (columns >= 14) CHECK(static_cast<int>(table.size()) - 1 <= columns);
  }
}

TEST_CASE("a plot is never taller than its terminal") {
  for (const int rows : {0, 5, 12, 18, 24}) {
    CAPTURE(rows);
    support::PseudoTerminal terminal(60, rows);
    training::FitOptions options{
        .loss = nn::squared_error,
        .metrics = {{"error", nn::squared_error}},  // a second chart, which stands below the first
        .epochs = 3,
        .listeners = {training::console({.stream = terminal.stream()})},
        .read_environment = false};
    (void)training::fit(nn::Dense{.features = 1}, optim::sgd(0.1), {.train = {x, 2 * x}}, options);
    const std::string text = terminal.read();
    const std::size_t jump = text.find("A\r\033[J");
    CHECK((jump != std::string::npos) ==
          (rows == 0 || rows >= 18));  // 2 charts of 4 lines and 3 around them, and 4 more
    if (jump == std::string::npos) continue;
    const int lines = std::stoi(text.substr(text.rfind('[', jump) + 1));
    CHECK(lines == (rows == 0 ? 30 : rows == 18 ? 14 : 20));
  }
}

TEST_CASE("listeners that write files keep up, and refuse places before the first step") {
  const support::Folder folder;
  bool seen = false;
  const auto look = [&](const training::Event& event) {
    if (event.when != training::When::epoch_end || event.epoch != 2) return;
    seen = true;
    CHECK(folder.read("h.csv") == to_csv(event.history));
    CHECK(folder.read("h.jsonl") == to_jsonl(event.history));
    CHECK(folder.read("h.svg") == svg(event.history));
    CHECK(folder.read("h.html") == html_report(event.history, {.title = "T"}));
  };
  const auto result =
      run({training::csv_file(folder / "h.csv"), training::jsonl_file(folder / "h.jsonl"),
           training::svg_file(folder / "h.svg"), training::html_report_file(folder / "h.html", {.title = "T"}),
           training::tensorboard(folder / "run"), look});
  CHECK(seen);
  CHECK(folder.names() == std::vector<std::string>{"h.csv", "h.html", "h.jsonl", "h.svg", "run"});
  CHECK(folder.read("h.jsonl") == to_jsonl(result.history));
  CHECK(std::filesystem::exists(folder / "run/train"));
  CHECK(std::filesystem::exists(folder / "run/validation"));

  std::int64_t steps = 0;
  const training::Listener count = [&](const training::Event& event) {
    steps += event.when == training::When::train_step ? 1 : 0;
  };
  for (const training::Listener& refused :
       {training::csv_file(folder / "no/h"), training::jsonl_file(folder / "no/h"), training::svg_file(folder / "no/h"),
        training::html_report_file(folder / "no/h"), training::tensorboard(folder / "h.csv/run")}) {
    CHECK(support::error_of<FileError>([&] { return run({count, refused}); }).find(folder.path()) != std::string::npos);
  }
  CHECK(steps == 0);
}
