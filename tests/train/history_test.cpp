#include <linseed/train/history.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.hpp"
#include "golden/golden.hpp"
#include "support.hpp"
#include "train/table.hpp"

using namespace linseed;
using namespace linseed::training;
using support::error_of;

namespace {

const double nan = std::numeric_limits<double>::quiet_NaN();
const double infinity = std::numeric_limits<double>::infinity();

History two_epochs() {
  return {{{.epoch = 1, .scores = {{"train_loss", 0.1 + 0.2}, {"odd \"name\", \\ \n", nan}}},
           {.epoch = 2, .scores = {{"train_loss", 1e-300}, {"validation_loss", -infinity}}}}};
}

}  // namespace

TEST_CASE("a history is a table of scores") {
  const History history = two_epochs();
  CHECK(history.names() == std::vector<std::string>{"train_loss", "odd \"name\", \\ \n", "validation_loss"});
  CHECK(history.column("train_loss") == std::vector<double>{0.1 + 0.2, 1e-300});
  CHECK(std::isnan(history.column("validation_loss")[0]));
  CHECK(std::isnan(history.epochs[0].score("nothing")));
  CHECK(History().names().empty());
}

TEST_CASE("JSON Lines read back as the same numbers") {
  const std::string text = to_jsonl(two_epochs());
  std::istringstream lines(text);
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto first = golden::json::parse(line);
  CHECK(first.at("epoch") == 1);
  CHECK(first.at("train_loss").get<double>() == 0.1 + 0.2);
  CHECK(first.at("odd \"name\", \\ \n").is_null());
  REQUIRE(std::getline(lines, line));
  const auto second = golden::json::parse(line);
  CHECK(second.at("train_loss").get<double>() == 1e-300);
  CHECK(second.at("validation_loss").is_null());
  CHECK_FALSE(std::getline(lines, line));
  CHECK(to_json({.epoch = 3, .scores = {{"step", 12.0}}}) == R"({"epoch":3,"step":12})");
  CHECK(to_jsonl({}).empty());
}

TEST_CASE("CSV quotes what RFC 4180 wants quoted") {
  CHECK(to_csv(two_epochs()) ==
        "epoch,train_loss,\"odd \"\"name\"\", \\ \n\",validation_loss\n"
        "1,0.30000000000000004,nan,\n"
        "2,1e-300,,-inf\n");
  CHECK(to_csv({}) == "epoch\n");
}

TEST_CASE("the table names passes above their scores") {
  const History history = {{{.epoch = 9,
                             .scores = {{"train_loss", 0.25},
                                        {"train_top_5_accuracy", 1.0},
                                        {"validation_loss", 1234.5},
                                        {"examples_per_second", 12345.6},
                                        {"test_loss", 1.5e-7}}}}};
  CHECK(to_table(history) ==
        "       -------- train --------  - validation -  - test -\n"
        "epoch     loss  top 5 accuracy            loss      loss  examples/s\n"
        "    9   0.2500               1            1234  1.50e-07       12346\n");
  CHECK(to_table({}).empty());
  // Without passes there is one line of names.
  CHECK(to_table({{{.epoch = 1, .scores = {{"step", 3.0}}}}}) == "epoch     step\n    1        3\n");
}

TEST_CASE("a table within a width has the columns that fit") {
  const std::vector<std::string> names{"train_loss", "validation_loss", "step"};
  const auto lines = [&](std::size_t width) {
    const training::detail::Table table(names, width);
    return table.head() +
           table.row({.epoch = 1, .scores = {{"train_loss", 0.5}, {"validation_loss", 0.25}, {"step", 9.0}}});
  };
  const std::string whole =
      "       - train -  - validation -\n"
      "epoch       loss            loss     step\n"
      "    1     0.5000          0.2500        9\n";
  CHECK(lines(0) == whole);
  CHECK(lines(41) == whole);
  CHECK(lines(40) ==
        "       - train -  - validation -\n"
        "epoch       loss            loss\n"
        "    1     0.5000          0.2500\n");
  for (const std::size_t width : {31, 15, 1}) {
    CAPTURE(width);
    CHECK(lines(width) == "       - train -\nepoch       loss\n    1     0.5000\n");
  }
}

TEST_CASE("files are written completely or not at all") {
  const support::Folder folder;
  const std::string path = folder / "history.jsonl";
  write_jsonl(path, two_epochs());
  CHECK(folder.read("history.jsonl") == to_jsonl(two_epochs()));
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  const mode_t mask = umask(0);
  umask(mask);
  CHECK((status.st_mode & 0777) == (0666 & ~mask));

  // What is there keeps its rights; a link stays one.
  CHECK(chmod(path.c_str(), 0640) == 0);
  std::filesystem::create_symlink("history.jsonl", folder / "link");
  write_csv(folder / "link", two_epochs());
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(folder.read("history.jsonl") == to_csv(two_epochs()));
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  // Nothing else is left behind.
  CHECK(folder.names() == std::vector<std::string>{"history.jsonl", "link"});

  CHECK(error_of<FileError>([&] { write_jsonl(folder / "nowhere/history", {}); }) ==
        fmt::format(
            "[write_jsonl] The file cannot be written.\n  at: {}/nowhere/history\n  got: No such file or directory",
            folder.path()));
  CHECK(error_of<FileError>([&] { write_csv(folder.path(), {}); }) ==
        fmt::format("[write_csv] The file cannot be written.\n  at: {}\n  got: Is a directory", folder.path()));
  write_csv("/dev/null", two_epochs());
  CHECK(std::filesystem::is_character_file("/dev/null"));
  CHECK(error_of<FileError>([] { write_csv("/dev/full", two_epochs()); }) ==
        "[write_csv] The file cannot be written.\n  at: /dev/full\n  got: No space left on device");
}

TEST_CASE("JSON Lines grow by an epoch at a time") {
  const support::Folder folder;
  std::ofstream(folder / "h") << "of an earlier run";
  JsonlWriter writer(folder / "h");
  CHECK(folder.read("h").empty());
  const History history = two_epochs();
  writer.append(history.epochs[0]);
  CHECK(folder.read("h") == to_json(history.epochs[0]) + "\n");
  writer.append(history.epochs[1]);
  CHECK(folder.read("h") == to_jsonl(history));
  CHECK(folder.names() == std::vector<std::string>{"h"});
  CHECK(error_of<FileError>([&] {
          JsonlWriter(folder / "no/h");
        }).starts_with("[JsonlWriter] The file cannot be written.\n  at: "));

  // A pipe gets each line once.
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  JsonlWriter lines(fmt::format("/dev/fd/{}", ends[1]));
  for (const EpochRecord& record : history.epochs) lines.append(record);
  close(ends[1]);
  std::string got(4096, '\0');
  got.resize(static_cast<std::size_t>(read(ends[0], got.data(), got.size())));
  close(ends[0]);
  CHECK(got == to_jsonl(history));
}
