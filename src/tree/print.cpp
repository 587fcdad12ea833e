#include <ostream>

#include <fmt/format.h>

#include <linseed/tree/tree.hpp>

namespace linseed {

namespace {

std::string on_one_line(const Tree& tree) {
  if (tree.is_leaf()) return to_string(tree.array().shape());
  std::string text = "{";
  for (const auto& [key, child] : tree.entries()) {
    text += fmt::format("{}'{}': {}", text.size() == 1 ? "" : ", ", key, on_one_line(child));
  }
  return text + "}";
}

// One entry per line, each on one line if it fits; the text begins at `column`, its entries are indented from `indent`.
std::string wrapped(const Tree& tree, std::size_t column, std::size_t indent, std::size_t width) {
  std::string flat = on_one_line(tree);
  if (tree.is_leaf() || tree.size() == 0 || column + flat.size() <= width) return flat;
  std::string text = "{\n";
  for (const auto& [key, child] : tree.entries()) {
    const std::string label = fmt::format("{:{}}'{}': ", "", indent + 4, key);
    text += label + wrapped(child, label.size() + 1, indent + 4, width) + ",\n";
  }
  return text + fmt::format("{:{}}}}", "", indent);
}

// Arrays that need more columns than the key leaves begin on a line of their own.
void print(const Tree& tree, std::size_t indent, std::size_t width, std::string& text) {
  const auto fitting = [&](const Array& array, std::size_t column) {
    return to_string(array, column < width ? width - column : 1);
  };
  for (const auto& [key, child] : tree.entries()) {
    text += fmt::format("{:{}}{}:", "", indent, key);
    if (!child.is_leaf()) {
      text += child.empty() ? " {}\n" : "\n";
      print(child, indent + 2, width, text);
      continue;
    }
    const Array& array = child.array();
    const std::string beside = array.rank() <= 1 ? fitting(array, indent + key.size() + 2) : "\n";
    if (beside.find('\n') == std::string::npos) {
      text += fmt::format(" {}\n", beside);
      continue;
    }
    std::string block = fitting(array, indent + 2);
    const std::string margin(indent + 2, ' ');
    for (std::size_t at = block.find('\n'); at != std::string::npos; at = block.find('\n', at + 1)) {
      if (block[at + 1] != '\n') block.insert(at + 1, margin);
    }
    text += fmt::format("\n{}{}\n", margin, block);
  }
}

}  // namespace

std::string tree::shapes(const Tree& tree, std::size_t width) { return wrapped(tree, 0, 0, width); }

std::string to_string(const Tree& tree, std::size_t width) {
  if (tree.is_leaf()) return to_string(tree.array(), width);
  if (tree.empty()) return "{}";
  std::string text;
  print(tree, 0, width, text);
  text.pop_back();
  return text;
}

std::ostream& operator<<(std::ostream& stream, const Tree& tree) { return stream << to_string(tree); }

}  // namespace linseed

fmt::format_context::iterator fmt::formatter<linseed::Tree>::format(const linseed::Tree& tree,
                                                                    fmt::format_context& context) const {
  return fmt::format_to(context.out(), "{}", linseed::to_string(tree, width));
}
