#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <type_traits>

namespace linseed {

namespace detail {
[[noreturn]] void throw_rank_limit(std::size_t rank, std::size_t limit);
}

/// A vector of at most `Capacity` elements, stored inside the object: no allocation, cheap to copy.
/// Throws ShapeError when more elements are asked for.
template <class T, std::size_t Capacity>
class InlineVector {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  constexpr InlineVector() noexcept = default;
  constexpr InlineVector(std::initializer_list<T> values) : InlineVector(values.begin(), values.end()) {}
  template <class Iterator>
    requires(!std::is_integral_v<Iterator>)
  constexpr InlineVector(Iterator first, Iterator last) {
    for (; first != last; ++first) push_back(static_cast<T>(*first));
  }

  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] static constexpr std::size_t capacity() noexcept { return Capacity; }

  constexpr T* data() noexcept { return values_.data(); }
  constexpr const T* data() const noexcept { return values_.data(); }
  constexpr T* begin() noexcept { return values_.data(); }
  constexpr T* end() noexcept { return values_.data() + size_; }
  constexpr const T* begin() const noexcept { return values_.data(); }
  constexpr const T* end() const noexcept { return values_.data() + size_; }
  constexpr T& operator[](std::size_t i) noexcept { return values_[i]; }
  constexpr const T& operator[](std::size_t i) const noexcept { return values_[i]; }
  constexpr T& back() noexcept { return values_[size_ - 1]; }
  constexpr const T& back() const noexcept { return values_[size_ - 1]; }

  constexpr void push_back(T value) {
    check(size_ + 1);
    values_[size_++] = value;
  }
  constexpr void resize(std::size_t count) {
    check(count);
    size_ = count;
  }
  constexpr void insert(std::size_t position, T value) {
    push_back(value);
    std::rotate(begin() + position, end() - 1, end());
  }
  constexpr void erase(std::size_t position) noexcept {
    std::copy(begin() + position + 1, end(), begin() + position);
    --size_;
  }

  friend constexpr bool operator==(const InlineVector& a, const InlineVector& b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  static constexpr void check(std::size_t count) {
    if (count > Capacity) detail::throw_rank_limit(count, Capacity);
  }

  std::array<T, Capacity> values_{};
  std::size_t size_ = 0;
};

}  // namespace linseed
