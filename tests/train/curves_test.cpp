#include <linseed/train/curves.hpp>

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "folder.hpp"
#include "support.hpp"
#include "train/terminal.hpp"
#include "train/ticks.hpp"

using namespace linseed;
using namespace linseed::training;
using linseed::detail::columns_of;

namespace {

History falling(int epochs) {
  History history;
  for (int i = 1; i <= epochs; ++i) {
    history.epochs.push_back({.epoch = i,
                              .scores = {{"train_loss", 2.0 / i},
                                         {"train_accuracy", 1.0 - 0.5 / i},
                                         {"validation_loss", 2.5 / i},
                                         {"validation_accuracy", 0.9 - 0.5 / i},
                                         {"examples_per_second", 1000.0 + i},
                                         {"seconds", 2.0}}});
  }
  return history;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    REQUIRE(end != std::string::npos);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t result = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++result;
  return result;
}

std::string without_colors(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      i = text.find('m', i);
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

TEST_CASE("ticks are round numbers around the data") {
  const auto text = [](double low, double high, int number, bool whole = false) {
    return training::detail::ticks(low, high, number, whole).text;
  };
  CHECK(text(0.0, 1.0, 6) == std::vector<std::string>{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
  CHECK(text(0.26, 2.4, 6) == std::vector<std::string>{"0.0", "0.5", "1.0", "1.5", "2.0", "2.5"});
  CHECK(text(-3.0, 7.0, 4) == std::vector<std::string>{"-5", "0", "5", "10"});
  CHECK(text(1, 4, 8, true) == std::vector<std::string>{"1", "2", "3", "4"});
  CHECK(text(1, 100, 6, true) == std::vector<std::string>{"0", "20", "40", "60", "80", "100"});
  CHECK(text(0.001, 0.002, 3) == std::vector<std::string>{"0.0010", "0.0015", "0.0020"});
  CHECK(text(0.0, 3e8, 4) == std::vector<std::string>{"0", "1e+08", "2e+08", "3e+08"});
  for (const double value : {0.0, 1.0, -2.5, 1e-12, 1e300, 1e-300, -1e300}) {
    CAPTURE(value);
    const auto ticks = training::detail::ticks(value, value, 5);
    CHECK(ticks.at.size() >= 2);
    CHECK(ticks.low() <= value);
    CHECK(ticks.high() >= value);
  }
  const double most = std::numeric_limits<double>::max();
  CHECK(training::detail::ticks(-most / 4, most / 4, 5).at.size() >= 2);
}

TEST_CASE("scores that share words share a chart") {
  const std::vector<Chart> all = charts(falling(3));
  REQUIRE(all.size() == 2);
  CHECK(all[0].title == "loss");
  CHECK(all[1].title == "accuracy");
  REQUIRE(all[1].curves.size() == 2);
  CHECK(all[1].curves[1].name == "validation");
  CHECK(all[1].curves[1].x == std::vector<double>{1, 2, 3});
  CHECK(all[1].curves[1].y == std::vector<double>{0.9 - 0.5, 0.9 - 0.25, 0.9 - 0.5 / 3});
}

TEST_CASE("a plot draws what the numbers are") {
  // A line from the lower left to the upper right corner: dot (x, y) with y = x on a canvas of 8 by 8 dots.
  const Chart diagonal{.title = "y", .curves = {{.name = "up", .x = {0, 7}, .y = {0, 10}}}};
  const std::vector<std::string> lines = lines_of(plot({diagonal}, {.width = 24, .height = 2}));
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] == "y   ── up 10");
  CHECK(lines[1].starts_with("10 ┤"));
  CHECK(lines[2].starts_with(" 0 ┤⣀"));
  CHECK(lines[1].ends_with("⠉"));
  CHECK(lines[3].starts_with("   └─"));
  CHECK(lines[4] == "    0      epoch       7");
  // 44 columns less a label and the axis leave 41; the second curve is dotted, two of four dots.
  const Chart two{.title = "y",
                  .curves = {{.name = "a", .x = {0, 1}, .y = {1, 1}}, {.name = "b", .x = {0, 1}, .y = {0, 0}}}};
  const std::vector<std::string> flat = lines_of(plot({two}, {.width = 44, .height = 2}));
  const std::size_t solid = count(flat[1], "⠉"), dotted = count(flat[2], "⣀");
  CHECK(solid == 41);
  CHECK(dotted == 21);
}

TEST_CASE("no line of a plot is wider than it may be") {
  for (int width = -3; width <= 140; ++width) {
    CAPTURE(width);
    const std::string text = plot(falling(12), {.width = width, .height = 6});
    CHECK(text.empty() == (width < 24));
    for (const std::string& line : lines_of(text)) CHECK(static_cast<int>(columns_of(line)) <= width);
    const std::string colored = plot(falling(12), {.width = width, .height = 6, .color = true});
    for (const std::string& line : lines_of(without_colors(colored)))
      CHECK(static_cast<int>(columns_of(line)) <= width);
  }
  // Side by side where there is room, else below each other.
  CHECK(lines_of(plot(falling(12), {.width = 100, .height = 6})).size() == 9);
  CHECK(lines_of(plot(falling(12), {.width = 60, .height = 6})).size() == 18);
}

TEST_CASE("plots and reports take what histories may hold") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  CHECK(plot(History()).empty());
  const History nothing = {
      {{.epoch = 1, .scores = {{"train_loss", nan}}}, {.epoch = 2, .scores = {{"train_loss", infinity}}}}};
  CHECK(plot(nothing).empty());
  CHECK(html_report(nothing).find("No finite values.") != std::string::npos);
  CHECK(html_report({}).find("No epoch is finished yet.") != std::string::npos);
  const History single = falling(1);
  CHECK(lines_of(plot(single, {.width = 40, .height = 3})).size() == 12);
  CHECK(html_report(single).find("nan") == std::string::npos);
  History gaps = falling(9);
  gaps.epochs[4].scores[0].value = nan;
  gaps.epochs[5].scores[2].value = -infinity;
  CHECK(plot(gaps).find("nan") == std::string::npos);
  const std::string page = html_report(gaps);
  for (std::size_t at = page.find("<path"); at != std::string::npos; at = page.find("<path", at + 1)) {
    const std::string path = page.substr(at, page.find("/>", at) - at);
    CHECK(path.find("nan") == std::string::npos);
    CHECK(path.find("inf") == std::string::npos);
  }
  // The line is broken where a point is missing.
  CHECK(count(page, "M") >= 6);
  for (const double size : {1e300, 1e-300}) {
    const History extreme = {
        {{.epoch = 1, .scores = {{"train_loss", -size}}}, {.epoch = 2, .scores = {{"train_loss", size}}}}};
    CHECK(lines_of(plot(extreme, {.width = 60, .height = 4})).size() == 7);
    CHECK(html_report(extreme).find("nan") == std::string::npos);
  }
}

/// Every element that is opened is closed, in order.
bool is_well_formed(const std::string& page) {
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    const std::size_t end = page.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = page.substr(at + 1, end - at - 1);
    if (tag.back() == '/') continue;
    if (tag.front() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    } else if (open.empty() || open.back() != tag.substr(1)) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

TEST_CASE("a picture has the numbers as paths") {
  const Chart diagonal{.title = "y < 1", .curves = {{.name = "up & on", .x = {0, 7}, .y = {0, 10}}}};
  const std::string one = svg({diagonal});
  // From the lower left corner of the axes to the upper right one.
  CHECK(one.find("<path class=\"curve s0\" d=\"M56.0 260.0L542.0 12.0\"/>") != std::string::npos);
  CHECK(one.find(">y &lt; 1</text>") != std::string::npos);
  CHECK(one.find("</tspan> up &amp; on <tspan class=\"last\">10</tspan>") != std::string::npos);
  CHECK(is_well_formed(one));
  CHECK_FALSE(is_well_formed(one + "<g>"));
  // Two charts stand side by side, a third one below.
  const std::string two = svg(falling(30));
  CHECK(two.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"356\""));
  CHECK(count(two, "<path class=\"curve") == 4);
  CHECK(svg({diagonal, diagonal, diagonal}).find("width=\"1200\" height=\"728\"") != std::string::npos);
  CHECK(two.find("prefers-color-scheme:dark") != std::string::npos);
  CHECK(is_well_formed(two));

  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string nothing = svg(History{{{.epoch = 1, .scores = {{"train_loss", nan}}}}});
  CHECK(nothing.find("No finite values.") != std::string::npos);
  CHECK(svg(History()).find("No epoch is finished yet.") != std::string::npos);
  CHECK(is_well_formed(svg(History())));
  CHECK(is_well_formed(nothing));

  const support::Folder folder;
  write_svg(folder / "curves.svg", falling(3));
  CHECK(folder.read("curves.svg") == svg(falling(3)));
  CHECK(support::error_of<FileError>([&] {
          write_svg(folder / "no/curves.svg", {});
        }).starts_with("[write_svg] The file cannot be written.\n  at: "));
}

TEST_CASE("a report is one page without anything from elsewhere") {
  const std::string page = html_report(falling(30), {.title = "A < B & \"C\"", .facts = {{"model", "<i>"}}});
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK(page.find("<title>A &lt; B &amp; &quot;C&quot;</title>") != std::string::npos);
  CHECK(page.find("model <b>&lt;i&gt;</b>") != std::string::npos);
  for (const char* outside : {"http", "<script", "<link", "url(", "@import"})
    CHECK(page.find(outside) == std::string::npos);
  CHECK(count(page, "<svg ") == 2);
  CHECK(count(page, "<path class=\"curve") == 4);
  CHECK(count(page, "<tr>") == 31);
  CHECK(page.find("lowest validation loss</span><strong>0.0833</strong><span>epoch 30") != std::string::npos);
  CHECK(page.find("highest validation accuracy</span><strong>0.8833</strong><span>epoch 30") != std::string::npos);
  CHECK(page.find("<strong>1:00</strong><span>30 epochs") != std::string::npos);
  CHECK(page.find("<strong>1016</strong>") != std::string::npos);
  CHECK(page.find("prefers-color-scheme: dark") != std::string::npos);
  const std::size_t body = page.find("<body>");
  CHECK(is_well_formed(page.substr(body, page.find("</html>") - body)));
  const support::Folder folder;
  write_html_report(folder / "report.html", falling(30), {.title = "A < B & \"C\"", .facts = {{"model", "<i>"}}});
  CHECK(folder.read("report.html") == page);
  CHECK(support::error_of<FileError>([&] {
          write_html_report(folder / "no/report.html", {});
        }).starts_with("[write_html_report] The file cannot be written.\n  at: "));
}
