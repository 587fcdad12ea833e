#include <linseed/train/progress.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

namespace linseed {

namespace {
constexpr std::int64_t width = 30;
constexpr auto interval = std::chrono::milliseconds(100);
}  // namespace

Progress::Progress(std::FILE* stream, std::string label, std::int64_t total)
    : stream_(stream),
      label_(std::move(label)),
      total_(std::max<std::int64_t>(1, total)),
      is_terminal_(isatty(fileno(stream)) == 1) {}

Progress::~Progress() { clear(); }

void Progress::update(std::int64_t done, std::string_view words) {
  const auto now = std::chrono::steady_clock::now();
  if (!is_terminal_ || (now < next_draw_ && done < total_)) return;
  next_draw_ = now + interval;
  drawn_ = true;
  const std::int64_t filled = std::clamp<std::int64_t>(done * width / total_, 0, width);
  const std::string bar = std::string(static_cast<std::size_t>(filled), '=') + (filled < width ? ">" : "");
  const std::string line = fmt::format("\r\033[K{} [{:<{}}] {:3}%  {}", label_, bar, width, done * 100 / total_, words);
  std::fputs(line.c_str(), stream_);
  std::fflush(stream_);
}

void Progress::clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
}

}  // namespace linseed
