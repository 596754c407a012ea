// Exact sums of float16 magnitudes and of their roots by ../../float16_root.hpp, in integers. Included by kernels.cpp
// alone.
#pragma once

#ifdef __AVX512BW__
#include <immintrin.h>
#endif

#include "../../float16_root.hpp"
#include "../kernels.hpp"
#include "../read_ahead.hpp"
#include "held.hpp"

namespace pqi::cpu {
namespace {

#if defined(__AVX512BW__)

// Roots of this many octaves fit 32 bits, four to a sum. A code without its sign, shifted so far, is its root's octave.
// Lanes of registers hold codes doubled, which is how their signs fall out.
constexpr int root_window = 6, root_octave_shift = 11, lane_octave_shift = root_octave_shift + 1;
constexpr int infinite_float16 = 0x7c00;
constexpr float16_root::Reciprocals root_reciprocals = float16_root::reciprocals_of_intervals();

// 64-bit sums of 32-bit lanes, which are not negative.
struct LaneTotals {
  __m512i words{}, upper{};  // pairs of lanes as one number, and the upper ones alone

  void add(__m512i values) {
    words = _mm512_add_epi64(words, values);
    upper = _mm512_add_epi64(upper, _mm512_srli_epi64(values, 32));
  }
  uint64_t sum() const {
    const __m512i both = _mm512_add_epi64(_mm512_sub_epi64(words, _mm512_slli_epi64(upper, 32)), upper);
    return uint64_t(_mm512_reduce_add_epi64(both));
  }
};

// 16 numbers m and their float32 roots, which may be under way.
struct Begun16 {
  __m512 m, s;
};

// Sums over codes less the least one of the window, a multiple of an octave of roots: in units of the corrections of
// its root, and of half of its last bit. The 32 codes of a register are two to a lane, an even and an odd one.
struct Float16Sums {
  __m512 even_octave = pinned(_mm512_loadu_ps(root_reciprocals.of));
  __m512 odd_octave = pinned(_mm512_loadu_ps(root_reciprocals.of + 16));
  __m512 one = pinned(_mm512_set1_ps(1.0f));
  // Added to twice a correction, less than 2, it leaves multiples of 2^(1 − fraction_bits), as whole numbers in its
  // lower bits.
  __m512 magic = pinned(_mm512_set1_ps(1.5f * float(1 << (24 - float16_root::fraction_bits))));
  __m512i lower_bits = pinned(_mm512_set1_epi32(0x7ff << 13));
  __m512i base_exponent = pinned(_mm512_set1_epi32(int32_t(float16_root::base_exponent << 23)));
  __m512i mantissa_bits = pinned(_mm512_set1_epi16(2 * 0x3ff)), leading_bit = pinned(_mm512_set1_epi16(2 * 0x400));
  __m512i each_one = pinned(_mm512_set1_epi16(1));
  LaneTotals roots, corrections;
  __m512i magnitudes{};  // a register of codes adds at most 2^24 to each of 32 bits
  static_assert(chunk_size / code_stretch < 1 << 8);

  struct Roots {
    __m512i whole, correction;

    Roots operator+(const Roots& other) const {
      return {_mm512_add_epi32(whole, other.whole), _mm512_add_epi32(correction, other.correction)};
    }
  };

  template <bool odd>
  inline __attribute__((always_inline)) Begun16 begin(__m512i codes) const {
    const __m512i code = odd ? _mm512_srli_epi32(codes, 4) : _mm512_slli_epi32(codes, 12);
    const __m512 m = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(code, lower_bits, base_exponent, 0xea));
    return {m, _mm512_sqrt_ps(m)};
  }
  template <bool odd>
  inline __attribute__((always_inline)) Roots finish(__m512i codes, Begun16 begun) const {
    const __m512i interval = _mm512_srli_epi32(codes, odd ? 16 + 7 : 7);
    const __m512 w = _mm512_permutex2var_ps(even_octave, interval, odd_octave), s = begun.s;
    const __m512 e = _mm512_fnmadd_ps(s, w, one), first = _mm512_mul_ps(_mm512_fnmadd_ps(s, s, begun.m), w);
    const __m512 c = _mm512_fmadd_ps(_mm512_fmadd_ps(first, e, first), _mm512_fmadd_ps(e, e, one), magic);
    const __m512i correction = _mm512_sub_epi32(_mm512_castps_si512(c), _mm512_castps_si512(magic));
    const __m512i octave = odd ? _mm512_srli_epi32(codes, 16 + lane_octave_shift)
                               : _mm512_maskz_srli_epi16(0x55555555, codes, lane_octave_shift);
    return {_mm512_sllv_epi32(_mm512_cvtps_epi32(s), octave), _mm512_sllv_epi32(correction, octave)};
  }
  inline __attribute__((always_inline)) void add_magnitudes(__m512i codes) {
    const __m512i mantissas = _mm512_ternarylogic_epi32(codes, mantissa_bits, leading_bit, 0xea);
    const __m512i powers = _mm512_sllv_epi16(each_one, _mm512_srli_epi16(codes, 11));
#if defined(__AVX512VNNI__)
    magnitudes = _mm512_dpwssd_epi32(magnitudes, mantissas, powers);
#else
    magnitudes = _mm512_add_epi32(magnitudes, _mm512_madd_epi16(mantissas, powers));
#endif
  }
  // The roots of two registers of codes; four corrections stay within 2^30, and a constant that is at hand makes them
  // positive.
  static_assert(float16_root::base_exponent << 23 > uint32_t(1) << 30);
  void add(const Roots& two_registers) {
    roots.add(two_registers.whole);
    corrections.add(_mm512_add_epi32(two_registers.correction, base_exponent));
  }

