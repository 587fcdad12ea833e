#pragma once

#include <memory>
#include <string>
#include <string_view>

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
