#include <linseed/data/idx.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>

#include <linseed/core/error.hpp>

#include "core/array_node.hpp"
#include "data/idx.hpp"

namespace linseed::data {

namespace {

constexpr std::string_view op = "read_idx";
// Deflate cannot shrink data by more than this factor (1032 by its format), so a header that promises more is wrong.
constexpr std::uint64_t largest_gzip_ratio = 1032;

/// Where the bytes of a file come from, piece by piece.
class Source {
 public:
  virtual ~Source() = default;
  /// The next piece; empty at the end.
  virtual std::span<const unsigned char> next() = 0;
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
};

class FileSource final : public Source {
 public:
  explicit FileSource(const std::string& path) : path_(path), buffer_(std::size_t{1} << 16) {
    namespace fs = std::filesystem;
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (status.type() == fs::file_type::not_found) throw FileError(op, "The file does not exist.", {.at = path});
    if (status.type() == fs::file_type::none)
      throw FileError(op, "The file cannot be read.", {.at = path, .got = code.message()});
    if (status.type() != fs::file_type::regular) {
      throw FileError(op, "This is not a file.",
                      {.at = path,
                       .got = status.type() == fs::file_type::directory ? "a folder" : "a device or a pipe",
                       .expected = "an IDX file, plain or compressed with gzip"});
    }
    size_ = fs::file_size(path, code);
    if (!code) file_.reset(std::fopen(path.c_str(), "rb"));
    if (!file_) {
      throw FileError(op, "The file cannot be read.",
                      {.at = path, .got = code ? code.message() : std::generic_category().message(errno)});
    }
  }

  std::span<const unsigned char> next() override {
    const std::size_t count = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
    if (count == 0 && std::ferror(file_.get()) != 0) {
      throw FileError(op, "The file cannot be read.", {.at = path_, .got = std::generic_category().message(errno)});
    }
    return {buffer_.data(), count};
  }
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
  [[nodiscard]] const std::string& name() const noexcept override { return path_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  std::string path_;
  std::uint64_t size_ = 0;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<unsigned char> buffer_;
};

class MemorySource final : public Source {
 public:
  MemorySource(std::span<const unsigned char> file, std::string_view name)
      : name_(name), size_(file.size()), rest_(file) {}
  std::span<const unsigned char> next() override { return std::exchange(rest_, {}); }
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }

