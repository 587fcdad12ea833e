#include <linseed/data/idx.hpp>

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>

#include <doctest/doctest.h>

#include "data/files.hpp"
#include "folder.hpp"
#include "support.hpp"

using namespace linseed;
using namespace linseed::tests;
using support::error_of;

namespace {

std::string refusal(const std::string& path) {
  return error_of<FileError>([&] { (void)data::read_idx(path); });
}

bool holds(const Array& array, const Shape& shape, std::string_view bytes) {
  const auto elements =
      array.dtype() == uint8 && array.shape() == shape ? array.data<std::uint8_t>() : std::span<const std::uint8_t>();
  return std::equal(elements.begin(), elements.end(), bytes.begin(), bytes.end(),
                    [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); });
}

}  // namespace

TEST_CASE("read_idx reads plain and compressed files, whatever their names say") {
  const support::Folder folder;
  const std::string elements = counting_bytes(2 * 3 * 4);
  const std::string file = idx_header({2, 3, 4}) + elements;
  CHECK(holds(data::read_idx(folder.write("plain", file)), {2, 3, 4}, elements));
  CHECK(holds(data::read_idx(folder.write("plain.gz", file)), {2, 3, 4}, elements));
  CHECK(holds(data::read_idx(folder.write("packed", gzipped(file))), {2, 3, 4}, elements));
  CHECK(holds(data::read_idx(folder.write("packed.gz", gzipped(file))), {2, 3, 4}, elements));
}

TEST_CASE("read_idx takes every rank from 1 to 8, and empty arrays") {
  const support::Folder folder;
  for (std::size_t rank = 1; rank <= max_rank; ++rank) {
    CAPTURE(rank);
    const Shape shape = Shape::filled(static_cast<int>(rank), 2);
    const std::string elements = counting_bytes(std::size_t{1} << rank);
    CHECK(holds(data::read_idx(folder.write("f", idx_header(std::vector<std::uint32_t>(rank, 2)) + elements)), shape,
                elements));
  }
  CHECK(data::read_idx(folder.write("f", idx_header({0, 28, 28}))).shape() == Shape{0, 28, 28});
  CHECK(data::read_idx(folder.write("f", gzipped(idx_header({4294967295u, 0, 28})))).size() == 0);
}

TEST_CASE("read_idx reads more than its buffers hold at once") {
  const support::Folder folder;
  std::string noise(300001, '\0');
  std::mt19937 generator(1);
  for (char& byte : noise) byte = static_cast<char>(generator());
  CHECK(holds(data::read_idx(folder.write("f", idx_header({300001}) + noise)), {300001}, noise));
  CHECK(holds(data::read_idx(folder.write("f", gzipped(idx_header({300001}) + noise))), {300001}, noise));
  // Far more than four times the file: the buffer has to grow.
  const std::string zeros(5000000, '\0');
  CHECK(holds(data::read_idx(folder.write("f", gzipped(idx_header({5, 1000000}) + zeros))), {5, 1000000}, zeros));
}

TEST_CASE("read_idx reads gzip files of several members") {
  const support::Folder folder;
  const std::string elements = counting_bytes(10);
  const std::string file = idx_header({10}) + elements;
  CHECK(holds(data::read_idx(folder.write("f", gzipped(file.substr(0, 6)) + gzipped(file.substr(6)))), {10}, elements));
}

TEST_CASE("read_idx refuses what is not a readable file") {
  const support::Folder folder;
  const std::string missing = folder / "missing";
  CHECK(refusal(missing) == fmt::format("[read_idx] The file does not exist.\n  at: {}", missing));
  CHECK(refusal(missing + "/below") == fmt::format("[read_idx] The file does not exist.\n  at: {}/below", missing));
  CHECK(refusal("") == "[read_idx] The file does not exist.");
  CHECK(refusal(folder.path()) == fmt::format("[read_idx] This is not a file.\n  at: {}\n  got: a folder\n"
                                              "  expected: an IDX file, plain or compressed with gzip",
                                              folder.path()));
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(refusal(folder / "pipe") == fmt::format("[read_idx] This is not a file.\n  at: {}\n  got: a device or a pipe\n"
                                                "  expected: an IDX file, plain or compressed with gzip",
                                                folder / "pipe"));
  const std::string closed = folder.write("closed", idx_header({0}));
  REQUIRE(chmod(closed.c_str(), 0) == 0);
  if (geteuid() != 0) {  // root reads everything
    CHECK(refusal(closed) ==
          fmt::format("[read_idx] The file cannot be read.\n  at: {}\n  got: Permission denied", closed));
  }
}

