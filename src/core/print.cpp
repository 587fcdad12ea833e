#include <algorithm>
#include <cmath>
#include <functional>

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

/// Visits the rows, and in them the elements, that are printed.
struct Layout {
  const Shape& shape;
  Shape strides = strides_of(shape);
  bool summarize = shape.elements() > summary_threshold;

  [[nodiscard]] bool skips(std::size_t axis) const { return summarize && shape[axis] > 2 * edge_items; }

  template <class Element, class Gap>
  void along(std::size_t axis, const Element& element, const Gap& gap) const {
    for (std::int64_t i = 0; i < shape[axis]; ++i) {
      if (skips(axis) && i == edge_items) {
        gap(i);
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
    along(axis, [&](std::int64_t i) { collect(axis + 1, offset + i * strides[axis], offsets); }, [](std::int64_t) {});
  }

  // `text(k)` is the k-th printed element.
  void print(std::size_t axis, std::size_t& next, const std::vector<std::string>& words, std::string& out) const {
    if (axis == shape.size()) {
      out += words[next++];
      return;
    }
    const bool innermost = axis + 1 == shape.size();
    const std::string separator =
        innermost ? " " : std::string(shape.size() - axis - 1, '\n') + std::string(axis + 1, ' ');
    out += '[';
    along(axis,
          [&](std::int64_t i) {
            if (i > 0) out += separator;
            print(axis + 1, next, words, out);
          },
          [&](std::int64_t) { out += separator + "..."; });
    out += ']';
  }
};

std::string without_trailing_zeros(std::string digits) {
  const std::size_t last = digits.find_last_not_of('0');
  return digits.erase(last + 1);
}

std::string special(double x) { return std::isnan(x) ? "nan" : x < 0 ? "-inf" : "inf"; }

// The fewest decimals (at most `precision`) that still tell x apart within its own type.
template <class T>
std::string shortest_fixed(T x) {
  for (int decimals = 0; decimals < precision; ++decimals) {
    const std::string text = fmt::format("{:.{}f}", x, decimals);
    if (static_cast<T>(std::stod(text)) == x) return decimals == 0 ? text + "." : text;
  }
  return without_trailing_zeros(fmt::format("{:.{}f}", x, precision));
}

template <class T>
std::vector<std::string> float_words(const std::vector<T>& values) {
  T smallest = 0, largest = 0;
  for (const T x : values) {
    if (!std::isfinite(x) || x == 0) continue;
    const T magnitude = std::fabs(x);
    smallest = smallest == 0 ? magnitude : std::min(smallest, magnitude);
    largest = std::max(largest, magnitude);
  }
  const bool scientific = largest >= T(1e8) || (smallest != 0 && (smallest < T(1e-4) || largest / smallest > T(1e3) * T(1e3)));
  std::vector<std::string> words;
  std::size_t decimals = 0;
  for (const T x : values) {
    if (!std::isfinite(x)) {
      words.push_back(special(static_cast<double>(x)));
      continue;
    }
    if (scientific) {
      words.push_back(fmt::format("{:.{}e}", x, precision));
      continue;
    }
    words.push_back(shortest_fixed(x));
    decimals = std::max(decimals, words.back().size() - words.back().find('.') - 1);
  }
  if (!scientific) {
    for (std::string& word : words) {  // align the points, as NumPy does
      const std::size_t point = word.find('.');
      if (point != std::string::npos) word.append(decimals - (word.size() - point - 1), ' ');
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
    for (const T x : values) {
      if constexpr (std::is_same_v<T, std::uint8_t>) words.push_back(std::to_string(x));
      else words.push_back(fmt::format("{}", x));
    }
    return words;
  }
}

}  // namespace

std::string to_string(const Array& array) {
  if (!array.defined()) return "<empty Array>";
  if (!array.has_value()) return describe(array);
  const Array concrete = detail::concrete_value(array);
  const Layout layout{concrete.shape()};
  std::vector<std::int64_t> offsets;
  layout.collect(0, 0, offsets);
  std::vector<std::string> words = detail::visit_dtype(concrete.dtype(), [&]<class T>(std::type_identity<T>) {
    const T* data = concrete.data<T>().data();
    if constexpr (std::is_same_v<T, bool>) {
      std::vector<std::string> texts;
      for (const std::int64_t offset : offsets) texts.emplace_back(data[offset] ? "true" : "false");
      return texts;
    } else {
      std::vector<T> values;
      for (const std::int64_t offset : offsets) values.push_back(data[offset]);
      return words_of(values);
    }
  });
  std::size_t width = 0;
  for (const std::string& word : words) width = std::max(width, word.size());
  if (concrete.rank() == 0) {
    std::string& only = words.front();
    only.erase(only.find_last_not_of(' ') + 1);
    if (!only.empty() && only.back() == '.') only += '0';  // a lone scalar prints as 1.0
    return only;
  }
  for (std::string& word : words) word.insert(0, width - word.size(), ' ');
  std::string text;
  std::size_t next = 0;
  layout.print(0, next, words, text);
  return text;
}

}  // namespace linseed
