#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace linseed {

namespace detail {
struct ProgramData;
}

/// A traced function: a list of nodes in which every value is computed once, from values above it.
class Program {
 public:
  explicit Program(std::shared_ptr<const detail::ProgramData> data) noexcept : data_(std::move(data)) {}

  /// Number of ops.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Number of ops of one name: program.count("conv").
  [[nodiscard]] std::size_t count(std::string_view op) const noexcept;
  /// One line per node: "%4: float32[8,4] = dot_general %0 %1 {...}".
  [[nodiscard]] std::string to_string() const;
  /// Throws Error when an operand, a shape or a dtype does not follow from the rules. Every traced program is verified
  /// before it is used.
  void verify() const;

  [[nodiscard]] const detail::ProgramData& data() const noexcept { return *data_; }

 private:
  std::shared_ptr<const detail::ProgramData> data_;
};

}  // namespace linseed

/// Prints the listing of Program::to_string.
template <>
struct fmt::formatter<linseed::Program> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(const linseed::Program& program, fmt::format_context& context) const;
};
