#include <linseed/optim/hyperparameter.hpp>

#include <cmath>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>

namespace linseed::optim {

Description::Description(double number) : text_(fmt::format("{}", number)) {}

Description Description::identified(std::string_view name, std::shared_ptr<const void> identity) {
  Description result;
  result.text_ = name;
  result.identities_.push_back(std::move(identity));
  return result;
}

Description Description::unique(std::string_view name) { return identified(name, std::make_shared<const char>()); }

void Description::open() { text_ += '('; }
void Description::close() { text_ += ')'; }

void Description::separate() {
  if (text_.back() != '(' && text_.back() != '{') text_ += ", ";
}

void Description::append_word(std::string_view word) {
  separate();
  text_ += word;
}

void Description::append(std::string_view value) {
  separate();
  text_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') text_ += '\\';
    text_ += c;
  }
  text_ += '"';
}

void Description::append(const Description& part) {
  append_word(part.text_);
  identities_.insert(identities_.end(), part.identities_.begin(), part.identities_.end());
}

Scalar::Scalar(Array array, std::nullptr_t) : array_(std::move(array)) {
  if (array_.rank() != 0) {
    throw ShapeError("optim", "A hyper-parameter is a scalar.", {.got = describe(array_), .expected = "shape ()"});
  }
}

Array Scalar::as(DType dtype) const { return is_number() ? Array(number_, dtype) : astype(array_, dtype); }

Scalar Scalar::one_minus() const { return is_number() ? Scalar(1.0 - number_) : Scalar(1.0 - array_, nullptr); }

Scalar Scalar::negated() const { return is_number() ? Scalar(-number_) : Scalar(-array_, nullptr); }

Description Scalar::description() const { return is_number() ? Description(number_) : Description::unique("array"); }

void require_finite(std::string_view op, std::string_view name, const Scalar& value) {
  if (!value.is_number() || std::isfinite(value.number())) return;
  throw ValueError(op, fmt::format("{} must be finite.", name), {.got = fmt::format("{}", value.number())});
}

}  // namespace linseed::optim
