// The power sums of one chunk by four threads, in the order of ../reduction.hpp: thread t of the four has lanes
// 4t … 4t + 3, so a row is four 16-byte loads side by side.
#pragma once

#include "../reduction.hpp"
#include "source.hpp"

namespace pqi::cuda {

inline constexpr int quad = 4;                   // threads to a chunk
inline constexpr int quad_lanes = lanes / quad;  // lanes to a thread
inline constexpr size_t row_pair = 2 * lanes;    // elements
inline constexpr int most_exponents = 32;        // of one launch

// Which exponents a launch sums.
struct Plan {
  unsigned which = 0;  // 1 << PowerKind for each of ½, 1, 2 that the whole call asks for
  int count = 0;
  double r[most_exponents];
  uint32_t place[most_exponents];  // among the call's exponents
};

template <class T>
struct Row {
  T x[quad_lanes];
};

// A chunk as one of its threads sees it; rows from memory as it is while they last, else element by element.
template <class T>
class Chunk {
 public:
  PQI_DEVICE Chunk(Block& block, Cursor& cursor, uint64_t begin, uint64_t size)
      : cursor_(cursor), begin_(begin), size_(size), first_(uint32_t(block.thread() % quad) * quad_lanes) {
    if (const char* at = cursor.direct(sizeof(T) == 4 ? DType::f32 : DType::f64, begin, size)) {
      direct_ = reinterpret_cast<const T*>(at);
      direct_pairs_ = uint32_t(size / row_pair);
    }
  }

  // Calls f(a, b) for this thread's share of every two rows.
  template <class F>
  PQI_DEVICE void for_each_row_pair(F f) {
    const auto pairs = uint32_t((size_ + row_pair - 1) / row_pair);
    const T* x = direct_ + first_;
    for (uint32_t i = 0; i < direct_pairs_; ++i, x += row_pair) f(load(x), load(x + lanes));
    for (uint32_t i = direct_pairs_; i < pairs; ++i) {
      const Row<T> a = gather(i * row_pair);
      f(a, gather(i * row_pair + lanes));
    }
  }

  PQI_DEVICE Row<T> gather(uint64_t row) {
    Row<T> result;
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) {
      const uint64_t i = row + first_ + uint32_t(j);
      result.x[j] = i < size_ ? cursor_.number<T>(begin_ + i) : T(0);
    }
    return result;
  }

  PQI_DEVICE uint64_t size() const { return size_; }
  PQI_DEVICE uint32_t first() const { return first_; }

 private:
  PQI_DEVICE static Row<T> load(const T* x) {
    struct alignas(16) Half {
      T x[16 / sizeof(T)];
    };
    Row<T> row;
    constexpr int in_half = int(16 / sizeof(T));
    PQI_UNROLL for (int j = 0; j < quad_lanes; j += in_half) {
      const Half half = *reinterpret_cast<const Half*>(x + j);
      PQI_UNROLL for (int i = 0; i < in_half; ++i) row.x[j + i] = half.x[i];
    }
    return row;
  }

  Cursor& cursor_;
  const uint64_t begin_, size_;
  const uint32_t first_;
  const T* direct_ = nullptr;
  uint32_t direct_pairs_ = 0;
};

// The fold of reduction.hpp over four threads; the result is the first one's.
PQI_DEVICE double fold_quad(Block& block, double* lane) {
  PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) lane[j] += block.shuffle_down(lane[j], 2, quad);
  PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) lane[j] += block.shuffle_down(lane[j], 1, quad);
  return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

template <class T>
PQI_DEVICE T largest_of_quad(Block& block, T value) {
  for (int mask = 1; mask < quad; mask *= 2) {
    const T other = block.shuffle_xor(value, mask, quad);
    value = value < other ? other : value;
  }
  return value;
}

// Of float32 the largest number (NaN aside), of float64 the largest key.
PQI_DEVICE float largest_magnitude(float largest, float x) { return largest < x ? x : largest; }
PQI_DEVICE double largest_magnitude(double largest, double x) {
  return bits_as<uint64_t>(largest) < bits_as<uint64_t>(x) ? x : largest;
}

PQI_DEVICE int binade_of_key(uint64_t key) { return key == 0 ? 0 : binade(bits_as<double>(key)); }

