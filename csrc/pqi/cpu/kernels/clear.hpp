// Copies in which small magnitudes are zero. Included by kernels.cpp alone.
#pragma once

#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

// Loads and stores by memcpy: elements of a file lie anywhere.
template <class K, class F>
inline void clear_where(const char* __restrict in, size_t n, char* __restrict out, F stays) {
#pragma omp simd
  for (size_t i = 0; i < n; ++i) {
    K bits;
    std::memcpy(&bits, in + i * sizeof(K), sizeof(K));
    bits = stays(bits) ? bits : K(0);
    std::memcpy(out + i * sizeof(K), &bits, sizeof(K));
  }
}

template <class K>
void clear_below_as(DType t, const char* in, size_t n, uint64_t least, char* out) {
  constexpr int sign = 8 * int(sizeof(K)) - 1;
  const K limit = K(least);
  if (limit != least) return clear_where<K>(in, n, out, [](K) { return false; });
  if (is_signed_integer(t))
    return clear_where<K>(in, n, out, [=](K bits) {
      const K ones = K(K(0) - K(bits >> sign));
      return K((bits ^ ones) - ones) >= limit;
    });
  const KeyRule<K> rule = key_rule<K>(t);
  clear_where<K>(in, n, out, [=](K bits) { return rule(bits) >= limit; });
}

void clear_below(DType t, const void* in, size_t n, uint64_t least, void* out) {
  const auto from = static_cast<const char*>(in);
  const auto to = static_cast<char*>(out);
  switch (item_size(t)) {
    case 1:
      return clear_below_as<uint8_t>(t, from, n, least, to);
    case 2:
      return clear_below_as<uint16_t>(t, from, n, least, to);
    case 4:
      return clear_below_as<uint32_t>(t, from, n, least, to);
    default:
      return clear_below_as<uint64_t>(t, from, n, least, to);
  }
}

}  // namespace
}  // namespace pqi::cpu
