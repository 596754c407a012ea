// Counts, extremes and comparisons of keys. Included by kernels.cpp alone.
#pragma once

#include "cuts.hpp"

namespace pqi::cpu {
namespace {

uint32_t largest_float(const uint32_t* bits, size_t n) {
  int32_t largest = 0;  // signed comparisons: every instruction set has them
  for (size_t i = 0; i < n; ++i) {
    const int32_t key = int32_t(bits[i] & 0x7fffffffu);
    largest = key > largest ? key : largest;
  }
  return uint32_t(largest);
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

// How many bytes of a mask have this bit set.
inline uint64_t count_bit(const uint8_t* mask, size_t n, int bit) {
  uint64_t total = 0;
  for (size_t begin = 0; begin < n; begin += 1024) {
    const size_t end = n - begin < 1024 ? n : begin + 1024;
    uint16_t count = 0;
    for (size_t i = begin; i < end; ++i) count = uint16_t(count + (mask[i] >> bit & 1));
    total += count;
  }
  return total;
}

// Counts stay in bytes, as many rounds as they hold: as narrow as what is written beside them.
template <class K>
uint64_t classify(const K* bits, size_t n, KeyRule<K> rule, K low, K high, uint8_t* out, uint64_t* between) {
  constexpr size_t width = 64, most_rounds = 255;
  uint64_t total_above = 0, total_between = 0;
  for (size_t begin = 0; begin < n;) {
    uint8_t above[width] = {}, within[width] = {};
    const size_t rounds = (n - begin) / width < most_rounds ? (n - begin) / width : most_rounds;
    const size_t step = rounds > 0 ? width : n - begin, end = begin + (rounds > 0 ? rounds * width : step);
    for (; begin < end; begin += step) {
#pragma omp simd
      for (size_t j = 0; j < step; ++j) {
        const K key = rule(bits[begin + j]);
        const uint8_t exceeds = key > high, inside = uint8_t(key >= low && key <= high);
        above[j] = uint8_t(above[j] + exceeds);
        within[j] = uint8_t(within[j] + inside);
        out[begin + j] = uint8_t(exceeds | inside << 1);
      }
    }
    for (size_t j = 0; j < width; ++j) {
      total_above += above[j];
      total_between += within[j];
    }
  }
  *between += total_between;
  return total_above;
}

// Signed comparisons of registers whose results are registers too: those of wider ones pass through mask registers.
template <class K>
size_t count_in_registers(const K* bits, size_t n, K mask, K threshold, uint64_t& total) {
  using Signed = std::make_signed_t<K>;
  typedef Signed Keys __attribute__((vector_size(cut_bytes)));
  constexpr size_t width = cut_bytes / sizeof(K), step = 4 * width;
  const K flip = mask & K(K(1) << (8 * sizeof(K) - 1));  // where keys have all bits, their highest one is turned
  const Keys kept = Keys{} + Signed(mask), turn = Keys{} + Signed(flip), limit = Keys{} + Signed(threshold ^ flip);
  Keys count[4] = {};
  size_t i = 0;
  for (; i + step <= n; i += step) {
    for (size_t j = 0; j < 4; ++j) count[j] -= ((load_register<Keys>(bits + i + j * width) & kept) ^ turn) > limit;
  }
  const Keys sum = (count[0] + count[1]) + (count[2] + count[3]);
  for (size_t j = 0; j < width; ++j) total += uint64_t(sum[j]);
  return i;
}

template <class K>
uint64_t count_above(const K* bits, size_t n, K mask, K threshold) {
  uint64_t total = 0;
  size_t i = 0;
  if constexpr (register_bytes > 16) i = count_in_registers(bits, n, mask, threshold, total);
  K count = 0;  // n fits the narrowest type
  for (; i < n; ++i) count = K(count + K(K(bits[i] & mask) > threshold));
  return total + count;
}

uint64_t drop_dead(const uint8_t* live, size_t n, uint8_t* mask, uint64_t* between) {
  for (size_t i = 0; i < n; ++i) mask[i] = live[i] ? mask[i] : 0;
  *between += count_bit(mask, n, 1);
  return count_bit(mask, n, 0);
}

uint64_t settle_ties(uint8_t* mask, size_t n, uint64_t ties) {
  const uint64_t here = ties > 0 ? count_bit(mask, n, 1) : 0;
  if (here <= ties) {
    const uint8_t value = ties > 0;
    for (size_t i = 0; i < n; ++i) mask[i] = mask[i] == 2 ? value : mask[i];
    return here;
  }
  uint64_t left = ties;
  for (size_t i = 0; i < n; ++i) {
    if (mask[i] != 2) continue;
    mask[i] = left > 0;
    left -= left > 0;
  }
  return ties;
}

template <class K>
K settle_largest(const K* bits, size_t n, KeyRule<K> rule, uint8_t* mask, uint64_t wanted) {
  K keys[most_settled] = {};
  size_t places[most_settled], found = 0;
  const auto note = [&](size_t i) {
    mask[i] = 0;
    if (found == most_settled) return;  // keys were changed since they were counted
    places[found] = i;
    keys[found++] = rule(bits[i]);
  };
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t word;
    std::memcpy(&word, mask + i, 8);
    for (word &= 0x0202020202020202ull; word != 0; word &= word - 1) note(i + size_t(__builtin_ctzll(word)) / 8);
  }
  for (; i < n; ++i)
    if (mask[i] == 2) note(i);
  uint32_t rank[most_settled] = {};
  for (uint32_t j = 0; j < found; ++j) {
#pragma omp simd
    for (uint32_t l = 0; l < most_settled; ++l)
      rank[l] += uint32_t(keys[j] > keys[l]) | (uint32_t(keys[j] == keys[l]) & uint32_t(j < l));
  }
  K smallest = rule.cap;
  for (size_t j = 0; j < found; ++j) {
    const bool keep = rank[j] < wanted;
    smallest = keep && keys[j] < smallest ? keys[j] : smallest;
    mask[places[j]] = keep;
  }
  return smallest;
}

}  // namespace
}  // namespace pqi::cpu
