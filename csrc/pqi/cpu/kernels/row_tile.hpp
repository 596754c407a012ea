// Rows become the columns of a tile, a block at a time: read, transposed and sorted in registers. Included by
// kernels.cpp alone.
#pragma once

#include <utility>

#include "../read_ahead.hpp"
#include "network.hpp"

namespace pqi::cpu {
namespace {

// Lanes of a and b in turn, from the lower or the upper half of every 16 bytes.
template <int upper, class Keys, int... i>
inline __attribute__((always_inline)) Keys zipped(Keys a, Keys b, std::integer_sequence<int, i...>) {
  constexpr int width = int(sizeof...(i)), part = width / (register_bytes / 16);
  return __builtin_shufflevector(a, b, (i / part * part + upper * (part / 2) + i % part / 2 + i % 2 * width)...);
}

// Every other 16 bytes of a, then of b.
template <int odd, class Keys, int... i>
inline __attribute__((always_inline)) Keys halved(Keys a, Keys b, std::integer_sequence<int, i...>) {
  constexpr int width = int(sizeof...(i)), part = width / (register_bytes / 16);
  return __builtin_shufflevector(a, b, ((2 * (i / part) + odd) * part + i % part)...);
}

template <int bit, class Keys, int... pair, class Places>
inline __attribute__((always_inline)) void zip_pairs(Keys* x, std::integer_sequence<int, pair...>, Places places) {
  const auto zip = [places](Keys& a, Keys& b) __attribute__((always_inline)) {
    const Keys low = zipped<0>(a, b, places), high = zipped<1>(a, b, places);
    a = low;
    b = high;
  };
  (zip(x[pair / bit * 2 * bit + pair % bit], x[pair / bit * 2 * bit + pair % bit + bit]), ...);
}

template <int bit, class Keys, int... pair, class Places>
inline __attribute__((always_inline)) void halve_pairs(Keys* x, std::integer_sequence<int, pair...>, Places places) {
  const auto halve = [places](Keys& a, Keys& b) __attribute__((always_inline)) {
    const Keys low = halved<0>(a, b, places), high = halved<1>(a, b, places);
    a = low;
    b = high;
  };
  (halve(x[pair / bit * 2 * bit + pair % bit], x[pair / bit * 2 * bit + pair % bit + bit]), ...);
}

// Transposes a square of as many registers as each has lanes: what was in register j comes into lane j. The registers
// come in another order than the lanes had: every step moves a bit of a register's number to the lowest place of a
// lane's number, within 16 bytes or among them, whose highest one takes its place.
template <class K>
inline __attribute__((always_inline)) void transpose_square(typename Registers<K>::Keys* x) {
  constexpr int width = Registers<K>::width, part = 16 / int(sizeof(K));
  constexpr auto places = std::make_integer_sequence<int, width>();
  constexpr auto pairs = std::make_integer_sequence<int, width / 2>();
  if constexpr (part == 4) zip_pairs<2>(x, pairs, places);
  zip_pairs<1>(x, pairs, places);
  if constexpr (width >= 2 * part) halve_pairs<part>(x, pairs, places);
  if constexpr (width >= 4 * part) halve_pairs<2 * part>(x, pairs, places);
}

// How many elements ahead each row is asked for, for the nearer and the farther cache, beyond its last one from where
// neighbouring rows follow: so many short streams are more than the hardware prefetches by itself.
constexpr size_t near_ahead = 64, far_ahead = 128;

// The bits of magnitudes as keys.
template <class K>
struct MagnitudeBits {
  static constexpr K lowest = 0;

  template <class Keys>
  inline __attribute__((always_inline)) Keys operator()(Keys bits) const {
    return bits & K(~(K(1) << (sizeof(K) * 8 - 1)));
  }
};

// What becomes of a block in registers before it is stored.
struct AsItIs {
  template <class Keys>
  inline __attribute__((always_inline)) void operator()(Keys*) const {}
};
struct Sorted {
  template <class Keys>
  inline __attribute__((always_inline)) void operator()(Keys* block) const {
    apply<sorting>(block);
  }
};

// Blocks of a tile from the keys of 16 rows of `width` elements, at any address; places beyond the last element hold
// the lowest key.
template <class K, class Key>
class RowBlocks {
 public:
  RowBlocks(const void* const* rows, size_t width, Key key)
      : width_(width), whole_(width / block_rows * block_rows), key_(key) {
    for (int j = 0; j < lanes; ++j) {
      from_[j] = static_cast<const char*>(rows[j]);
      padded_[j] = reinterpret_cast<const char*>(rest_[j]);
      for (size_t i = 0; i < block_rows; ++i) rest_[j][i] = key.lowest;
      __builtin_memcpy(rest_[j], from_[j] + whole_ * sizeof(K), (width - whole_) * sizeof(K));
    }
  }

  // Fills the block of a tile that begins with row i.
  template <class Finish>
  void load(size_t i, K* tile, Finish finish) const {
    if (i < whole_) load(from_, i, place(i + near_ahead), place(i + far_ahead), tile + i * lanes, finish);
    if (i >= whole_) load(padded_, 0, 0, 0, tile + i * lanes, finish);
  }

 private:
  // How far from a row's beginning its element i is, or an element of the row that follows so many tiles later.
  size_t place(size_t i) const { return i / width_ * (width_ * lanes) + i % width_; }

  // The 16 elements from `at` on of row j, for every j, into lane j; asks for those from `soon` and `later` on.
  template <class Finish>
  void load(const char* const* rows, size_t at, size_t soon, size_t later, K* out, Finish finish) const {
    typedef typename Registers<K>::Keys Keys;
    constexpr int width = Registers<K>::width;
    for (int lane = 0; lane < lanes; lane += width) {
      Keys block[block_rows];
#pragma GCC unroll 4
      for (int first = 0; first < block_rows; first += width) {
#pragma GCC unroll 16
        for (int r = 0; r < width; ++r) {
          const char* const row = rows[lane + r] + size_t(first) * sizeof(K);
          block[first + r] = key_(load_register<Keys>(row + at * sizeof(K)));
          if (first % (64 / int(sizeof(K))) == 0) read_ahead(row + soon * sizeof(K), row + later * sizeof(K));
        }
        transpose_square<K>(block + first);
      }
      finish(block);
#pragma GCC unroll 16
      for (int i = 0; i < block_rows; ++i) store_register(block[i], out + i * lanes + lane);
    }
  }

  size_t width_, whole_;
  Key key_;
  const char *from_[lanes], *padded_[lanes];
  K rest_[lanes][block_rows];
};

// Fills a tile of whole blocks, as the rows lie or with sorted columns.
template <class K, class Key>
void load_columns(const RowBlocks<K, Key>& blocks, size_t rows, K* tile) {
  for (size_t i = 0; i < rows; i += block_rows) blocks.load(i, tile, AsItIs{});
}
template <class K, class Key>
void load_sorted_columns(const RowBlocks<K, Key>& blocks, size_t rows, K* tile) {
  sort_columns(tile, rows, [&](size_t i) { blocks.load(i, tile, Sorted{}); });
}

}  // namespace
}  // namespace pqi::cpu
