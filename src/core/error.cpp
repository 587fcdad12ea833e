#include <linseed/core/error.hpp>

#include <utility>

#include <fmt/format.h>

#include <linseed/core/inline_vector.hpp>

namespace linseed {

Error::Error(std::string_view op, std::string_view sentence, ErrorContext context)
    : headline_(fmt::format("[{}] {}", op, sentence)), context_(std::move(context)) {
  compose();
}

void Error::locate(std::string_view at) {
  if (!context_.at.empty() || at.empty()) return;
  context_.at = at;
  compose();
}

void Error::compose() {
  text_ = headline_;
  const auto line = [this](std::string_view label, const std::string& value) {
    if (!value.empty()) text_ += fmt::format("\n  {}:{}{}", label, value.front() == '\n' ? "" : " ", value);
  };
  line("at", context_.at);
  line("got", context_.got);
  line("expected", context_.expected);
  line("hint", context_.hint);
}

namespace detail {
void throw_rank_limit(std::size_t rank, std::size_t limit) {
  throw ShapeError("Shape", "An Array has too many axes.",
                   {.got = fmt::format("{} axes", rank), .expected = fmt::format("at most {}", limit)});
}
}  // namespace detail

}  // namespace linseed
