#include "program/attributes.hpp"

#include <fmt/format.h>

#include <linseed/core/reflect.hpp>

namespace linseed {

namespace {

std::string print(int value) { return std::to_string(value); }
std::string print(std::int64_t value) { return std::to_string(value); }
std::string print(double value) { return fmt::format("{}", value); }
std::string print(DType value) { return std::string(to_string(value)); }
std::string print(const Shape& value) { return to_string(value); }
std::string print(const InlineVector<int, max_rank>& value) { return to_string(Shape(value.begin(), value.end())); }

template <class T>
std::string print_fields(const T& attributes) {
  std::string text;
  std::size_t i = 0;
  const auto append = [&](const auto& field) {
    const std::string_view name = reflect::field_names<T>[i++];
    const std::string value = print(field);
    if (name == "order" && value == "()") return;  // of a product's axes: as they come
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  };
  std::apply([&](const auto&... field) { (append(field), ...); }, reflect::fields(attributes));
  return "{" + text + "}";
}

}  // namespace

std::string to_string(const Attributes& attributes) {
  return std::visit(
      []<class T>(const T& value) -> std::string {
        if constexpr (std::is_empty_v<T>) {
          return "";
        } else {
          return print_fields(value);
        }
      },
      attributes);
}

}  // namespace linseed
