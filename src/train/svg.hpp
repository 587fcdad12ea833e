#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <linseed/train/curves.hpp>

namespace linseed::training::detail {

/// Colours of pages and drawings, for light and dark surroundings. Curves take `curves` in turn.
struct Palette {
  std::string_view card, ink, soft, line;
  std::array<std::string_view, 4> curves;
};
inline constexpr Palette light{
    "#ffffff", "#16161a", "#5c5c66", "#e4e4e0", {"#2469c4", "#d9601f", "#178a63", "#8a4fc0"}};
inline constexpr Palette dark{"#1c1c20", "#f1f1f3", "#a0a0ab", "#303037", {"#5b9bf0", "#f08a4b", "#3fbf93", "#b98ae6"}};

inline constexpr int chart_width = 560, chart_height = 300;

/// For text between tags and in quoted attributes.
[[nodiscard]] std::string escaped(std::string_view text);

/// The places of finite values.
[[nodiscard]] std::vector<std::size_t> finite_points(const Curve& curve);

/// Axes and curves as elements of an SVG of chart_width by chart_height; empty when no value is finite. Classes: mesh,
/// curve, point; s0 to s3 for strokes, f0 to f3 for fillings.
[[nodiscard]] std::string drawing(const Chart& chart);

}  // namespace linseed::training::detail
