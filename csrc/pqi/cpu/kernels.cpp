// Plain loops over fixed lanes that the compiler vectorises; compiled once per instruction set with PQI_KERNELS naming
// the exported table. Everything else here is internal to the object: an inline function shared with another object
// would let the linker pick the copy that this machine cannot run.
#include "kernels.hpp"

#ifndef PQI_KERNELS
#define PQI_KERNELS kernels_baseline
#define PQI_KERNELS_NAME "baseline"
#endif

namespace pqi::cpu {
namespace {

template <class In, class Out, class F>
inline void map(const void* in, size_t n, Out* out, F f) {
  const In* x = static_cast<const In*>(in);
  for (size_t i = 0; i < n; ++i) out[i] = Out(f(x[i]));
}

template <class Out>
void to_number(DType t, const void* in, size_t n, Out* out) {
  const auto same = [](auto x) { return Out(x); };
  switch (t) {
    case DType::f64:
      return map<double>(in, n, out, same);
    case DType::f32:
      return map<float>(in, n, out, same);
    case DType::f16:
      return map<uint16_t>(in, n, out, half_to_float);
    case DType::bf16:
      return map<uint16_t>(in, n, out, bfloat_to_float);
    case DType::e4m3:
      return map<uint8_t>(in, n, out, e4m3_to_float);
    case DType::e5m2:
      return map<uint8_t>(in, n, out, e5m2_to_float);
    case DType::i8:
      return map<int8_t>(in, n, out, same);
    case DType::i16:
      return map<int16_t>(in, n, out, same);
    case DType::i32:
      return map<int32_t>(in, n, out, same);
    case DType::i64:
      return map<int64_t>(in, n, out, same);
    case DType::u8:
      return map<uint8_t>(in, n, out, same);
    case DType::u16:
      return map<uint16_t>(in, n, out, same);
    case DType::u32:
      return map<uint32_t>(in, n, out, same);
    case DType::u64:
      return map<uint64_t>(in, n, out, same);
    case DType::boolean:
      return map<uint8_t>(in, n, out, [](uint8_t x) { return Out(x != 0); });
  }
}

template <class U>
void to_bits(DType t, const void* in, size_t n, U* out) {
  const auto same = [](auto x) { return U(x); };
  const auto magnitude = [](auto x) { return U(unsigned_magnitude<U>(x)); };
  switch (t) {
    case DType::i8:
      return map<int8_t>(in, n, out, magnitude);
    case DType::i16:
      return map<int16_t>(in, n, out, magnitude);
    case DType::i32:
      return map<int32_t>(in, n, out, magnitude);
    case DType::i64:
      return map<int64_t>(in, n, out, magnitude);
    case DType::boolean:
      return map<uint8_t>(in, n, out, [](uint8_t x) { return U(x != 0); });
    default:
      break;
  }
  switch (item_size(t)) {
    case 1:
      return map<uint8_t>(in, n, out, same);
    case 2:
      return map<uint16_t>(in, n, out, same);
    case 4:
      return map<uint32_t>(in, n, out, same);
    default:
      return map<uint64_t>(in, n, out, same);
  }
}

// Calls rows(a, b) for every two rows of a chunk, the last ones padded with zeros.
template <class T, class Rows>
inline __attribute__((always_inline)) void for_each_row_pair(const T* x, size_t n, Rows rows) {
  const size_t whole = n / (2 * lanes) * (2 * lanes);
  for (size_t i = 0; i < whole; i += 2 * lanes) rows(x + i, x + i + lanes);
  if (whole < n) {
    T padded[2 * lanes] = {};
    for (size_t i = whole; i < n; ++i) padded[i - whole] = x[i];
    rows(padded, padded + lanes);
  }
}

inline float magnitude(float x) { return bits_as<float>(bits_as<uint32_t>(x) & 0x7fffffffu); }
inline double magnitude(double x) { return bits_as<double>(bits_as<uint64_t>(x) & 0x7fffffffffffffffull); }
inline __attribute__((always_inline)) void add_roots(float a, float b, double& sum, float& low) {
  const RootPair roots = root_pair(a, b);
  sum += double(roots.sum);
  low += roots.low;
}
inline __attribute__((always_inline)) void add_roots(double a, double b, double& sum, double&) {
  sum += __builtin_sqrt(a) + __builtin_sqrt(b);
}

template <unsigned which, class T>
void special_fixed(const T* x, size_t n, T factor, double out[3]) {
  double half[lanes] = {}, one[lanes] = {}, two[lanes] = {};
  T low[lanes] = {};
  for_each_row_pair(x, n, [&](const T* a, const T* b) {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) {
      const T scaled_a = magnitude(a[j]) * factor, scaled_b = magnitude(b[j]) * factor;
      const double wide_a = double(scaled_a), wide_b = double(scaled_b);
      if constexpr (which & sum_half) add_roots(scaled_a, scaled_b, half[j], low[j]);
      if constexpr (which & sum_one) one[j] += wide_a + wide_b;
      if constexpr (which & sum_two) two[j] += wide_a * wide_a + wide_b * wide_b;
    }
  });
  if constexpr (which & sum_half) {
    for (int j = 0; j < lanes; ++j) half[j] += low[j] - low[j] == T(0) ? double(low[j]) : 0.0;  // infinite: in half
    out[0] = fold(half);
  }
  if constexpr (which & sum_one) out[1] = fold(one);
  if constexpr (which & sum_two) out[2] = fold(two);
}

template <class T>
void special(unsigned which, const T* x, size_t n, T factor, double out[3]) {
  switch (which) {
    case sum_half:
      return special_fixed<sum_half>(x, n, factor, out);
    case sum_one:
      return special_fixed<sum_one>(x, n, factor, out);
    case sum_two:
      return special_fixed<sum_two>(x, n, factor, out);
    case sum_half | sum_one:
      return special_fixed<sum_half | sum_one>(x, n, factor, out);
    case sum_half | sum_two:
      return special_fixed<sum_half | sum_two>(x, n, factor, out);
    case sum_one | sum_two:
      return special_fixed<sum_one | sum_two>(x, n, factor, out);
    default:
      return special_fixed<sum_half | sum_one | sum_two>(x, n, factor, out);
  }
}

// Sums of `count` powers of float32 elements; one logarithm an element, then one exponential an exponent.
template <size_t count>
void general_fixed(const float* x, size_t n, const double* r, double shift, double* out) {
  double sums[count][lanes] = {};
  const auto row = [&](const float* v) {
    double logarithm[lanes];
    uint64_t nonzero[lanes];
#pragma omp simd
    for (int j = 0; j < lanes; ++j) {
      const double value = double(magnitude(v[j]));
      const Log2 l = log2_parts<false>(value);
      logarithm[j] = (l.exponent - shift) + l.fraction;
      nonzero[j] = value == 0.0 ? 0 : ~uint64_t(0);
    }
    for (size_t e = 0; e < count; ++e) {
#pragma omp simd
      for (int j = 0; j < lanes; ++j)
        sums[e][j] += bits_as<double>(bits_as<uint64_t>(bounded_power(logarithm[j], r[e])) & nonzero[j]);
    }
  };
  for_each_row_pair(x, n, [&](const float* a, const float* b) {
    row(a);
    row(b);
  });
  for (size_t e = 0; e < count; ++e) out[e] = fold(sums[e]);
}

// float32 whose powers stay in range at this scale: no guards but for zero; false if an element is not finite.
bool general_float(const float* x, size_t n, const double* r, double shift, size_t exponents, double* out) {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = bits_as<uint32_t>(x[i]) & 0x7fffffffu;
    largest = bits > largest ? bits : largest;
  }
  if (largest >= 0x7f800000u) return false;
  size_t e = 0;
  for (; e + 8 <= exponents; e += 8) general_fixed<8>(x, n, r + e, shift, out + e);
  for (; e + 2 <= exponents; e += 2) general_fixed<2>(x, n, r + e, shift, out + e);
  for (; e < exponents; ++e) general_fixed<1>(x, n, r + e, shift, out + e);
  return true;
}

