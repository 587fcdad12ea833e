#include <linseed/nn/model.hpp>

#include <fmt/format.h>

namespace linseed::nn {

namespace detail {

void throw_argument(std::string_view model, std::size_t index, std::string_view expected) {
  throw ValueError("Model", fmt::format("{} takes another argument {}.", model, index), {.expected = std::string(expected)});
}

void throw_argument_count(std::string_view model, std::size_t got, std::string_view expected) {
  throw ValueError("Model", fmt::format("{} does not take {} arguments.", model, got), {.expected = std::string(expected)});
}

namespace {
template <class... T>
std::optional<double> first_number(const std::any& argument) {
  std::optional<double> result;
  const auto try_type = [&]<class U>(std::type_identity<U>) {
    if (const auto* value = std::any_cast<U>(&argument)) result = static_cast<double>(*value);
  };
  (try_type(std::type_identity<T>{}), ...);
  return result;
}
}  // namespace

std::optional<double> number_in(const std::any& argument) {
  return first_number<bool, int, unsigned, long, unsigned long, long long, unsigned long long, float, double>(argument);
}

}  // namespace detail

Array Model::call(Scope& scope, std::span<const std::any> arguments) const {
  if (!held_) throw ValueError("Model", "An empty Model was called.", {.hint = "give TrainState::create a module"});
  return held_->call(scope, arguments);
}

}  // namespace linseed::nn
