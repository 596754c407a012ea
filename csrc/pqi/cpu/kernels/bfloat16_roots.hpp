// Exact sums of bfloat16 magnitudes and of their float64 roots, byte by byte. Included by kernels.cpp alone.
//
// A code without its sign is two bytes: the upper one, h, holds all but the last bit of the exponent, the lower one
// that bit and the mantissa. So the root is 2^(h − 63) times one of 256 numbers, which stand in tables byte by byte,
// and bytes times powers of two, which are bytes too within seven octaves of roots, are what the processor multiplies
// and adds up.
#pragma once

#ifdef __AVX512VBMI__
#include <immintrin.h>
#endif

#include "../kernels.hpp"
#include "../read_ahead.hpp"
#include "keys.hpp"

namespace pqi::cpu {
namespace {

#if defined(__AVX512VBMI__) && defined(__AVX512VNNI__)

constexpr int root_bytes = 7, root_octaves = 7;
static_assert(root_bytes <= ExactTerms::most);

// √x as float64 rounds it, in units of 2^-53, of the x from [½, 2) that a lower byte stands for.
constexpr uint64_t rounded_root(uint32_t byte) {
  // In units of 2^-54: a bit more than roots below 1 have, two more than the others. None lies half-way.
  const uint128 square = uint128((byte & 127) + 128) << (100 + (byte >> 7));
  uint64_t root = 0;
  for (uint64_t bit = uint64_t(1) << 54; bit != 0; bit >>= 1)
    if (uint128(root | bit) * (root | bit) <= square) root |= bit;
  const int spare = root >> 54 != 0 ? 2 : 1;
  return (root + spare) >> spare << (spare - 1);
}

struct RootTable {
  alignas(64) uint8_t at[root_bytes][256];
};
constexpr RootTable root_table() {
  RootTable table{};
  for (uint32_t byte = 0; byte < 256; ++byte)
    for (int i = 0; i < root_bytes; ++i) table.at[i][byte] = uint8_t(rounded_root(byte) >> (8 * i));
  return table;
}
constexpr RootTable roots = root_table();

// Weights by upper byte: from at[127 − the greatest one] on.
struct Ramp {
  uint8_t at[256];
};
// base^(places − 1) for the greatest upper byte but `first`, and so on down to 1; `others` elsewhere.
constexpr Ramp ramp(int base, int first, int places, uint8_t others) {
  Ramp weights{};
  for (uint8_t& weight : weights.at) weight = others;
  for (int place = first + places - 1, weight = 1; place >= first; --place, weight *= base)
    weights.at[127 - place] = uint8_t(weight);
  return weights;
}
constexpr uint8_t outside = 128;
constexpr Ramp root_ramp = ramp(2, 0, root_octaves, outside), upper_ramp = ramp(4, 0, 4, 0),
               lower_ramp = ramp(4, 4, 4, 0);

// One of 128 bytes each, by the lower seven bits of `byte`.
struct Bytes {
  __m512i lower, upper;

  explicit Bytes(const uint8_t* from) : lower(_mm512_loadu_si512(from)), upper(_mm512_loadu_si512(from + 64)) {}
  // `ends` is for the least upper byte, of zeros and subnormal numbers, and the last one, of infinities and NaNs.
  Bytes(const Ramp& weights, int greatest, uint8_t ends) : Bytes(weights.at + 127 - greatest) {
    lower = _mm512_mask_mov_epi8(lower, 1, _mm512_set1_epi8(char(ends)));
    upper = _mm512_mask_mov_epi8(upper, 1ull << 63, _mm512_set1_epi8(char(ends)));
  }

  __m512i operator()(__m512i byte) const { return _mm512_permutex2var_epi8(lower, byte, upper); }
};

// The weights of elements, taken from those that are not added up here.
struct Weights {
  __m512i root, upper, lower;

  void keep(__mmask64 elements) {
    for (__m512i* weight : {&root, &upper, &lower}) *weight = _mm512_maskz_mov_epi8(elements, *weight);
  }
};

struct ByteSums {
  __m512i root[root_bytes] = {}, one[2] = {};  // of upper_ramp and lower_ramp

