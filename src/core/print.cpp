#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <linseed/core/array.hpp>

#include "core/array_node.hpp"
#include "core/dispatch.hpp"

namespace linseed {

namespace {

// NumPy's defaults: more elements than this are summarized, keeping so many at either end of an axis.
constexpr std::int64_t summary_threshold = 1000;
constexpr std::int64_t edge_items = 3;
constexpr int precision = 8;
// From here on numbers have more digits than the type can tell apart, and print with exponents.
template <class T>
constexpr double large = std::is_same_v<T, float> ? 1e6 : 1e16;

/// Visits the rows, and in them the elements, that are printed.
struct Layout {
  const Shape& shape;
  std::size_t line_width;
  Shape strides = strides_of(shape);
  bool summarize = shape.elements() > summary_threshold;

  [[nodiscard]] bool skips(std::size_t axis) const { return summarize && shape[axis] > 2 * edge_items; }

  template <class Element, class Gap>
  void along(std::size_t axis, const Element& element, const Gap& gap) const {
    for (std::int64_t i = 0; i < shape[axis]; ++i) {
      if (skips(axis) && i == edge_items) {
        gap();
        i = shape[axis] - edge_items;
      }
      element(i);
    }
  }

  void collect(std::size_t axis, std::int64_t offset, std::vector<std::int64_t>& offsets) const {
    if (axis == shape.size()) {
      offsets.push_back(offset);
      return;
    }
    along(axis, [&](std::int64_t i) { collect(axis + 1, offset + i * strides[axis], offsets); }, [] {});
  }

  // `words[next]` is the next element to print.
  [[nodiscard]] std::string row(std::size_t axis, std::size_t& next, const std::vector<std::string>& words) const {
    const std::string indent(axis + 1, ' ');
    std::string text;
    if (axis + 1 < shape.size()) {
      const std::string separator = std::string(shape.size() - axis - 1, '\n') + indent;
      const auto append = [&](const std::string& item) { text += (text.empty() ? "" : separator) + item; };
      along(axis, [&](std::int64_t) { append(row(axis + 1, next, words)); }, [&] { append("..."); });
      return fmt::format("[{}]", text);
    }
    // Elements wrap before the column where the brackets would no longer fit.
    std::string line = indent;
    const auto append = [&](const std::string& word) {
      if (line.size() > indent.size()) line += ' ';
      if (line.size() > indent.size() && line.size() + word.size() + axis + 1 > line_width) {
        line.pop_back();
        text += line + '\n';
        line = indent;
      }
      line += word;
    };
    along(axis, [&](std::int64_t) { append(words[next++]); }, [&] { append("..."); });
    text += line;
    return fmt::format("[{}]", std::string_view(text).substr(indent.size()));
  }
};

/// The fewest decimal digits that tell x apart within its type: d.ddd * 10^exponent.
struct Digits {
  bool negative = false;
  std::string digits;
  int exponent = 0;
};
template <class T>
Digits shortest(T x) {
  char buffer[64];
  const char* end = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(x), std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  Digits result{std::signbit(x), std::string(1, text[0]), std::stoi(std::string(text.substr(e + 1)))};
  if (e > 2) result.digits += text.substr(2, e - 2);
  return result;
}

std::string positional(const Digits& x) {
  const int count = static_cast<int>(x.digits.size());
  std::string whole =
      x.exponent < 0 ? "0" : x.digits.substr(0, static_cast<std::size_t>(std::min(count, x.exponent + 1)));
  if (x.exponent >= count) whole.append(static_cast<std::size_t>(x.exponent + 1 - count), '0');
  std::string fraction(static_cast<std::size_t>(std::max(0, -x.exponent - 1)), '0');
  if (x.exponent + 1 < count) fraction += x.digits.substr(static_cast<std::size_t>(std::max(0, x.exponent + 1)));
  return fmt::format("{}{}.{}", x.negative ? "-" : "", whole, fraction);
}

std::string scientific(const Digits& x, std::size_t decimals, int exponent_width) {
  std::string fraction = x.digits.substr(1);
  fraction.append(decimals > fraction.size() ? decimals - fraction.size() : 0, '0');
  return fmt::format("{}{}.{}e{}{:0{}}", x.negative ? "-" : "", x.digits[0], fraction, x.exponent < 0 ? '-' : '+',
                     std::abs(x.exponent), exponent_width);
}

// The shortest digits that tell x apart, cut to `precision` behind the point. Doubles hold every float, so rounding a
// long one from the double's text rounds it once.
template <class T>
std::string fixed(T x) {
  std::string text = positional(shortest(x));
  if (text.size() - text.find('.') - 1 <= static_cast<std::size_t>(precision)) return text;
  text = fmt::format("{:.{}f}", static_cast<double>(x), precision);
  return text.erase(text.find_last_not_of('0') + 1);
}
template <class T>
Digits mantissa(T x) {
  Digits result = shortest(x);
  if (result.digits.size() <= static_cast<std::size_t>(precision) + 1) return result;
  const std::string text = fmt::format("{:.{}e}", std::fabs(static_cast<double>(x)), precision);
  result.exponent = std::stoi(text.substr(text.find('e') + 1));
  result.digits = fmt::format("{}{}", text[0], std::string_view(text).substr(2, precision));
  result.digits.erase(std::max<std::size_t>(1, result.digits.find_last_not_of('0') + 1));
  return result;
}

std::string special(double x) { return std::isnan(x) ? "nan" : x < 0 ? "-inf" : "inf"; }

template <class T>
std::vector<std::string> float_words(const std::vector<T>& values) {
  T smallest = 0, largest = 0;
  for (const T x : values) {
    if (!std::isfinite(x) || x == 0) continue;
    const T magnitude = std::fabs(x);
    smallest = smallest == 0 ? magnitude : std::min(smallest, magnitude);
    largest = std::max(largest, magnitude);
  }
  const bool exponents = static_cast<double>(largest) >= std::min(1e8, large<T>) ||
                         (smallest != 0 && (smallest < T(1e-4) || largest / smallest > T(1000)));
  std::vector<std::string> words;
  std::size_t decimals = 0;
  int exponent_width = 2;
  for (const T x : values) {
    if (!std::isfinite(x)) continue;
    if (exponents) {
      const Digits digits = mantissa(x);
      decimals = std::max(decimals, digits.digits.size() - 1);
      if (std::abs(digits.exponent) >= 100) exponent_width = 3;
    } else {
      const std::string word = fixed(x);
      decimals = std::max(decimals, word.size() - word.find('.') - 1);
    }
  }
  for (const T x : values) {
    if (!std::isfinite(x)) {
      words.push_back(special(static_cast<double>(x)));
    } else if (exponents) {
      words.push_back(scientific(mantissa(x), decimals, exponent_width));
    } else {
      words.push_back(fixed(x));  // the points stand below each other
      words.back().append(decimals - (words.back().size() - words.back().find('.') - 1), ' ');
    }
  }
  return words;
}

template <class T>
std::vector<std::string> words_of(const std::vector<T>& values) {
  if constexpr (std::is_floating_point_v<T>) {
    return float_words(values);
  } else {
    std::vector<std::string> words;
    for (const T x : values) words.push_back(std::to_string(x));
    return words;
  }
}

// A lone number shows all its digits: 1.0, 1e-05.
template <class T>
std::string scalar_word(T x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x ? "True" : "False";
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(x)) return special(static_cast<double>(x));
    const Digits digits = shortest(x);
    const double magnitude = std::fabs(static_cast<double>(x));
    if (x == 0 || (magnitude >= 1e-4 && magnitude < large<T>)) {
      const std::string text = positional(digits);
      return text.back() == '.' ? fmt::format("{}0", text) : text;
    }
    std::string text = scientific(digits, 0, 2);
    return digits.digits.size() == 1 ? text.erase(text.find('.'), 1) : text;
  } else {
    return std::to_string(x);
  }
}

}  // namespace

