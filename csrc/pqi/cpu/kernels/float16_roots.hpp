// Exact sums of float16 magnitudes and of their roots by ../../float16_root.hpp, in integers. Included by kernels.cpp
// alone.
#pragma once

#ifdef __AVX512BW__
#include <immintrin.h>
#endif

#include "../../float16_root.hpp"
#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

#if defined(__AVX512BW__)

// Roots of this many octaves fit 32 bits, four to a sum. A code without its sign, shifted so far, is its root's octave.
constexpr int root_window = 6, root_octave_shift = 11;
constexpr int infinite_float16 = 0x7c00;
constexpr float16_root::Reciprocals root_reciprocals = float16_root::reciprocals_of_intervals();

// Keeps the compiler from making a constant anew in every turn of a loop.
template <class Register>
inline __attribute__((always_inline)) Register pinned(Register constant) {
  asm("" : "+v"(constant));
  return constant;
}

// Keeps the compiler from computing it later than what is read and written next.
template <class Register>
inline __attribute__((always_inline)) void settle(Register& settled) {
  asm volatile("" : "+v"(settled) : : "memory");
}

// 64-bit sums of 32-bit lanes, which are not negative.
struct LaneTotals {
  __m512i words{}, upper{};  // pairs of lanes as one number, and the upper ones alone

  void add(__m512i values) {
    words = _mm512_add_epi64(words, values);
    upper = _mm512_add_epi64(upper, _mm512_srli_epi64(values, 32));
  }
  uint64_t sum() const {
    uint64_t pair[8], one[8], total = 0;
    _mm512_storeu_si512(pair, words);
    _mm512_storeu_si512(one, upper);
    for (int i = 0; i < 8; ++i) total += pair[i] - (one[i] << 32) + one[i];
    return total;
  }
};

// 16 numbers m and their float32 roots, which may be under way.
struct Begun16 {
  __m512 m, s;
};

// Sums over codes less the least one of the window, a multiple of an octave of roots: in units of the corrections of
// its root, and of its last bit. The 32 codes of a register are two to a lane, an even and an odd one.
struct Float16Sums {
  __m512 even_octave = pinned(_mm512_loadu_ps(root_reciprocals.of));
  __m512 odd_octave = pinned(_mm512_loadu_ps(root_reciprocals.of + 16));
  __m512 one = pinned(_mm512_set1_ps(1.0f));
  // Added to twice a correction, less than 2, it leaves multiples of 2^(1 − fraction_bits), as whole numbers in its
  // lower bits.
  __m512 magic = pinned(_mm512_set1_ps(1.5f * float(1 << (24 - float16_root::fraction_bits))));
  __m512i lower_bits = pinned(_mm512_set1_epi32(0x7ff << 13));
  __m512i base_exponent = pinned(_mm512_set1_epi32(int32_t(float16_root::base_exponent << 23)));
  __m512i octave_bits = pinned(_mm512_set1_epi32(31)), each_one = pinned(_mm512_set1_epi16(1));
  __m512i mantissa_bits = pinned(_mm512_set1_epi16(0x3ff)), leading_bit = pinned(_mm512_set1_epi16(0x400));
  LaneTotals roots, corrections;
  __m512i magnitudes{};  // a register of codes adds less than 2^24 to each of 32 bits
  static_assert(chunk_size / code_stretch <= 1 << 8);

  struct Roots {
    __m512i whole, correction;

    Roots operator+(const Roots& other) const {
      return {_mm512_add_epi32(whole, other.whole), _mm512_add_epi32(correction, other.correction)};
    }
  };