TEST_CASE("read_idx refuses other formats") {
  const support::Folder folder;
  const std::string zip = folder.write("zip", "PK\x03\x04 and so on");
  CHECK(refusal(zip) == fmt::format("[read_idx] This is not an IDX file.\n  at: {}\n  got: first bytes 50 4b 03 04\n"
                                    "  expected: 00 00 08 (IDX) or 1f 8b (gzip)",
                                    zip));
  const std::string letter = folder.write("letter", "x");
  CHECK(refusal(letter) == fmt::format("[read_idx] This is not an IDX file.\n  at: {}\n  got: first bytes 78\n"
                                       "  expected: 00 00 08 (IDX) or 1f 8b (gzip)",
                                       letter));
  const std::string text = folder.write("text.gz", gzipped("<html>404</html>"));
  CHECK(refusal(text) == fmt::format("[read_idx] The compressed file does not hold an IDX file.\n  at: {}\n"
                                     "  got: first bytes 3c 68 74 6d\n  expected: 00 00 08 (IDX)",
                                     text));
  const std::string floats = folder.write("floats", idx_header({1}, 0x0d) + "1234");
  CHECK(refusal(floats) ==
        fmt::format("[read_idx] The elements have a type that is not read here.\n  at: {}\n"
                    "  got: type 0x0d (32-bit floating point)\n  expected: type 0x08 (unsigned byte)",
                    floats));
  const std::string odd = folder.write("odd", idx_header({1}, 0x77) + "1");
  CHECK(refusal(odd) == fmt::format("[read_idx] The elements have a type that is not read here.\n  at: {}\n"
                                    "  got: type 0x77 (unknown)\n  expected: type 0x08 (unsigned byte)",
                                    odd));
  const std::string scalar = folder.write("scalar", idx_header({}) + "1");
  CHECK(refusal(scalar) == fmt::format("[read_idx] The header has a number of axes that is not read here.\n  at: {}\n"
                                       "  got: 0 axes\n  expected: 1 to 8",
                                       scalar));
  const std::string deep = folder.write("deep", idx_header(std::vector<std::uint32_t>(9, 1)) + "1");
  CHECK(refusal(deep) == fmt::format("[read_idx] The header has a number of axes that is not read here.\n  at: {}\n"
                                     "  got: 9 axes\n  expected: 1 to 8",
                                     deep));
}

TEST_CASE("read_idx refuses files that end early") {
  const support::Folder folder;
  const std::string path = folder / "f";
  const auto of = [&](std::string_view bytes) { return refusal(folder.write("f", bytes)); };
  const std::string file = idx_header({2, 3}) + "abcdef";

  CHECK(of("") ==
        fmt::format("[read_idx] The file ends inside its header.\n  at: {}\n  got: 0 bytes\n  expected: at least 8",
                    path));
  CHECK(of(file.substr(0, 3)) ==
        fmt::format("[read_idx] The file ends inside its header.\n  at: {}\n  got: 3 bytes\n  expected: at least 8",
                    path));
  CHECK(of(file.substr(0, 11)) ==
        fmt::format("[read_idx] The file ends inside its header.\n  at: {}\n  got: 11 bytes\n  expected: 12 for 2 axes",
                    path));
  CHECK(of(gzipped(file.substr(0, 11))) ==
        fmt::format("[read_idx] The file ends inside its header.\n  at: {}\n  got: 11 bytes\n  expected: 12 for 2 axes",
                    path));
  CHECK(of(file.substr(0, 17)) == fmt::format("[read_idx] The file is shorter than its header says.\n  at: {}\n"
                                              "  got: 5 bytes after the header\n  expected: 6 bytes for shape (2, 3)",
                                              path));
  CHECK(of(file.substr(0, 12)) == fmt::format("[read_idx] The file is shorter than its header says.\n  at: {}\n"
                                              "  got: 0 bytes after the header\n  expected: 6 bytes for shape (2, 3)",
                                              path));
  CHECK(of(gzipped(file.substr(0, 17))) ==
        fmt::format("[read_idx] The file is shorter than its header says.\n  at: {}\n"
                    "  got: 5 bytes after the header\n  expected: 6 bytes for shape (2, 3)",
                    path));

  // A compressed file cut anywhere, checksum included.
  const std::string packed = gzipped(file);
  for (std::size_t size = 2; size < packed.size(); ++size) {
    CAPTURE(size);
    CHECK(of(packed.substr(0, size)) ==
          fmt::format("[read_idx] The compressed file ends early.\n  at: {}\n  hint: fetch it again", path));
  }
}