  void add(__m512i low, const Weights& weights) {
    const __mmask64 odd = _mm512_movepi8_mask(low);
    const __m512i of_odd = _mm512_maskz_mov_epi8(odd, weights.root), of_even = _mm512_sub_epi8(weights.root, of_odd);
    for (int i = 0; i < root_bytes; ++i) {
      root[i] = _mm512_dpbusd_epi32(root[i], Bytes(roots.at[i])(low), of_even);
      root[i] = _mm512_dpbusd_epi32(root[i], Bytes(roots.at[i] + 128)(low), of_odd);
    }
    const __m512i mantissa = _mm512_or_si512(low, _mm512_set1_epi8(char(128)));
    const __m512i again = _mm512_maskz_mov_epi8(odd, mantissa);  // an odd exponent counts twice
    one[0] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(one[0], mantissa, weights.upper), again, weights.upper);
    one[1] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(one[1], mantissa, weights.lower), again, weights.lower);
  }
};

// Every second byte of two registers, from `first` on.
inline __m512i places(int first) {
  uint8_t place[sizeof(__m512i)];
  for (size_t i = 0; i < sizeof place; ++i) place[i] = uint8_t(2 * i + size_t(first));
  return _mm512_loadu_si512(place);
}

inline int greatest_byte(__m512i bytes) {
  uint8_t byte[sizeof(__m512i)], greatest = 0;
  _mm512_storeu_si512(byte, bytes);
  for (uint8_t b : byte) greatest = b > greatest ? b : greatest;
  return greatest;
}

inline void put_term(ExactTerms& terms, __m512i sums, int exponent) {
  terms.value[terms.count] = uint64_t(_mm512_reduce_add_epi32(sums));
  terms.exponent[terms.count++] = exponent;
}

// Of two stretches, those with any of the elements go to `left`; returns the others' elements.
inline __mmask64 leave(__mmask64 elements, const uint16_t* codes, uint16_t* left, size_t& count) {
  __mmask64 kept = ~0ull;
  for (size_t half = 0; half < 2; ++half) {
    const uint64_t stretch = uint64_t(0xffffffff) << (32 * half);
    if ((elements & stretch) == 0) continue;
    std::memcpy(left + count, codes + half * code_stretch, code_stretch * sizeof *codes);
    count += code_stretch;
    kept &= ~stretch;
  }
  return kept;
}

size_t sum_bfloat16_roots(const uint16_t* codes, size_t n, int* hint, ExactTerms out[3], uint16_t* left) {
  constexpr size_t step = 2 * code_stretch;
  static_assert(step == sizeof(__m512i) && code_turn % step == 0);
  if (*hint == no_hint) {
    uint64_t zeros = 0;
    *hint = extent<uint16_t>(codes, n, key_rule<uint16_t>(DType::bf16), &zeros) >> 8;
  }
  const int greatest = *hint;
  const __m512i low_places = places(0), high_places = places(1);
  const Bytes root_weights(root_ramp, greatest, outside), upper_weights(upper_ramp, greatest, 0),
      lower_weights(lower_ramp, greatest, 0);
  ByteSums sums;
  __m512i most{};
  size_t count = 0;
  for (size_t pair = 0; pair < n / step; ++pair) {
    const uint16_t* const at = codes + pair * step;
    read_ahead(at);
    read_ahead(at + code_stretch);
    const __m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + code_stretch);
    const __m512i low = _mm512_permutex2var_epi8(first, low_places, second);
    const __m512i high = _mm512_and_si512(_mm512_permutex2var_epi8(first, high_places, second), _mm512_set1_epi8(127));
    most = _mm512_max_epu8(most, high);
    Weights weights{root_weights(high), upper_weights(high), lower_weights(high)};
    if (const __mmask64 apart = _mm512_movepi8_mask(weights.root); apart != 0) {
      const __mmask64 far = _mm512_mask_test_epi8_mask(apart, _mm512_or_si512(low, high), _mm512_set1_epi8(char(255)));
      weights.keep(~apart & (far == 0 ? ~0ull : leave(far, at, left, count)));
    }
    sums.add(low, weights);
  }
  // The next chunk is to expect no more, unless this one is zero; but a few numbers above the others do not count.
  if (const int found = greatest_byte(most); 0 < found && found < greatest) *hint = found;
  ExactTerms &half = out[0], &one = out[1];
  half.count = one.count = 0;
  for (int i = 0; i < root_bytes; ++i) put_term(half, sums.root[i], 8 * i - 53 + greatest - 63 - (root_octaves - 1));
  for (int i = 0; i < 2; ++i) put_term(one, sums.one[i], 2 * (greatest - 3 - 4 * i) - 127 - 7);
  return count;
}

constexpr bool sums_bfloat16_roots = true;

#elif defined(__AVX2__)
size_t sum_bfloat16_roots(const uint16_t*, size_t, int*, ExactTerms[3], uint16_t*) { return 0; }
constexpr bool sums_bfloat16_roots = false;
#endif

}  // namespace
}  // namespace pqi::cpu
