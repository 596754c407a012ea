// Elements that a mask keeps. Included by kernels.cpp alone.
#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "network.hpp"

namespace pqi::cpu {
namespace {

// Asks for what the next chunk needs: what follows works in the cache, and memory would be idle meanwhile.
template <class K>
inline __attribute__((always_inline)) void ask_ahead(const K* bits, const uint8_t* live) {
  constexpr size_t line = 64, ahead = chunk_size;
  for (size_t i = 0; i < line; i += line / sizeof(K)) __builtin_prefetch(bits + ahead + i, 0, 2);
  __builtin_prefetch(live + ahead, 0, 2);
}

// Those of `bits` that live, one by one to `out`; returns how many.
template <size_t width, class K>
inline __attribute__((always_inline)) size_t pick_one_by_one(const uint8_t* live, const K* bits, K* out) {
  size_t kept = 0;
  for (size_t i = 0; i < width; ++i) {
    out[kept] = bits[i];
    kept += live[i] != 0;
  }
  return kept;
}

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
// Of 64-bit elements 8 at a time, of others 16, by masks instead of the bytes that compilers would widen.
template <class K>
struct LiveRegister {
  static constexpr size_t width = sizeof(K) == 8 ? 8 : 16;

  uint16_t mask;

  PQI_HD explicit LiveRegister(const uint8_t* live) {
    const auto* const from = reinterpret_cast<const __m128i*>(live);
    const __m128i bytes = width == 8 ? _mm_loadl_epi64(from) : _mm_loadu_si128(from);
    mask = _mm_test_epi8_mask(bytes, bytes);
  }

  PQI_HD void clear(const K* elements, K* out) const {
    if constexpr (sizeof(K) == 2) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_maskz_loadu_epi16(mask, elements));
    } else if constexpr (sizeof(K) == 4) {
      _mm512_storeu_si512(out, _mm512_maskz_loadu_epi32(mask, elements));
    } else {
      _mm512_storeu_si512(out, _mm512_maskz_loadu_epi64(__mmask8(mask), elements));
    }
  }

  // Writes a whole register; returns how many of it are live. Elements of 16 bits are widened for it.
  PQI_HD size_t pick(const K* bits, K* out) const {
    if constexpr (sizeof(K) == 2) {
      const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits)));
      const __m512i found = _mm512_maskz_compress_epi32(mask, wide);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(found));
    } else if constexpr (sizeof(K) == 4) {
      _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(mask, _mm512_loadu_si512(bits)));
    } else {
      _mm512_storeu_si512(out, _mm512_maskz_compress_epi64(__mmask8(mask), _mm512_loadu_si512(bits)));
    }
    return size_t(__builtin_popcount(mask));
  }
};
#elif defined(__AVX2__)
// A whole register at a time: what two of half its size store is slow to load as one.
template <class K>
struct LiveRegister {
  static constexpr size_t width = register_bytes / sizeof(K);

  const uint8_t* live;

  PQI_HD explicit LiveRegister(const uint8_t* from) : live(from) {}

  PQI_HD void clear(const K* elements, K* out) const {
    const auto bits = load_register<__m256i>(elements);
    store_register(_mm256_andnot_si256(dead(), bits), out);
  }
  PQI_HD size_t pick(const K* bits, K* out) const { return pick_one_by_one<width>(live, bits, out); }

 private:
  PQI_HD __m256i dead() const {
    const __m256i zero = _mm256_setzero_si256();
    if constexpr (sizeof(K) == 2) {
      return _mm256_cmpeq_epi16(_mm256_cvtepu8_epi16(load_register<__m128i>(live)), zero);
    } else if constexpr (sizeof(K) == 4) {
      return _mm256_cmpeq_epi32(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(load_register<int64_t>(live))), zero);
    } else {
      return _mm256_cmpeq_epi64(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(load_register<int32_t>(live))), zero);
    }
  }
};
#else
template <class K>
struct LiveRegister {
  static constexpr size_t width = 16;

  const uint8_t* live;

  PQI_HD explicit LiveRegister(const uint8_t* from) : live(from) {}

  PQI_HD void clear(const K* elements, K* out) const {
    using Bits = std::conditional_t<sizeof(K) == 2, uint16_t, std::conditional_t<sizeof(K) == 4, uint32_t, uint64_t>>;
#pragma omp simd
    for (size_t i = 0; i < width; ++i)  // no branch, which costs ten times as much
      out[i] = bits_as<K>(Bits(bits_as<Bits>(elements[i]) & Bits(Bits(0) - Bits(live[i] != 0))));
  }
  PQI_HD size_t pick(const K* bits, K* out) const { return pick_one_by_one<width>(live, bits, out); }
};
#endif

// Calls f(place) for registers of elements.
template <class K, class F>
inline __attribute__((always_inline)) size_t for_each_register(const K* bits, const uint8_t* live, size_t n, F f) {
  constexpr size_t step = 64;
  size_t i = 0;
  for (; i + step <= n; i += step) {
    ask_ahead(bits + i, live + i);
    for (size_t j = i; j < i + step; j += LiveRegister<K>::width) f(j);
  }
  return i;
}

template <class K>
void clear_dead(const K* bits, const uint8_t* live, size_t n, K* out) {
  size_t i =
      for_each_register(bits, live, n, [&](size_t at) { LiveRegister<K>(live + at).clear(bits + at, out + at); });
  for (; i < n; ++i) out[i] = live[i] != 0 ? bits[i] : K(0);
}

template <class K>
size_t pick_live(const K* bits, const uint8_t* live, size_t n, K* out) {
  size_t kept = 0;
  size_t i = for_each_register(bits, live, n,
                               [&](size_t at) { kept += LiveRegister<K>(live + at).pick(bits + at, out + kept); });
  for (; i < n; ++i) {
    out[kept] = bits[i];
    kept += live[i] != 0;
  }
  return kept;
}

#if defined(__AVX512F__) && defined(__AVX512BW__)
uint64_t count_true(const uint8_t* live, size_t n) {
  constexpr size_t width = 64;
  const auto count_in = [](__m512i bytes) {
    return uint64_t(__builtin_popcountll(_mm512_test_epi8_mask(bytes, bytes)));
  };
  uint64_t count = 0;
  for (; n >= width; n -= width, live += width) count += count_in(_mm512_loadu_si512(live));
  return count + count_in(_mm512_maskz_loadu_epi8((uint64_t(1) << n) - 1, live));
}
#else
// Counts in bytes, taken over before they are full.
uint64_t count_true(const uint8_t* live, size_t n) {
  typedef int8_t Bytes __attribute__((vector_size(register_bytes)));
  constexpr size_t width = sizeof(Bytes), most = 127;
  uint64_t count = 0;
  size_t i = 0;
  while (i + width <= n) {
    Bytes counts{};
    for (size_t step = 0; step < most && i + width <= n; ++step, i += width)
      counts -= load_register<Bytes>(live + i) != Bytes{};
    for (size_t j = 0; j < width; ++j) count += uint64_t(counts[j]);
  }
  for (; i < n; ++i) count += live[i] != 0;
  return count;
}

#endif

}  // namespace
}  // namespace pqi::cpu