 private:
  std::string name_;
  std::uint64_t size_;
  std::span<const unsigned char> rest_;
};

/// The content of a source: its bytes, or what they inflate to when they begin like a gzip file.
class Content {
 public:
  explicit Content(Source& source) : source_(source), piece_(source.next()) {
    compressed_ = piece_.size() >= 2 && piece_[0] == 0x1f && piece_[1] == 0x8b;
    if (compressed_ && inflateInit2(&inflater_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;
  ~Content() {
    if (compressed_) inflateEnd(&inflater_);
  }

  [[nodiscard]] bool compressed() const noexcept { return compressed_; }
  /// No content is longer than this.
  [[nodiscard]] std::uint64_t size_limit() const noexcept {
    return compressed_ ? source_.size() * largest_gzip_ratio : source_.size();
  }

  /// Fills `out` and returns its size, or less at the end of the content.
  std::size_t read(std::span<unsigned char> out) { return compressed_ ? inflate_into(out) : copy_into(out); }

 private:
  bool refill() {
    if (piece_.empty()) piece_ = source_.next();
    return !piece_.empty();
  }

  std::size_t copy_into(std::span<unsigned char> out) {
    std::size_t done = 0;
    while (done < out.size() && refill()) {
      const std::size_t count = std::min(out.size() - done, piece_.size());
      std::memcpy(out.data() + done, piece_.data(), count);
      piece_ = piece_.subspan(count);
      done += count;
    }
    return done;
  }

  std::size_t inflate_into(std::span<unsigned char> out) {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      if (!refill())
        throw FileError(op, "The compressed file ends early.", {.at = source_.name(), .hint = "fetch it again"});
      const auto available = static_cast<uInt>(std::min(piece_.size(), most));
      const auto wanted = static_cast<uInt>(std::min(out.size() - done, most));
      inflater_.next_in = const_cast<unsigned char*>(piece_.data());  // zlib's const-less interface; it does not write
      inflater_.avail_in = available;
      inflater_.next_out = out.data() + done;
      inflater_.avail_out = wanted;
      const int status = inflate(&inflater_, Z_NO_FLUSH);
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        throw FileError(op, "The compressed file is damaged.",
                        {.at = source_.name(),
                         .got = inflater_.msg != nullptr ? inflater_.msg : "no gzip data",
                         .hint = "fetch it again"});
      }
      piece_ = piece_.subspan(available - inflater_.avail_in);
      done += wanted - inflater_.avail_out;
      if (status == Z_STREAM_END) finish_member();
    }
    return done;
  }

  // A gzip file is one member after another.
  void finish_member() {
    if (!refill()) {
      ended_ = true;
    } else if (piece_[0] == 0x1f) {
      inflateReset(&inflater_);
    } else {
      throw FileError(op, "There are bytes after the compressed data.", {.at = source_.name()});
    }
  }

  Source& source_;
  std::span<const unsigned char> piece_;  // not yet consumed
  bool compressed_ = false;
  bool ended_ = false;
  z_stream inflater_{};
};

std::string in_hex(std::span<const unsigned char> bytes) { return fmt::format("{:02x}", fmt::join(bytes, " ")); }

std::string_view element_type_name(unsigned char code) {
  switch (code) {
    case 0x08: return "unsigned byte";
    case 0x09: return "signed byte";
    case 0x0b: return "16-bit integer";
    case 0x0c: return "32-bit integer";
    case 0x0d: return "32-bit floating point";
    case 0x0e: return "64-bit floating point";
    default: return "unknown";
  }
}

struct Header {
  Shape shape;
  std::uint64_t bytes = 0;  // of the elements
};

Header read_header(Content& content, const std::string& name) {
  std::array<unsigned char, 4 + 4 * max_rank> raw{};
  const std::size_t magic_size = content.read(std::span(raw).first(4));
  const bool looks_right = std::all_of(raw.begin(), raw.begin() + std::min<std::size_t>(2, magic_size),
                                       [](unsigned char byte) { return byte == 0; });
  if (!looks_right) {
    throw FileError(
        op, content.compressed() ? "The compressed file does not hold an IDX file." : "This is not an IDX file.",
        {.at = name,
         .got = fmt::format("first bytes {}", in_hex(std::span(raw).first(magic_size))),
         .expected = content.compressed() ? "00 00 08 (IDX)" : "00 00 08 (IDX) or 1f 8b (gzip)"});
  }
  if (magic_size < 4) {
    throw FileError(op, "The file ends inside its header.",
                    {.at = name, .got = fmt::format("{} bytes", magic_size), .expected = "at least 8"});
  }
  if (raw[2] != 0x08) {
    throw FileError(op, "The elements have a type that is not read here.",
                    {.at = name,
                     .got = fmt::format("type 0x{:02x} ({})", raw[2], element_type_name(raw[2])),
                     .expected = "type 0x08 (unsigned byte)"});
  }
  const std::size_t rank = raw[3];
  if (rank == 0 || rank > max_rank) {
    throw FileError(op, "The header has a number of axes that is not read here.",
                    {.at = name, .got = fmt::format("{} axes", rank), .expected = fmt::format("1 to {}", max_rank)});
  }
  const std::size_t extents_size = content.read(std::span(raw).subspan(4, 4 * rank));
  if (extents_size < 4 * rank) {
    throw FileError(op, "The file ends inside its header.",
                    {.at = name,
                     .got = fmt::format("{} bytes", 4 + extents_size),
                     .expected = fmt::format("{} for {} axes", 4 + 4 * rank, rank)});
  }

  Header header;
  std::int64_t counted = 1;  // without extents of zero, so that strides can be counted too
  bool overflow = false;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    std::uint32_t extent = 0;
    for (std::size_t i = 0; i < 4; ++i) extent = extent << 8 | raw[4 + 4 * axis + i];
    header.shape.push_back(extent);
    if (extent != 0) overflow |= __builtin_mul_overflow(counted, extent, &counted);
  }
  if (overflow) {
    throw FileError(
        op, "The header counts more elements than there can be.",
        {.at = name, .got = fmt::format("shape {}", to_string(header.shape)), .expected = "at most 2^63 - 1 elements"});
  }
  header.bytes = static_cast<std::uint64_t>(header.shape.elements());
  return header;
}

[[noreturn]] void throw_too_short(const std::string& name, const Header& header, std::string got) {
  throw FileError(op, "The file is shorter than its header says.",
                  {.at = name,
                   .got = std::move(got),
                   .expected = fmt::format("{} bytes for shape {}", header.bytes, to_string(header.shape))});
}

std::shared_ptr<void> allocate_bytes(std::uint64_t count) {
  return detail::allocate(Shape{static_cast<std::int64_t>(count)}, DType::uint8);
}

IdxBytes read_idx_from(Source& source) {
  Content content(source);
  const std::string& name = source.name();
  const Header header = read_header(content, name);
  const std::uint64_t header_size = 4 + 4 * header.shape.size();
  const std::uint64_t limit = std::max(content.size_limit(), header_size) - header_size;
  if (header.bytes > limit) {
    throw_too_short(name, header,
                    content.compressed()
                        ? fmt::format("{} compressed bytes, which cannot hold more than {}", source.size(), limit)
                        : fmt::format("{} bytes after the header", limit));
  }

  // The first buffer is in proportion to the file; it doubles only after it has been filled.
  std::uint64_t capacity = std::min(header.bytes, 4 * source.size());
  std::shared_ptr<void> buffer = allocate_bytes(capacity);
  std::uint64_t filled = 0;
  while (true) {
    const std::uint64_t arrived = content.read({static_cast<unsigned char*>(buffer.get()) + filled, capacity - filled});
    filled += arrived;
    if (filled == header.bytes) break;
    if (filled < capacity) throw_too_short(name, header, fmt::format("{} bytes after the header", filled));
    capacity = std::min(header.bytes, 2 * capacity);
    std::shared_ptr<void> larger = allocate_bytes(capacity);
    std::memcpy(larger.get(), buffer.get(), filled);
    buffer = std::move(larger);
  }

  // Reading on also makes zlib compare the checksum at the end.
  unsigned char surplus = 0;
  if (content.read({&surplus, 1}) != 0) {
    throw FileError(op, "The file goes on after its last element.",
                    {.at = name,
                     .got = content.compressed() ? "more bytes" : fmt::format("{} bytes after the header", limit),
                     .expected = fmt::format("{} for shape {}", header.bytes, to_string(header.shape))});
  }
  return {std::move(buffer), header.shape};
}

}  // namespace

IdxBytes read_idx_file(const std::string& path) {
  FileSource source(path);
  return read_idx_from(source);
}

IdxBytes read_idx_memory(std::span<const unsigned char> file, std::string_view name) {
  MemorySource source(file, name);
  return read_idx_from(source);
}

Array read_idx(const std::string& path) {
  IdxBytes bytes = read_idx_file(path);
  return Array::adopt(std::move(bytes.buffer), bytes.shape, DType::uint8);
}

}  // namespace linseed::data