std::string to_string(const Array& array, std::size_t width) {
  if (!array.defined()) return "<empty Array>";
  if (!array.has_value()) return describe(array);
  const Array concrete = detail::concrete_value(array);
  return detail::visit_dtype(concrete.dtype(), [&]<class T>(std::type_identity<T>) -> std::string {
    const T* data = concrete.data<T>().data();
    if (concrete.rank() == 0) return scalar_word(*data);
    if (concrete.size() == 0) return "[]";
    const Layout layout{concrete.shape(), width};
    std::vector<std::int64_t> offsets;
    layout.collect(0, 0, offsets);
    std::vector<std::string> words;
    if constexpr (std::is_same_v<T, bool>) {
      for (const std::int64_t offset : offsets) words.emplace_back(data[offset] ? "True" : "False");
    } else {
      std::vector<T> values;
      for (const std::int64_t offset : offsets) values.push_back(data[offset]);
      words = words_of(values);
    }
    std::size_t longest = 0;
    for (const std::string& word : words) longest = std::max(longest, word.size());
    for (std::string& word : words) word.insert(0, longest - word.size(), ' ');
    std::size_t next = 0;
    return layout.row(0, next, words);
  });
}

}  // namespace linseed

fmt::format_context::iterator fmt::formatter<linseed::Array>::format(const linseed::Array& array,
                                                                     fmt::format_context& context) const {
  return fmt::formatter<fmt::string_view>::format(linseed::to_string(array), context);
}

fmt::format_context::iterator fmt::formatter<linseed::Shape>::format(const linseed::Shape& shape,
                                                                     fmt::format_context& context) const {
  return fmt::formatter<fmt::string_view>::format(linseed::to_string(shape), context);
}

fmt::format_context::iterator fmt::formatter<linseed::DType>::format(linseed::DType dtype,
                                                                     fmt::format_context& context) const {
  const std::string_view text = linseed::to_string(dtype);
  return fmt::formatter<fmt::string_view>::format({text.data(), text.size()}, context);
}
