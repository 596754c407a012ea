// Memory for intermediate results and large masks, kept between calls: a fresh page costs more than the work on it. One
// cache for the process serves all threads; a block is in nobody's or in one owner's hands, so concurrent calls never
// meet in it.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace pqi::cpu {

// Idle bytes that the cache may keep. At first 1 GiB, or a sixteenth of the machine's memory where that is less; 0
// keeps nothing. What exceeds it is given back to the system, the longest idle first.
void set_workspace_limit(size_t bytes);
size_t workspace_limit();
// Idle bytes that it keeps now.
size_t workspace_bytes();
// Gives all idle bytes back to the system.
void release_workspace();

namespace workspace {
inline constexpr size_t smallest = size_t(1) << 14;  // smaller blocks are the C++ library's business

// At least this many bytes, uninitialised, on a page boundary; throws std::bad_alloc.
void* take(size_t bytes);
// Takes back what take(bytes) gave.
void give(void* block, size_t bytes) noexcept;

template <class T>
struct Allocator {
  using value_type = T;

  Allocator() = default;
  template <class U>
  Allocator(const Allocator<U>&) {}

  T* allocate(size_t n) {
    if (n > size_t(-1) / 2 / sizeof(T)) throw std::bad_array_new_length();
    const size_t bytes = n * sizeof(T);
    return static_cast<T*>(bytes < smallest ? ::operator new(bytes) : take(bytes));
  }
  void deallocate(T* block, size_t n) noexcept {
    const size_t bytes = n * sizeof(T);
    bytes < smallest ? ::operator delete(block) : give(block, bytes);
  }
  // Elements made without a value stay uninitialised.
  template <class U>
  void construct(U* element) noexcept {
    ::new (static_cast<void*>(element)) U;
  }
  template <class U, class... Arguments>
  void construct(U* element, Arguments&&... arguments) {
    ::new (static_cast<void*>(element)) U(static_cast<Arguments&&>(arguments)...);
  }

  template <class U>
  bool operator==(const Allocator<U>&) const {
    return true;
  }
};
}  // namespace workspace

// A vector in the workspace. Numbers that `resize` or the constructor from a size adds are uninitialised.
template <class T>
using Buffer = std::vector<T, workspace::Allocator<T>>;

}  // namespace pqi::cpu
