// Exact sums of float16 and bfloat16 magnitudes and of their squares, in float64 lanes. Included by kernels.cpp alone.
#pragma once

#include <bit>

#include "../read_ahead.hpp"
#include "bfloat16_roots.hpp"
#include "float16_roots.hpp"
#include "wide_lanes.hpp"

namespace pqi::cpu {
namespace {

#if defined(__AVX2__)

// Two codes to a word, the words of a register: what the float64 lanes of a register hold at a time.
typedef uint32_t CodeWords __attribute__((vector_size(4 * vector_lanes)));
inline constexpr size_t codes_at_once = 2 * vector_lanes;

struct CodeLanes {
  typedef WideLanes::Number Number;

  Number one[2][2] = {}, two[2][2] = {};  // [register's parity][lower or upper codes]

  // A lane adds so many numbers of a chunk.
  static constexpr int additions = int(chunk_size / (2 * codes_at_once));
};

// Whether any code of a stretch, all without their signs, lies between zero and a limit.
inline __attribute__((always_inline)) bool any_small(const CodeWords* words, int16_t limit) {
  typedef int16_t Codes __attribute__((vector_size(4 * vector_lanes)));
  Codes small{};
  for (size_t i = 0; i < code_stretch / codes_at_once; ++i) {
    const Codes codes = bits_as<Codes>(words[i]);
    small |= (codes < Codes{} + limit) & (codes > Codes{});
  }
#if defined(__AVX512F__)
  return !_mm256_testz_si256(bits_as<__m256i>(small), bits_as<__m256i>(small));
#else
  return !_mm_testz_si128(bits_as<__m128i>(small), bits_as<__m128i>(small));
#endif
}

// Adds a stretch whose codes stand `shift` below where a float has them.
template <int shift>
inline __attribute__((always_inline)) void add_stretch(const CodeWords* words, CodeLanes& sums) {
  constexpr uint32_t magnitude = uint32_t(0x7fff) << shift;
  for (size_t i = 0; i < code_stretch / codes_at_once; ++i) {
    const CodeWords halves[2] = {words[i] << shift & magnitude, words[i] >> (16 - shift) & magnitude};
    for (int half = 0; half < 2; ++half) {
      const auto number = WideLanes::widened(bits_as<WideLanes::FloatBits>(halves[half]));
      sums.one[i % 2][half] += number;
      sums.two[i % 2][half] = WideLanes::exact_product_sum(number, number, sums.two[i % 2][half]);
    }
  }
}

// The sum of all lanes, which are whole numbers, in units of 1/factor. It wraps where they are too large, which is so
// only where another thread has changed the codes since their greatest was looked for.
inline uint64_t whole_sum(const CodeLanes::Number numbers[2][2], double factor) {
  typedef int64_t Whole __attribute__((vector_size(8 * vector_lanes)));
  WideLanes::Bits sum{};
  for (int i = 0; i < 4; ++i)
    sum += bits_as<WideLanes::Bits>(__builtin_convertvector(numbers[i / 2][i % 2] * factor, Whole));
  uint64_t total = 0;
  for (int j = 0; j < vector_lanes; ++j) total += sum[j];
  return total;
}

// Numbers of `digits` bits travel as 2^-bias of themselves.
template <int digits, int bias>
size_t sum_codes_as(uint16_t infinite, const uint16_t* codes, size_t n, ExactTerms out[3], uint16_t* left) {
  constexpr int octave = 1 << (digits - 1);
  // Squares of numbers within so many octaves, which have 2·(octaves + digits) bits, a lane adds without rounding.
  constexpr int octaves = (53 - 2 * digits - std::bit_width(unsigned(CodeLanes::additions - 1))) / 2;
  out[1].count = out[2].count = 0;
  int16_t greatest = 0;
  for (size_t i = 0; i < n; ++i) {
    const auto code = int16_t(codes[i] & 0x7fff);
    greatest = code > greatest ? code : greatest;
  }
  size_t count = 0;
  if (greatest >= infinite) {
    std::memcpy(left, codes, n * sizeof *codes);
    return n;
  }
  const int far = greatest - octaves * octave, least = far > octave ? far : octave;  // subnormal numbers can be slow
  CodeLanes added;
  for (size_t i = 0; i < n / code_stretch; ++i) {
    const uint16_t* const at = codes + i * code_stretch;
    read_ahead(at + chunk_size, at + 2 * chunk_size);  // this chunk has been read for its greatest code
    CodeWords words[code_stretch / codes_at_once];
    std::memcpy(words, at, sizeof words);
    for (CodeWords& word : words) word &= 0x7fff7fff;
    if (any_small(words, int16_t(least))) {
      std::memcpy(left + count, words, sizeof words);
      count += code_stretch;
    } else {
      add_stretch<24 - digits>(words, added);
    }
  }
  const int unit = least / octave - (digits == 8 ? 127 : 15) - (digits - 1), stored = unit - bias;
  out[1] = {1, {whole_sum(added.one, exact_power_of_two(-stored))}, {unit}};
  out[2] = {1, {whole_sum(added.two, exact_power_of_two(-2 * stored))}, {2 * unit}};
  return count;
}

CodeUse code_use(unsigned which, DType t) {
  if (which == 0 || (t != DType::f16 && t != DType::bf16)) return CodeUse::counted;
  if ((which & sum_half) == 0) return CodeUse::added;
  if ((which & sum_two) != 0) return CodeUse::counted;
  if (t == DType::f16) return sums_float16_roots ? CodeUse::both : CodeUse::counted;
  return sums_bfloat16_roots ? CodeUse::added : CodeUse::counted;
}

size_t sum_codes(unsigned which, DType t, const uint16_t* codes, size_t n, int* hint, ExactTerms out[3], uint16_t* left,
                 uint32_t* counters) {
  if ((which & sum_half) != 0) {
    if (t == DType::f16) return sum_float16_roots(codes, n, hint, out, left, counters);
    return sum_bfloat16_roots(codes, n, hint, out, left);
  }
  if (t == DType::bf16) return sum_codes_as<8, 0>(0x7f80, codes, n, out, left);
  return sum_codes_as<11, 112>(0x7c00, codes, n, out, left);
}

#else
// Two lanes take longer than counting.
CodeUse code_use(unsigned, DType) { return CodeUse::counted; }
size_t sum_codes(unsigned, DType, const uint16_t*, size_t, int*, ExactTerms[3], uint16_t*, uint32_t*) { return 0; }
#endif

}  // namespace
}  // namespace pqi::cpu
