// The lanes of ../../quick_power.hpp as vectors of this instruction set: what it has for looking up eight entries, for
// widening floats and for fused operations. Included by kernels.cpp alone.
#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif
#ifdef __aarch64__
#include <arm_neon.h>
#endif

#include "../../quick_power.hpp"
#include "registers.hpp"

namespace pqi::cpu {
namespace {

#if defined(__AVX512F__)
inline constexpr int vector_lanes = 8;
#elif defined(__AVX2__)
inline constexpr int vector_lanes = 4;
#else
inline constexpr int vector_lanes = 2;
#endif

// The words of eight doubles.
struct alignas(32) TableWords {
  uint32_t low[8], high[8];
};
constexpr TableWords words_of(const Eight& table) {
  TableWords words{};
  for (int j = 0; j < 8; ++j) {
    const auto bits = __builtin_bit_cast(uint64_t, table.at[j]);
    words.low[j] = uint32_t(bits);
    words.high[j] = uint32_t(bits >> 32);
  }
  return words;
}

struct WideLanes {
  typedef double Number __attribute__((vector_size(8 * vector_lanes)));
  typedef uint64_t Bits __attribute__((vector_size(8 * vector_lanes)));
  typedef float Floats __attribute__((vector_size(4 * vector_lanes)));
  typedef int32_t FloatBits __attribute__((vector_size(4 * vector_lanes)));

  template <class Vector, class T>
  PQI_HD static Vector load(const T* from) {
    return load_register<Vector>(from);
  }
  PQI_HD static void store(double* to, Number vector) { store_register(vector, to); }
  PQI_HD static Number all(double x) { return Number{} + x; }

  template <class Table>
  PQI_HD static Number lookup(Bits i) {
#if defined(__AVX512F__)
    static constexpr Eight table = Table::table();
    return bits_as<Number>(_mm512_maskz_permutexvar_pd(0xff, bits_as<__m512i>(i), _mm512_load_pd(table.at)));
#elif defined(__AVX2__)
    // One permutation looks up low words by low words, another one high words by high words.
    static constexpr TableWords table = words_of(Table::table());
    const __m256i at_low = bits_as<__m256i>(i), at_high = _mm256_slli_epi64(at_low, 32);
    const __m256i low = _mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i*)table.low), at_low);
    const __m256i high = _mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i*)table.high), at_high);
    return bits_as<Number>(_mm256_blend_epi32(low, high, 0xaa));
#else
    static constexpr Eight table = Table::table();
    const Bits entry = i & 7;
    return Number{table.at[entry[0]], table.at[entry[1]]};
#endif
  }

  PQI_HD static Number exact_product_sum(Number a, Number b, Number c) {
#if defined(__AVX512F__)
    return bits_as<Number>(_mm512_fmadd_pd(bits_as<__m512d>(a), bits_as<__m512d>(b), bits_as<__m512d>(c)));
#elif defined(__FMA__)
    return bits_as<Number>(_mm256_fmadd_pd(bits_as<__m256d>(a), bits_as<__m256d>(b), bits_as<__m256d>(c)));
#elif defined(__aarch64__)
    return bits_as<Number>(vfmaq_f64(bits_as<float64x2_t>(c), bits_as<float64x2_t>(a), bits_as<float64x2_t>(b)));
#else
    return a * b + c;
#endif
  }
  PQI_HD static Number exact_product_sum(Number a, Number b, double c) { return exact_product_sum(a, b, all(c)); }
  PQI_HD static Number exact_product_sum(Number a, double b, double c) { return exact_product_sum(a, all(b), all(c)); }

  // In one operation, of which compilers make several.
  PQI_HD static Number widened(FloatBits bits) {
#if defined(__AVX512F__)
    return bits_as<Number>(_mm512_maskz_cvtps_pd(0xff, bits_as<__m256>(bits)));
#elif defined(__AVX2__)
    return bits_as<Number>(_mm256_cvtps_pd(bits_as<__m128>(bits)));
#else
    return __builtin_convertvector(bits_as<Floats>(bits), Number);
#endif
  }
};

}  // namespace
}  // namespace pqi::cpu
