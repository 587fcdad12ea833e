#include <linseed/train/progress.hpp>

#include <chrono>

#include "train/terminal.hpp"

namespace linseed {

namespace {
constexpr double interval = 0.1;

double now_in_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
}  // namespace

Progress::Progress(std::FILE* stream, std::string label, std::int64_t total, double seconds)
    : stream_(stream),
      label_(std::move(label)),
      total_(total),
      seconds_(seconds),
      is_terminal_(detail::is_terminal(stream)),
      made_(now_in_seconds()),
      next_draw_(made_) {}

Progress::~Progress() { clear(); }

void Progress::update(std::int64_t done, std::string_view words) {
  const double now = now_in_seconds();
  if (!is_terminal_ || (now < next_draw_ && done < total_)) return;
  next_draw_ = now + interval;
  drawn_ = true;
  const std::string line = detail::progress_line(
      {.label = label_, .words = words, .done = done, .total = total_, .seconds = seconds_ + (now - made_)},
      detail::terminal_size(stream_).columns, detail::utf8_locale());
  std::fprintf(stream_, "\r\033[K%s", line.c_str());
  std::fflush(stream_);
}

void Progress::clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
}

}  // namespace linseed
