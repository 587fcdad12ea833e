#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace linseed {

namespace detail {

/// A borrowed callable `void(std::int64_t index)` or `void(std::int64_t index, int worker)`: two pointers, no
/// allocation.
class Task {
 public:
  template <class Function>
    requires(!std::is_same_v<std::remove_cvref_t<Function>, Task>)
  Task(Function&& function) noexcept  // NOLINT: a parameter type
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* object, std::int64_t index, int worker) {
          auto& borrowed = *static_cast<std::remove_reference_t<Function>*>(object);
          if constexpr (std::is_invocable_v<decltype(borrowed), std::int64_t, int>) {
            borrowed(index, worker);
          } else {
            borrowed(index);
          }
        }) {}
  void operator()(std::int64_t index, int worker) const { call_(object_, index, worker); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, int);
};

}  // namespace detail

/// The instruction sets that kernels are compiled for, from the least to the most. `portable` is what every machine
/// has; the others have fused multiply-adds.
enum class VectorSet : std::uint8_t { portable, avx2, avx512 };

/// The best that this machine has.
[[nodiscard]] VectorSet best_vector_set() noexcept;
/// "portable", "avx2", "avx512".
[[nodiscard]] std::string_view to_string(VectorSet set) noexcept;

/// Where compiled functions run: a pool of threads that belongs to this object and to its copies. Results do not depend
/// on the number of threads.
class Executor {
 public:
  /// `threads` at least 1, the calling thread included. Throws ValueError otherwise. Kernels use no vectors beyond
  /// `vectors`, and none that the machine lacks.
  explicit Executor(int threads = 1, VectorSet vectors = best_vector_set());

  [[nodiscard]] int threads() const noexcept;
  [[nodiscard]] VectorSet vectors() const noexcept { return vectors_; }

  /// Calls `task(0) ... task(count - 1)`, each exactly once, in any order and on any of the threads, and returns when
  /// all are done. A task that takes a second argument gets a number below `threads()` that no other task of this call
  /// has at the same time. Neighbouring tasks go to the same thread where possible, and from call to call too, since
  /// its caches may have their data; with `backwards` each thread goes from its last one to its first one. `task` must
  /// not throw. Concurrent calls from several threads are allowed; nested calls run serially.
  void parallel_for(std::int64_t count, detail::Task task, bool backwards = false) const;

 private:
  class Pool;
  std::shared_ptr<Pool> pool_;  // empty for a single thread
  VectorSet vectors_;
};

}  // namespace linseed
