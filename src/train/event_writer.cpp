#include <linseed/train/event_writer.hpp>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <linseed/core/error.hpp>

#include "train/atomic_file.hpp"
#include "train/crc32c.hpp"

// Records are framed as in TFRecord files: length (uint64), its masked CRC, bytes, their masked CRC, all little-endian.
// The bytes are a message of TensorFlow's event.proto in the encoding of protocol buffers:
//   Event          1: double wall_time   2: int64 step   3: string file_version   5: Summary
//   Summary        1: repeated Value
//   Summary.Value  1: string tag   2: float simple_value

namespace linseed::training {

namespace {

constexpr std::string_view op = "EventWriter";

template <class T>
std::string little_endian(T value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>((value >> (8U * i)) & 0xffU);
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80U; value >>= 7U) bytes += static_cast<char>((value & 0x7fU) | 0x80U);
  return bytes + static_cast<char>(value);
}

enum Wire : unsigned { varint_wire = 0, fixed64_wire = 1, bytes_wire = 2, fixed32_wire = 5 };

std::string key(unsigned field, Wire wire) { return varint((field << 3U) | wire); }
std::string bytes_field(unsigned field, std::string_view content) {
  return key(field, bytes_wire) + varint(content.size()) + std::string(content);
}
std::string double_field(unsigned field, double value) {
  return key(field, fixed64_wire) + little_endian(std::bit_cast<std::uint64_t>(value));
}
std::string float_field(unsigned field, float value) {
  return key(field, fixed32_wire) + little_endian(std::bit_cast<std::uint32_t>(value));
}
std::string int_field(unsigned field, std::int64_t value) {
  return key(field, varint_wire) + varint(static_cast<std::uint64_t>(value));
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string host() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace

EventWriter::EventWriter(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw FileError(op, "The folder cannot be made.", {.at = folder, .got = error.message()});
  const std::string stem =
      fmt::format("{}/events.out.tfevents.{:010}.{}.{}", folder, static_cast<std::int64_t>(now()), host(), getpid());
  for (int number = 0; file_ < 0; ++number) {
    path_ = fmt::format("{}.{}", stem, number);
    file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (file_ < 0 && errno != EEXIST) {
      throw FileError(op, "The file cannot be made.", {.at = path_, .got = std::strerror(errno)});
    }
  }
  try {
    append(double_field(1, now()) + bytes_field(3, "brain.Event:2"));
  } catch (...) {
    close(file_);
    throw;
  }
}

EventWriter::~EventWriter() {
  if (file_ >= 0) close(file_);
}

EventWriter::EventWriter(EventWriter&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

EventWriter& EventWriter::operator=(EventWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  return *this;
}

void EventWriter::scalar(std::string_view tag, std::int64_t step, double value) {
  const std::string point = bytes_field(1, tag) + float_field(2, static_cast<float>(value));
  append(double_field(1, now()) + int_field(2, step) + bytes_field(5, bytes_field(1, point)));
}

void EventWriter::append(std::string_view event) {
  const std::string length = little_endian(static_cast<std::uint64_t>(event.size()));
  const std::string record = length + little_endian(detail::masked_crc32c(length)) + std::string(event) +
                             little_endian(detail::masked_crc32c(event));
  if (!detail::write_all(file_, record)) {
    throw FileError(op, "Writing failed.", {.at = path_, .got = std::strerror(errno)});
  }
}

}  // namespace linseed::training
