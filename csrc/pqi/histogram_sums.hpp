// Power sums of a histogram of magnitude codes, which is how large groups of one- and two-byte types are measured.
//
// Σ count·value^r. For r = ½, 1 and 2, whose powers float64 holds or rounds correctly (roots of float16 are those of
// float16_root.hpp), the sum of these is exact and rounded once: it need not come from a histogram then. For any other
// r each product is exact in double-double, those of 256 neighbouring codes are added in ascending order, and these
// runs merged in ascending order. Codes that do not occur add nothing. These powers are of value·2^−scale, where the
// scale follows from the least and the greatest magnitude that occur and are not zero.
#pragma once

#include "exact_sum.hpp"
#include "float16_root.hpp"
#include "magnitude_key.hpp"
#include "reduction.hpp"

namespace pqi {

inline constexpr size_t histogram_codes = 65536;
inline constexpr size_t histogram_run = 256;

// How many codes a one- or two-byte type has, from zero on; the others of a histogram stay zero.
PQI_HD size_t codes_of(DType t) {
  switch (t) {
    case DType::i8:
      return 129;
    case DType::u8:
    case DType::boolean:  // whatever its bytes hold
      return 256;
    case DType::i16:
      return 32769;
    default:
      return size_t(key_rule<uint16_t>(t).cap) + 1;
  }
}

// Whether groups of this size are measured through a histogram: decided by type and size alone, never by layout, so
// that bits do not depend on layout either.
inline constexpr size_t histogram_minimum = size_t(1) << 20;
PQI_HD constexpr bool counts_codes(DType t, size_t size) { return is_narrow(t) && size >= histogram_minimum; }

PQI_HD bool sums_exactly(double r) { return power_kind(r) != PowerKind::general; }

// What such a sum adds up for a magnitude that is finite and not zero.
PQI_HD double exact_term(DType t, double value, double r) {
  return t == DType::f16 && power_kind(r) == PowerKind::half ? float16_root::of(value) : power(value, r);
}

// Σ count·value^r for such an exponent, after carries; `largest` is the largest value that occurs.
PQI_HD PowerSum exact_power_sum(const ExactSum& sum, double largest) {
  PowerSum result;
  result.total.hi = largest - largest == 0.0 ? sum.value() : largest;
  return result;
}

PQI_HD int histogram_scale(double smallest, double largest, double r) {
  return scale_of(0.0, chunk_scale(binade(largest), binade(smallest), r));
}

}  // namespace pqi