  uint64_t magnitude_sum() const {
    LaneTotals total;
    total.add(magnitudes);
    return total.sum();
  }
  // After so many calls with two registers.
  uint128 root_sum(size_t calls) const {
    const auto correction = int64_t(corrections.sum() - (uint64_t(calls) * 16 * float16_root::base_exponent << 23));
    return (uint128(roots.sum()) << float16_root::fraction_bits) + uint128(int128(correction));
  }
};

template <size_t n>
inline __attribute__((always_inline)) void count_codes(const uint16_t* codes, uint32_t* counters) {
#pragma GCC unroll 32
  for (size_t i = 0; i < n; ++i) ++counters[codes[i] & 0x7fff];
}

// The least octave of the window that holds most of a sample; not the first octave, of zeros and subnormal numbers.
// no_hint where nothing else is in the sample.
inline int fullest_window(const uint16_t* codes, size_t n) {
  constexpr int octaves = 1 << (15 - root_octave_shift);
  uint32_t found[octaves] = {};
  for (size_t i = 0; i < n; i += 8) ++found[codes[i] >> root_octave_shift & (octaves - 1)];
  uint32_t inside = 0, most = 0;
  int fullest = no_hint;
  for (int octave = 1; octave < octaves; ++octave) {
    const int first = octave - root_window + 1;
    inside += found[octave] - (first > 1 ? found[first - 1] : 0);
    if (inside > most) fullest = first > 1 ? first : 1;
    if (inside > most) most = inside;
  }
  return fullest;
}

// The codes from `least` on that Float16Sums takes, less than `size` above it; the others pass for least + size.
// Smaller codes, less `least`, are above `size` too, as 15 bits: least + size is at most that of infinity.
struct Window {
  int least, size;

  explicit Window(int octave) : least(octave << root_octave_shift) {
    const int past = (octave + root_window) << root_octave_shift;
    size = (past < infinite_float16 ? past : infinite_float16) - least;
  }