// Any finite, infinite or NaN element, any exponent.
double general_double(const double* x, size_t n, double r, double shift) {
  double sum[lanes] = {};
  const auto row = [&](const double* v) {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) sum[j] += power_shifted<true>(magnitude(v[j]), r, shift);
  };
  for_each_row_pair(x, n, [&](const double* a, const double* b) {
    row(a);
    row(b);
  });
  return fold(sum);
}

void powers(double* x, size_t n, double r, double shift) {
#pragma omp simd
  for (size_t i = 0; i < n; ++i) x[i] = power_shifted<true>(x[i], r, shift);
}

uint64_t largest_double(const double* x, size_t n) {
  uint64_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint64_t bits = bits_as<uint64_t>(x[i]) & 0x7fffffffffffffffull;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

template <class K>
K extent(const K* bits, size_t n, KeyRule<K> rule, uint64_t* zeros) {
  K largest = 0;
  uint64_t nonzero = 0;
  for (size_t i = 0; i < n; ++i) {
    const K key = rule(bits[i]);
    largest = key > largest ? key : largest;
    nonzero += key != 0;
  }
  *zeros += n - nonzero;
  return largest;
}

// Batcher's merge exchange (Knuth 5.2.2 M): a sorting network for any width; every lane is a column of its own.
template <class K>
void sort_columns(K* tile, size_t width) {
  size_t top = 1;
  while (top * 2 < width) top *= 2;
  for (size_t p = top; p > 0 && width > 1; p /= 2) {
    for (size_t q = top, r = 0, d = p;; d = q - p, q /= 2, r = p) {
      for (size_t i = 0; i + d < width; ++i) {
        if ((i & p) != r) continue;
        K *a = tile + i * lanes, *b = tile + (i + d) * lanes;
#pragma omp simd
        for (int j = 0; j < lanes; ++j) {
          const K low = a[j] < b[j] ? a[j] : b[j], high = a[j] < b[j] ? b[j] : a[j];
          a[j] = low;
          b[j] = high;
        }
      }
      if (q == p) break;
    }
  }
}

// hi + lo += x, exactly up to rounding lo.
inline void add_exactly(double x, double& hi, double& lo) {
  const double sum = hi + x, back = sum - hi;
  lo += (hi - (sum - back)) + (x - back);
  hi = sum;
}

// Keys are below 2^31 or 2^63, so signed comparisons, which every instruction set has, order them.
template <class Signed, class Number>
void rank_columns(Signed* tile, size_t width, const double* live, RankedLanes* out) {
  sort_columns(tile, width);
  double factor[lanes];
  const Signed* last = tile + (width - 1) * lanes;
  for (int j = 0; j < lanes; ++j) {
    out->ranked_hi[j] = out->ranked_lo[j] = out->sum_hi[j] = out->sum_lo[j] = 0.0;
    out->largest[j] = uint64_t(last[j]);
    factor[j] =
        sizeof(Number) == 4 ? 1.0 : exact_power_of_two(-scale_of(0.0, binade(double(bits_as<Number>(last[j])))));
  }
  for (size_t i = 0; i < width; ++i) {
    const double rank = 2.0 * (double(i) + 1.0 - double(width)) - 1.0;
#pragma omp simd
    for (int j = 0; j < lanes; ++j) {
      const double value = double(bits_as<Number>(tile[i * lanes + size_t(j)])) * factor[j], weight = rank + live[j];
      add_exactly(value, out->sum_hi[j], out->sum_lo[j]);
      // The weight has few bits, so its products with the halves of a double are exact.
      const double upper = bits_as<double>(bits_as<uint64_t>(value) & 0xfffffffff8000000ull);
      add_exactly(weight * upper, out->ranked_hi[j], out->ranked_lo[j]);
      if (sizeof(Number) == 8) add_exactly(weight * (value - upper), out->ranked_hi[j], out->ranked_lo[j]);
    }
  }
}

void rank_floats(uint32_t* tile, size_t width, const double* live, RankedLanes* out) {
  rank_columns<int32_t, float>(reinterpret_cast<int32_t*>(tile), width, live, out);
}

void rank_doubles(uint64_t* tile, size_t width, const double* live, RankedLanes* out) {
  rank_columns<int64_t, double>(reinterpret_cast<int64_t*>(tile), width, live, out);
}

uint64_t pairwise_differences(const uint8_t* counts, uint32_t n) {
  constexpr size_t steps = 65536 / lanes;
  uint32_t below[lanes] = {};
  for (size_t t = 0; t < steps; ++t)
    for (int l = 0; l < lanes; ++l) below[l] += counts[t * lanes + size_t(l)];
  uint32_t total = 0;
  for (int l = 0; l < lanes; ++l) {
    const uint32_t here = below[l];
    below[l] = total;
    total += here;
  }
  uint64_t sums[lanes] = {};
  for (size_t t = 0; t < steps; ++t) {
#pragma omp simd
    for (int l = 0; l < lanes; ++l) {
      below[l] += counts[t * lanes + size_t(l)];
      sums[l] += uint64_t(below[l]) * uint64_t(n - below[l]);
    }
  }
  uint64_t sum = 0;
  for (int l = 0; l < lanes; ++l) sum += sums[l];
  return sum;
}

uint64_t count_true(const uint8_t* x, size_t n) {
  uint64_t count = 0;
  for (size_t i = 0; i < n; ++i) count += x[i] != 0;
  return count;
}

uint64_t read(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  uint64_t lane[32] = {};
  size_t i = 0;
  for (; i + sizeof lane <= bytes; i += sizeof lane) {
    uint64_t word[32];
    std::memcpy(word, p + i, sizeof word);
    for (int j = 0; j < 32; ++j) lane[j] += word[j];
  }
  uint64_t sum = 0;
  for (int j = 0; j < 32; ++j) sum += lane[j];
  for (; i < bytes; ++i) sum += uint8_t(p[i]);
  return sum;
}

template <class K>
uint64_t classify(const K* bits, size_t n, KeyRule<K> rule, K low, K high, uint8_t* out, uint64_t* between) {
  for (size_t i = 0; i < n; ++i) {
    const K key = rule(bits[i]);
    out[i] = uint8_t(uint8_t(key > high) | uint8_t(uint8_t(key >= low && key <= high) << 1));
  }
  uint64_t above = 0, inside = 0;
  for (size_t begin = 0; begin < n; begin += 1024) {
    const size_t end = n - begin < 1024 ? n : begin + 1024;
    uint16_t ones = 0, twos = 0;
    for (size_t i = begin; i < end; ++i) {
      ones = uint16_t(ones + (out[i] & 1));
      twos = uint16_t(twos + (out[i] >> 1));
    }
    above += ones;
    inside += twos;
  }
  *between += inside;
  return above;
}

}  // namespace

const Kernels PQI_KERNELS = {
    PQI_KERNELS_NAME,
    to_number<float>,
    to_number<double>,
    to_bits<uint16_t>,
    to_bits<uint32_t>,
    to_bits<uint64_t>,
    special<float>,
    special<double>,
    general_float,
    general_double,
    powers,
    largest_double,
    extent<uint16_t>,
    extent<uint32_t>,
    extent<uint64_t>,
    rank_floats,
    rank_doubles,
    pairwise_differences,
    count_true,
    read,
    classify<uint16_t>,
    classify<uint32_t>,
    classify<uint64_t>,
};

}  // namespace pqi::cpu