TEST_CASE("read_idx refuses files that go on") {
  const support::Folder folder;
  const std::string path = folder / "f";
  const std::string file = idx_header({2, 3}) + "abcdef";
  CHECK(refusal(folder.write("f", file + "g")) ==
        fmt::format("[read_idx] The file goes on after its last element.\n  at: {}\n"
                    "  got: 7 bytes after the header\n  expected: 6 for shape (2, 3)",
                    path));
  CHECK(refusal(folder.write("f", gzipped(file + "g"))) ==
        fmt::format("[read_idx] The file goes on after its last element.\n  at: {}\n"
                    "  got: more bytes\n  expected: 6 for shape (2, 3)",
                    path));
  CHECK(refusal(folder.write("f", gzipped(file) + "tail")) ==
        fmt::format("[read_idx] There are bytes after the compressed data.\n  at: {}", path));
}

TEST_CASE("read_idx refuses damaged gzip files") {
  const support::Folder folder;
  const std::string path = folder / "f";
  const std::string packed = gzipped(idx_header({2, 3}) + "abcdef");
  std::string wrong_checksum = packed;
  wrong_checksum[packed.size() - 8] ^= 1;
  CHECK(refusal(folder.write("f", wrong_checksum)) ==
        fmt::format(
            "[read_idx] The compressed file is damaged.\n  at: {}\n  got: incorrect data check\n  hint: fetch it again",
            path));
  CHECK(refusal(folder.write("f", "\x1f\x8bnot gzip")) ==
        fmt::format("[read_idx] The compressed file is damaged.\n  at: {}\n  got: unknown compression method\n  hint: "
                    "fetch it again",
                    path));

  // A changed byte is refused, unless it is one of the flags, the time and the system in the gzip header.
  const std::string elements = counting_bytes(64);
  const std::string larger = gzipped(idx_header({64}) + elements);
  for (std::size_t place = 0; place < larger.size(); ++place) {
    CAPTURE(place);
    std::string changed = larger;
    changed[place] ^= 0x15;
    folder.write("f", changed);
    if (place >= 4 && place <= 9) {
      CHECK(holds(data::read_idx(path), {64}, elements));
    } else {
      CHECK_THROWS_AS((void)data::read_idx(path), FileError);
    }
  }
}

TEST_CASE("read_idx takes no memory on a header's word alone") {
  const support::Folder folder;
  const std::string path = folder / "f";
  const std::string many = idx_header({4294967295u, 28, 28});
  CHECK(refusal(folder.write("f", many + "0123456789")) ==
        fmt::format("[read_idx] The file is shorter than its header says.\n  at: {}\n  got: 10 bytes after the header\n"
                    "  expected: 3367254359280 bytes for shape (4294967295, 28, 28)",
                    path));
  const std::string packed = gzipped(many + "0123456789");
  CHECK(refusal(folder.write("f", packed)) ==
        fmt::format("[read_idx] The file is shorter than its header says.\n  at: {}\n"
                    "  got: {} compressed bytes, which cannot hold more than {}\n"
                    "  expected: 3367254359280 bytes for shape (4294967295, 28, 28)",
                    path, packed.size(), packed.size() * 1032 - 16));
  const auto uncountable = [&](const std::vector<std::uint32_t>& extents, std::string_view shape) {
    CHECK(refusal(folder.write("f", idx_header(extents) + "0")) ==
          fmt::format("[read_idx] The header counts more elements than there can be.\n  at: {}\n  got: shape {}\n"
                      "  expected: at most 2^63 - 1 elements",
                      path, shape));
  };
  uncountable({4294967295u, 4294967295u, 4294967295u}, "(4294967295, 4294967295, 4294967295)");
  uncountable({2147483648u, 2147483648u, 4}, "(2147483648, 2147483648, 4)");  // wraps around to zero
  uncountable({0, 4294967295u, 4294967295u}, "(0, 4294967295, 4294967295)");
}

TEST_CASE("read_idx takes memory as data arrives") {
  // A megabyte of noise whose header promises what a megabyte could hold at best: a gigabyte.
  const support::Folder folder;
  std::string noise(1 << 20, '\0');
  std::mt19937 generator(1);
  for (char& byte : noise) byte = static_cast<char>(generator());
  const std::string path = folder.write("f", gzipped(idx_header({1000, 1 << 20}) + noise));

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = 512 << 20;
  REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
  const std::string text = refusal(path);
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
#else
  const std::string text = refusal(path);
#endif
  CHECK(text ==
        fmt::format("[read_idx] The file is shorter than its header says.\n  at: {}\n"
                    "  got: 1048576 bytes after the header\n  expected: 1048576000 bytes for shape (1000, 1048576)",
                    path));
}