  // What each of the others adds to the sums.
  uint64_t root_of_others() const {
    const uint32_t bits = (float16_root::base_exponent << 23) + (uint32_t(size & 0x7ff) << 13);
    return uint64_t(float16_root::whole(bits, root_reciprocals)) << (size >> root_octave_shift);
  }
  uint64_t magnitude_of_others() const { return uint64_t(0x400 + (size & 0x3ff)) << (size >> 10); }
};

// 32 codes as they stand in lanes, less a window's least one, doubled as they are.
inline __m512i lanes_of(const uint16_t* codes, __m512i least) {
  return _mm512_sub_epi16(_mm512_slli_epi16(_mm512_loadu_si512(codes), 1), least);
}
// Of the 64 codes of two registers those that are not inside go to `left`, but for zeros; returns how many are not.
inline size_t leave_outside(const uint16_t* codes, __m512i least, __m512i end, uint16_t* left, size_t& count) {
  uint64_t beyond = 0, zeros = 0;
  for (int half = 0; half < 2; ++half) {
    const __m512i lanes = lanes_of(codes + half * code_stretch, least);
    beyond |= uint64_t(_mm512_cmpge_epu16_mask(lanes, end)) << (half * 32);
    zeros |= uint64_t(_mm512_cmpeq_epi16_mask(_mm512_add_epi16(lanes, least), __m512i{})) << (half * 32);
  }
  for (uint64_t at = beyond & ~zeros; at != 0; at &= at - 1) left[count++] = codes[__builtin_ctzll(at)];
  return size_t(__builtin_popcountll(beyond));
}

// Finishes 16 roots, odd ones or even ones, that were begun before, begins 16 of the next parity, and counts codes
// meanwhile: what counting waits for, loads and stores, leaves the vector units to the roots. Mixed less finely, or
// with roots begun after others are finished, a processor that cannot look far enough ahead takes turns.
template <bool odd, size_t counted>
inline __attribute__((always_inline)) Float16Sums::Roots step(const Float16Sums& sums, __m512i codes, Begun16 begun,
                                                              __m512i next_codes, Begun16& next,
                                                              const uint16_t* to_count, uint32_t* counters) {
  next = sums.begin<!odd>(next_codes);
  count_codes<counted / 2>(to_count, counters);
  settle(next.s);
  Float16Sums::Roots roots = sums.finish<odd>(codes, begun);
  count_codes<counted / 2>(to_count + counted / 2, counters);
  settle(roots.whole);
  settle(roots.correction);
  return roots;
}

// With counters, the first half of a turn is counted, which takes as long as the roots of the other.
//
// All constants are in registers: a load waits for stores on their way that share its place within a page and a few
// bits of the page's physical address, and counters are stored to all the while. Three constants in memory cost a
// sixth, in some runs of a program and not in others.
template <bool counts>
size_t sum_float16_codes(const uint16_t* codes, size_t n, int octave, ExactTerms out[3], uint16_t* left,
                         uint32_t* counters) {
  constexpr size_t part = counts ? 16 : 0, counted = 4 * part, turn = counted + 2 * code_stretch;
  static_assert(code_turn % turn == 0 && chunk_size / turn <= 64);
  const Window window(octave);
  const __m512i least = pinned(_mm512_set1_epi16(int16_t(2 * window.least)));
  const __m512i end = pinned(_mm512_set1_epi16(int16_t(2 * window.size)));
  Float16Sums sums;
  uint64_t beyond = 0;  // whether each turn has codes that are not inside, the last one's bit lowest
  const size_t turns = n / turn;
  const uint16_t* at = codes;
  __m512i first = _mm512_min_epu16(lanes_of(at + counted, least), end);
  Begun16 begun = sums.begin<false>(first), next;
  for (size_t t = 0; t < turns; ++t) {
    for (size_t i = 0; i < turn; i += code_stretch) read_ahead(at + i);
    const __m512i second = _mm512_min_epu16(lanes_of(at + counted + code_stretch, least), end);
    Float16Sums::Roots roots = step<false, part>(sums, first, begun, first, next, at, counters);
    beyond = beyond << 1 | (_mm512_cmpeq_epu16_mask(_mm512_max_epu16(first, second), end) != 0);
    sums.add_magnitudes(first);
    roots = roots + step<true, part>(sums, first, next, second, begun, at + part, counters);
    first = _mm512_min_epu16(lanes_of(at + (t + 1 < turns ? turn : 0) + counted, least), end);
    roots = roots + step<false, part>(sums, second, begun, second, next, at + 2 * part, counters);
    sums.add_magnitudes(second);
    roots = roots + step<true, part>(sums, second, next, first, begun, at + 3 * part, counters);
    sums.add(roots);
    at += turn;
  }
  size_t count = 0, others = 0;
  for (; beyond != 0; beyond &= beyond - 1)
    others += leave_outside(at - (size_t(__builtin_ctzll(beyond)) + 1) * turn + counted, least, end, left, count);
  const int unit = octave - 31 - float16_root::fraction_bits;
  const uint128 roots = sums.root_sum(turns) - uint128(others) * window.root_of_others();
  out[0] = {2, {uint64_t(roots), uint64_t(roots >> 64)}, {unit, unit + 64}};
  out[1] = {1, {sums.magnitude_sum() / 2 - others * window.magnitude_of_others()}, {2 * octave - 25}};
  return count;
}

size_t sum_float16_roots(const uint16_t* codes, size_t n, int* hint, ExactTerms out[3], uint16_t* left,
                         uint32_t* counters) {
  if (*hint == no_hint) *hint = fullest_window(codes, n);
  const int octave = *hint == no_hint ? 1 : *hint;
  return counters == nullptr ? sum_float16_codes<false>(codes, n, octave, out, left, counters)
                             : sum_float16_codes<true>(codes, n, octave, out, left, counters);
}

constexpr bool sums_float16_roots = true;

#elif defined(__AVX2__)
size_t sum_float16_roots(const uint16_t*, size_t, int*, ExactTerms[3], uint16_t*, uint32_t*) { return 0; }
constexpr bool sums_float16_roots = false;
#endif

}  // namespace
}  // namespace pqi::cpu