// Sums of the exponents ½, 1, 2 that `which` names, at this scale; on all four threads. Also the largest magnitude.
template <class T>
PQI_DEVICE T special_sums(Block& block, Chunk<T>& chunk, unsigned which, int scale, double out[3]) {
  const T factor = T(exact_power_of_two(-scale));
  double half[quad_lanes] = {}, one[quad_lanes] = {}, two[quad_lanes] = {};
  T low[quad_lanes] = {}, largest = T(0);
  chunk.for_each_row_pair([&](const Row<T>& a, const Row<T>& b) {
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) {
      const T x = magnitude(a.x[j]), y = magnitude(b.x[j]), scaled_x = x * factor, scaled_y = y * factor;
      const double wide_x = double(scaled_x), wide_y = double(scaled_y);
      if (which & 1u << int(PowerKind::half)) add_roots(scaled_x, scaled_y, half[j], low[j]);
      if (which & 1u << int(PowerKind::one)) one[j] += wide_x + wide_y;
      if (which & 1u << int(PowerKind::two)) two[j] += wide_x * wide_x + wide_y * wide_y;
      largest = largest_magnitude(largest_magnitude(largest, x), y);
    }
  });
  PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) half[j] = close_roots(half[j], low[j]);
  out[0] = block.broadcast(fold_quad(block, half), 0, quad);
  out[1] = block.broadcast(fold_quad(block, one), 0, quad);
  out[2] = block.broadcast(fold_quad(block, two), 0, quad);
  return largest;
}

PQI_DEVICE double float_logarithm(float x, double shift) {
  const Log2 l = quick_log2(double(x));
  return (l.exponent - shift) + l.fraction;
}

PQI_DEVICE double masked_power(double exponent, uint64_t mask) {
  return bits_as<double>(bits_as<uint64_t>(quick_exp2(exponent)) & mask);
}

// `count` of the general exponents at a time; the sums are the first thread's, the bits of the largest
// magnitude everyone's.
template <int count>
PQI_DEVICE uint32_t general_sums(Block& block, Chunk<float>& chunk, const double* r, double shift, double* out) {
  double sum[count][quad_lanes] = {};
  uint32_t largest = 0;
  chunk.for_each_row_pair([&](const Row<float>& a, const Row<float>& b) {
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) {
      const uint32_t x = bits_as<uint32_t>(magnitude(a.x[j])), y = bits_as<uint32_t>(magnitude(b.x[j]));
      largest = largest < x ? x : largest;
      largest = largest < y ? y : largest;
      const double log_x = float_logarithm(bits_as<float>(x), shift), log_y = float_logarithm(bits_as<float>(y), shift);
      const uint64_t mask_x = x == 0 ? 0 : ~uint64_t(0), mask_y = y == 0 ? 0 : ~uint64_t(0);
      PQI_UNROLL for (int e = 0; e < count; ++e) sum[e][j] =
          (sum[e][j] + masked_power(r[e] * log_x, mask_x)) + masked_power(r[e] * log_y, mask_y);
    }
  });
  PQI_UNROLL for (int e = 0; e < count; ++e) out[e] = fold_quad(block, sum[e]);
  return largest_of_quad(block, largest);
}

// Any finite, infinite or NaN element, any exponent; the sum is the first thread's. Also the key of the largest.
template <class T>
PQI_DEVICE uint64_t guarded_sum(Block& block, Chunk<T>& chunk, double r, int scale, double* out) {
  double sum[quad_lanes] = {};
  uint64_t largest = 0;
  chunk.for_each_row_pair([&](const Row<T>& a, const Row<T>& b) {
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) {
      const double x = magnitude(double(a.x[j])), y = magnitude(double(b.x[j]));
      sum[j] += power_shifted(x, r, double(scale));
      sum[j] += power_shifted(y, r, double(scale));
      const uint64_t key_x = bits_as<uint64_t>(x), key_y = bits_as<uint64_t>(y);
      largest = largest < key_x ? key_x : largest;
      largest = largest < key_y ? key_y : largest;
    }
  });
  *out = fold_quad(block, sum);
  return largest_of_quad(block, largest);
}

}  // namespace pqi::cuda
