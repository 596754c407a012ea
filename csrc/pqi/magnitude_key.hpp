// Order-preserving integer keys of magnitudes: key(a) < key(b) exactly when |a| < |b|.
//
// For floating types the key is the bit pattern without its sign; every NaN becomes one key just above infinity's, so
// that NaN counts as the largest magnitude and all NaNs tie. For integers the key is the unsigned magnitude.
// `KeyRule` carries what differs between types, so that one kernel per key width serves them all.
#pragma once

#include "dtype.hpp"

namespace pqi {

template <class K>
struct KeyRule {
  K mask;  // clears the sign
  K cap;   // the key of every NaN; no other key exceeds it

  PQI_HD K operator()(K bits) const {
    const K magnitude = bits & mask;
    return magnitude < cap ? magnitude : cap;
  }
};

// The rule for the *stream* bits of a type: floating types as they are, integers already as unsigned magnitudes.
template <class K>
PQI_HD KeyRule<K> key_rule(DType t) {
  switch (t) {
    case DType::f64:
      return {K(0x7fffffffffffffffull), K(0x7ff0000000000001ull)};
    case DType::f32:
      return {K(0x7fffffffu), K(0x7f800001u)};
    case DType::f16:
      return {K(0x7fffu), K(0x7c01u)};
    case DType::bf16:
      return {K(0x7fffu), K(0x7f81u)};
    case DType::e5m2:
      return {K(0x7fu), K(0x7du)};
    case DType::e4m3:
      return {K(0x7fu), K(0x7fu)};
    default:
      return {K(~K(0)), K(~K(0))};
  }
}

// The magnitude that a key stands for. Exact, except 64-bit integers beyond 2^53 (rounded to nearest). One NaN for all.
PQI_HD double key_value(DType t, uint64_t key) {
  if (is_floating(t) && key == key_rule<uint64_t>(t).cap) return __builtin_nan("");
  switch (t) {
    case DType::f64:
      return bits_as<double>(key);
    case DType::f32:
      return bits_as<float>(uint32_t(key));
    case DType::f16:
      return half_to_float(uint16_t(key));
    case DType::bf16:
      return bfloat_to_float(uint16_t(key));
    case DType::e5m2:
      return e5m2_to_float(uint8_t(key));
    case DType::e4m3:
      return e4m3_to_float(uint8_t(key));
    default:
      return double(key);
  }
}

}  // namespace pqi
