#include <linseed/train/event_writer.hpp>

#include <cstring>
#include <fstream>

#include <doctest/doctest.h>

#include "folder.hpp"
#include "support.hpp"
#include "train/crc32c.hpp"

using namespace linseed;
using support::error_of;
using training::EventWriter;
using training::detail::crc32c;
using training::detail::masked_crc32c;

namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

template <class T>
T read(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// The records of a file, whose checksums must be right.
std::vector<std::string> records(std::string_view bytes) {
  std::vector<std::string> result;
  while (!bytes.empty()) {
    REQUIRE(bytes.size() >= 16);
    const auto length = read<std::uint64_t>(bytes);
    CHECK(read<std::uint32_t>(bytes.substr(8)) == masked_crc32c(bytes.substr(0, 8)));
    REQUIRE(bytes.size() >= 16 + length);
    const std::string_view record = bytes.substr(12, length);
    CHECK(read<std::uint32_t>(bytes.substr(12 + length)) == masked_crc32c(record));
    result.emplace_back(record);
    bytes.remove_prefix(16 + length);
  }
  return result;
}

}  // namespace

TEST_CASE("crc32c gives the values of RFC 3720") {
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43U);
  std::string up, down;
  for (int i = 0; i < 32; ++i) up += static_cast<char>(i), down += static_cast<char>(31 - i);
  CHECK(crc32c(up) == 0x46dd794eU);
  CHECK(crc32c(down) == 0x113fdb5cU);
  CHECK(crc32c("123456789") == 0xe3069283U);
  CHECK(crc32c("") == 0U);
  // Those of TensorBoard.
  CHECK(masked_crc32c("123456789") == 0xc78ab0e5U);
  CHECK(masked_crc32c("") == 0xa282ead8U);
}

TEST_CASE("events are those that TensorBoard's protocol buffers give") {
  const support::Folder folder;
  EventWriter writer(folder / "deep/run");
  writer.scalar("loss", 300, 0.25);
  const std::string long_tag = "a/" + std::string(200, 'b');
  writer.scalar(long_tag, std::int64_t{1} << 40, -1e30);
  const std::string path = writer.path();
  CHECK(path.starts_with(folder / "deep/run/events.out.tfevents."));

  const auto got = records(folder.read(path.substr(folder.path().size() + 1)));
  // Event(wall_time=1.5, ...).SerializeToString() of TensorBoard 2.20, the time replaced.
  const std::string expected[] = {
      from_hex("09000000000000f83f1a0d627261696e2e4576656e743a32"),
      from_hex("09000000000000f83f10ac022a0d0a0b0a046c6f7373150000803e"),
      from_hex("09000000000000f83f108080808080202ad5010ad2010aca01") + long_tag + from_hex("15caf249f1")};
  REQUIRE(got.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    REQUIRE(got[i].size() == expected[i].size());
    CHECK(got[i].substr(0, 1) == expected[i].substr(0, 1));
    CHECK(got[i].substr(9) == expected[i].substr(9));
    const auto seconds = read<double>(std::string_view(got[i]).substr(1));
    CHECK(seconds == doctest::Approx(static_cast<double>(time(nullptr))).epsilon(1e-6));
  }
}

TEST_CASE("every writer has a file of its own, and says when there can be none") {
  const support::Folder folder;
  EventWriter first(folder.path());
  EventWriter second(folder.path());
  CHECK(first.path() != second.path());
  const std::string path = second.path();
  EventWriter moved = std::move(second);
  moved.scalar("x", 1, 2.0);
  CHECK(moved.path() == path);
  first = std::move(moved);
  first.scalar("x", 2, 3.0);
  CHECK(records(folder.read(std::filesystem::path(path).filename())).size() == 3);

  std::ofstream(folder / "file") << "precious";
  const std::string error = error_of<FileError>([&] { return EventWriter(folder / "file/run"); });
  CHECK(error == fmt::format("[EventWriter] The folder cannot be made.\n  at: {}/file/run\n  got: Not a directory",
                             folder.path()));
  CHECK(error_of<FileError>([&] { return EventWriter(folder / "file"); }).starts_with("[EventWriter] The f"));
  CHECK(folder.read("file") == "precious");
}
