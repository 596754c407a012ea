// A chunk of a group as one of its four threads sees it, in the order of ../reduction.hpp: thread t of the four has
// lanes 4t … 4t + 3, so a row is four 16-byte loads side by side.
#pragma once

#include "../reduction.hpp"
#include "source.hpp"

namespace pqi::cuda {

inline constexpr int quad = 4;                   // threads to a chunk
inline constexpr int quad_lanes = lanes / quad;  // lanes to a thread
inline constexpr size_t row_pair = 2 * lanes;    // elements

// A thread's share of a row.
template <class T>
struct Row {
  T x[quad_lanes];
};

// Rows are read from memory as it is while they last, else element by element. Where the groups are `plain` memory (see
// Groups) no other code is compiled, which leaves registers for more threads.
template <class T, bool plain>
class Chunk {
 public:
  PQI_DEVICE Chunk(Block& block, Cursor& cursor, uint64_t begin, uint64_t size)
      : cursor_(cursor), begin_(begin), size_(size), first_(uint32_t(block.thread() % quad) * quad_lanes) {
    const char* const at =
        plain ? cursor.address(begin) : cursor.direct(sizeof(T) == 4 ? DType::f32 : DType::f64, begin, size);
    direct_ = reinterpret_cast<const T*>(at);
    if (at != nullptr) direct_pairs_ = uint32_t(size / row_pair);
  }

  // Calls f(a, b) for this thread's share of every two rows. Four loads are under way at a time.
  template <class F>
  PQI_DEVICE void for_each_row_pair(F f) {
    const auto pairs = uint32_t((size_ + row_pair - 1) / row_pair);
    const T* x = direct_ + first_;
    uint32_t i = 0;
    for (; i + 2 <= direct_pairs_; i += 2, x += 2 * row_pair) {
      const Row<T> a = load(x), b = load(x + lanes), c = load(x + 2 * lanes), d = load(x + 3 * lanes);
      f(a, b);
      f(c, d);
    }
    for (; i < pairs; ++i) {
      const Row<T> a = gather(i * row_pair);
      f(a, gather(i * row_pair + lanes));
    }
  }

  // This thread's share of the row that begins there; zeros behind the end.
  PQI_DEVICE Row<T> gather(uint64_t row) {
    const uint64_t i = row + first_;
    if constexpr (plain) {
      Row<T> result;
      PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) result.x[j] =
          i + uint32_t(j) < size_ ? direct_[i + uint32_t(j)] : T(0);
      return result;
    } else {
      const uint64_t rest = i < size_ ? size_ - i : 0;
      return gather(cursor_, begin_ + i, rest < quad_lanes ? int(rest) : quad_lanes);
    }
  }

  PQI_DEVICE uint64_t size() const { return size_; }

 private:
  // The first n of a row's elements. In the middle of a kernel all that elements can be is too much for nvcc 13.0,
  // which crashes, and for the registers.
  PQI_OUT_OF_LINE static Row<T> gather(Cursor& cursor, uint64_t i, int n) {
    Row<T> result{};
    if (n == quad_lanes) {
      cursor.numbers(i, result.x);
    } else {
      PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) if (j < n) result.x[j] = cursor.number<T>(i + uint64_t(j));
    }
    return result;
  }

  PQI_DEVICE static Row<T> load(const T* x) {
    struct alignas(16) Part {
      T x[16 / sizeof(T)];
    };
    Row<T> row;
    constexpr int in_part = int(16 / sizeof(T));
    PQI_UNROLL for (int j = 0; j < quad_lanes; j += in_part) {
      const Part part = *reinterpret_cast<const Part*>(x + j);
      PQI_UNROLL for (int i = 0; i < in_part; ++i) row.x[j + i] = part.x[i];
    }
    return row;
  }

  Cursor& cursor_;
  const uint64_t begin_, size_;
  const uint32_t first_;
  const T* direct_;
  uint32_t direct_pairs_ = 0;
};

}  // namespace pqi::cuda