  template <bool odd>
  inline __attribute__((always_inline)) Begun16 begin(__m512i codes) const {
    const __m512i code = odd ? _mm512_srli_epi32(codes, 3) : _mm512_slli_epi32(codes, 13);
    const __m512 m = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(code, lower_bits, base_exponent, 0xea));
    return {m, _mm512_sqrt_ps(m)};
  }
  template <bool odd>
  inline __attribute__((always_inline)) Roots finish(__m512i codes, Begun16 begun) const {
    const __m512i interval = _mm512_srli_epi32(codes, odd ? 16 + 6 : 6);
    const __m512 w = _mm512_permutex2var_ps(even_octave, interval, odd_octave), s = begun.s;
    const __m512 e = _mm512_fnmadd_ps(s, w, one), first = _mm512_mul_ps(_mm512_fnmadd_ps(s, s, begun.m), w);
    const __m512 c = _mm512_fmadd_ps(_mm512_fmadd_ps(first, e, first), _mm512_fmadd_ps(e, e, one), magic);
    const __m512i correction = _mm512_sub_epi32(_mm512_castps_si512(c), _mm512_castps_si512(magic));
    const __m512i shifted = _mm512_srli_epi32(codes, root_octave_shift + (odd ? 16 : 0));
    const __m512i octave = odd ? shifted : _mm512_and_si512(shifted, octave_bits);
    return {_mm512_sllv_epi32(_mm512_cvtps_epi32(s), octave), _mm512_sllv_epi32(correction, octave)};
  }
  inline __attribute__((always_inline)) void add_magnitudes(__m512i codes) {
    const __m512i mantissas = _mm512_ternarylogic_epi32(codes, mantissa_bits, leading_bit, 0xea);
    const __m512i powers = _mm512_sllv_epi16(each_one, _mm512_srli_epi16(codes, 10));
#if defined(__AVX512VNNI__)
    magnitudes = _mm512_dpwssd_epi32(magnitudes, mantissas, powers);
#else
    magnitudes = _mm512_add_epi32(magnitudes, _mm512_madd_epi16(mantissas, powers));
#endif
  }
  // The roots of two registers of codes; four corrections stay within 2^31.
  void add(const Roots& two_registers) {
    roots.add(two_registers.whole);
    corrections.add(_mm512_add_epi32(two_registers.correction, _mm512_set1_epi32(int32_t(0x80000000))));
  }

  uint64_t magnitude_sum() const {
    LaneTotals total;
    total.add(magnitudes);
    return total.sum();
  }
  // After so many calls with two registers.
  uint128 root_sum(size_t calls) const {
    const auto correction = int64_t(corrections.sum() - (uint64_t(calls) << (31 + 4)));
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
struct Window {
  int least, size;
  __m512i least_code, end, no_sign = pinned(_mm512_set1_epi16(0x7fff));

  explicit Window(int octave) : least(octave << root_octave_shift) {
    const int past = (octave + root_window) << root_octave_shift;
    size = (past < infinite_float16 ? past : infinite_float16) - least;
    least_code = pinned(_mm512_set1_epi16(int16_t(least)));
    end = pinned(_mm512_set1_epi16(int16_t(size)));
  }

  __m512i above_least(const uint16_t* codes) const {
    return _mm512_sub_epi16(_mm512_and_si512(_mm512_loadu_si512(codes), no_sign), least_code);
  }
  // Those of 32 codes that are not inside go to `left`, but for zeros; returns how many are not.
  size_t leave(const uint16_t* codes, uint16_t* left, size_t& count) const {
    const __mmask32 beyond = _mm512_cmpge_epu16_mask(above_least(codes), end);
    for (uint32_t at = _mm512_mask_test_epi16_mask(beyond, _mm512_loadu_si512(codes), no_sign); at != 0; at &= at - 1)
      left[count++] = codes[__builtin_ctz(at)];
    return size_t(__builtin_popcount(beyond));
  }
  // What each of the others added to the sums.
  uint64_t root_of_others() const {
    const uint32_t bits = (float16_root::base_exponent << 23) + (uint32_t(size & 0x7ff) << 13);
    return uint64_t(float16_root::whole(bits, root_reciprocals)) << (size >> root_octave_shift);
  }
  uint64_t magnitude_of_others() const { return uint64_t(0x400 + (size & 0x3ff)) << (size >> 10); }
};

// Finishes 16 roots, odd ones or even ones, that were begun before, begins 16 of the next parity, and counts codes
// meanwhile: what counting waits for, loads and stores, leaves the vector units to the roots. Mixed less finely, or
// with roots begun after others are finished, a processor that cannot look far enough ahead takes turns.
template <bool odd, size_t counted>
inline __attribute__((always_inline)) Float16Sums::Roots step(const Float16Sums& sums, __m512i codes, Begun16 begun,
                                                              __m512i next_codes, Begun16& next,
                                                              const uint16_t* to_count, uint32_t* counters) {
  constexpr size_t third = counted / 3;
  static_assert(counted % 3 == 0);
  next = sums.begin<!odd>(next_codes);
  settle(next.s);
  count_codes<third>(to_count, counters);
  Float16Sums::Roots roots = sums.finish<odd>(codes, begun);
  count_codes<third>(to_count + third, counters);
  settle(roots.whole);
  settle(roots.correction);
  count_codes<third>(to_count + 2 * third, counters);
  return roots;
}

// With counters, the first codes of a turn are counted: 60 of 124, as many as take as long as the roots of the others.
template <bool counts>
size_t sum_float16_codes(const uint16_t* codes, size_t n, int octave, ExactTerms out[3], uint16_t* left,
                         uint32_t* counters) {
  constexpr size_t part = counts ? 15 : 0, counted = 4 * part, turn = counted + 2 * code_stretch, ahead = 1024;
  static_assert(turn <= code_turn && (counts || code_turn % turn == 0));
  const Window window(octave);
  Float16Sums sums;
  __mmask32 beyond[chunk_size / code_stretch / 2];
  const size_t turns = n / turn;
  const uint16_t* at = codes;
  __m512i even = window.above_least(at + counted), first = _mm512_min_epu16(even, window.end);
  Begun16 begun = sums.begin<false>(first), next;
  for (size_t t = 0; t < turns; ++t) {
    for (size_t i = 0; i < turn; i += code_stretch) __builtin_prefetch(at + i + ahead);
    const __m512i odd = window.above_least(at + counted + code_stretch), second = _mm512_min_epu16(odd, window.end);
    Float16Sums::Roots roots = step<false, part>(sums, first, begun, first, next, at, counters);
    beyond[t] = _mm512_cmpge_epu16_mask(_mm512_max_epu16(even, odd), window.end);
    sums.add_magnitudes(first);
    roots = roots + step<true, part>(sums, first, next, second, begun, at + part, counters);
    even = window.above_least(at + (t + 1 < turns ? turn : 0) + counted);
    first = _mm512_min_epu16(even, window.end);
    roots = roots + step<false, part>(sums, second, begun, second, next, at + 2 * part, counters);
    sums.add_magnitudes(second);
    roots = roots + step<true, part>(sums, second, next, first, begun, at + 3 * part, counters);
    sums.add(roots);
    at += turn;
  }
  for (; counts && at < codes + n; ++at) ++counters[*at & 0x7fff];
  size_t count = 0, others = 0;
  for (size_t i = 0; i < turns; ++i) {
    if (beyond[i] == 0) continue;
    for (size_t half = 0; half < 2; ++half)
      others += window.leave(codes + i * turn + counted + half * code_stretch, left, count);
  }
  const int unit = octave - 31 - float16_root::fraction_bits;
  const uint128 roots = sums.root_sum(turns) - uint128(others) * window.root_of_others();
  out[0] = {2, {uint64_t(roots), uint64_t(roots >> 64)}, {unit, unit + 64}};
  out[1] = {1, {sums.magnitude_sum() - others * window.magnitude_of_others()}, {2 * octave - 25}};
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
