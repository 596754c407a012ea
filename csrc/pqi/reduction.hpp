// The order of summation. It is part of the definition of every floating-point result, so that bits are the same on
// every ISA, thread count, stride, device and split into pooled pieces.
//
// The elements of a group, in flat (C) order and with masked-out ones read as zero, are cut into chunks of 4,096, and
// 64 chunks make a block. Inside a chunk element i belongs to lane i mod 16; a lane adds its elements in order, in
// float64 (roots of float32 two rows at a time, see root_pair, their low parts in float32); then the 16 lanes are
// folded 8 + 8, 4 + 4, 2 + 2, 1 + 1. Zeros change no bit, so a short chunk is a padded one. Chunk sums are merged in
// order into the block's sum and block sums in order into the group's, both in double-double arithmetic, so the error
// of 1e10 elements is that of one chunk (2^-45 at worst, far less in practice).
//
// Scale. Powers are summed of x·2^−scale, and the scale follows the data: scaling the input by a power of two moves
// only `scale` and no other bit, and nothing overflows or vanishes. The scale of a group comes from its *pivot*, the
// first finite non-zero magnitude; a chunk whose largest magnitude lies too far from the pivot takes its own from that.
#pragma once

#include "power.hpp"

namespace pqi {

inline constexpr int lanes = 16;
inline constexpr size_t chunk_size = 4096;
inline constexpr size_t block_chunks = 64;
inline constexpr size_t block_size = chunk_size * block_chunks;

PQI_HD double fold(const double* lane) {
  double eight[8], four[4];
  for (int j = 0; j < 8; ++j) eight[j] = lane[j] + lane[j + 8];
  for (int j = 0; j < 4; ++j) four[j] = eight[j] + eight[j + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// A lane's share of a row pair in the sum of roots; `low` collects what float roots leave.
template <class T>
PQI_HD void add_roots(T a, T b, double& sum, T& low) {
  const RootPair<T> roots = root_pair(a, b, root(a), root(b));
  sum += double(roots.sum);
  low += roots.low();
}

// What float roots left aside of a lane's sum, to be added to it; nothing where it is infinite, as then the sum is.
template <class T>
PQI_HD T left_aside(T low) {
  return low - low == T(0) ? low : T(0);
}

// a + b as a double-double, exact.
struct DoubleDouble {
  double hi = 0, lo = 0;

  PQI_HD void add(double x) {
    const double sum = hi + x, back = sum - hi;
    lo += (hi - (sum - back)) + (x - back);
    hi = sum;
  }
  PQI_HD void add(DoubleDouble x) {
    add(x.hi);
    lo += x.lo;
  }
  // The same value with |lo| ≤ half an ulp of hi: one representation for one value.
  PQI_HD void normalise() {
    const double sum = hi + lo;
    lo -= sum - hi;
    hi = sum;
  }
  PQI_HD void multiply(double factor) {
    hi *= factor;
    lo *= factor;
  }
  // Infinities and NaN live in `hi`; what they leave in `lo` is meaningless.
  PQI_HD double value() const {
    const double sum = hi + lo;
    return hi - hi == 0.0 ? sum : hi;
  }
};

// a · b as a double-double, exact while nothing overflows (Dekker's splitting; no fused operation is assumed).
PQI_HD DoubleDouble exact_product(double a, double b) {
  const double a_big = 134217729.0 * a, a_hi = a_big - (a_big - a), a_lo = a - a_hi;
  const double b_big = 134217729.0 * b, b_hi = b_big - (b_big - b), b_lo = b - b_hi;
  const double product = a * b;
  return {product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo};
}

// Σ|x|^r = total · 2^(r·scale).
struct PowerSum {
  DoubleDouble total;
  int64_t scale = 0;

  PQI_HD void merge(PowerSum other, double r) {
    if (other.scale == scale) {
      total.add(other.total);
      return;
    }
    if (other.total.hi == 0.0) return;
    if (total.hi == 0.0) {
      *this = other;
      return;
    }
    if (other.scale > scale) {
      total.multiply(exp2_of(r * double(scale - other.scale)));
      scale = other.scale;
    } else if (other.scale < scale) {
      other.total.multiply(exp2_of(r * double(other.scale - scale)));
    }
    total.add(other.total);
  }

  // M_r = (total / d)^(1/r) · 2^scale, without its power of two.
  PQI_HD double mean_mantissa(double d, double r) const { return power(total.value() / d, 1.0 / r); }
};

// x · 2^k for any k, rounded once except in the subnormal range.
PQI_HD double scale_by_power_of_two(double x, int64_t k) {
  if (k == 0) return x;
  for (; k > 1000; k -= 1000) {
    x *= 0x1p1000;
    if (k > 5000) k = 5000;
  }
  for (; k < -1000; k += 1000) {
    x *= 0x1p-1000;
    if (k < -5000) k = -5000;
  }
  return x * exact_power_of_two(int(k));
}

// M_r, the power mean of d entries.
PQI_HD double mean_of(const PowerSum& sum, double d, double r) {
  const double mean_power = sum.total.value() / d, mantissa = sum.mean_mantissa(d, r);
  if (mean_power != mean_power) return __builtin_nan("");  // one NaN: devices differ in what they make of 0/0
  // A root of small r may leave the range that its product with 2^scale lies in.
  if ((mantissa == 0.0 || mantissa == infinity) && 0.0 < mean_power && mean_power < infinity)
    return power_shifted(mean_power, 1.0 / r, -r * double(sum.scale));
  return scale_by_power_of_two(mantissa, sum.scale);
}

// floor(log2 x) of a positive finite double; 1024 for infinity and NaN.
PQI_HD int binade(double x) {
  const bool tiny = x < 0x1p-1022;
  const int exponent = int(bits_as<uint64_t>(tiny ? x * 0x1p54 : x) >> 52 & 0x7ff) - 1023;
  return tiny ? exponent - 54 : exponent;
}

// How an exponent is summed: ½, 1 and 2 have kernels of their own.
enum class PowerKind : int { half = 0, one = 1, two = 2, general = 3 };

PQI_HD PowerKind power_kind(double r) {
  return r == 0.5 ? PowerKind::half : r == 1.0 ? PowerKind::one : r == 2.0 ? PowerKind::two : PowerKind::general;
}

// Sums of float32 powers stay within float64 at the pivot's scale up to this exponent (277 binades · 3.5 < 1,000).
inline constexpr double widest_float_exponent = 3.5;

// Exponents ½, 1, 2: elements are multiplied by 2^−scale in their own type, so the scale stops where that power does.
// Floats are brought to 2^20 rather than 1: the small parts that root_pair computes with stay normal numbers longer.
PQI_HD int scale_of(float, int binade) {
  const int scale = binade - 20;
  return scale < -126 ? -126 : (scale > 107 ? 107 : scale);
}
PQI_HD int scale_of(double, int binade) { return binade < -1000 ? -1000 : (binade > 1000 ? 1000 : binade); }

// float64 (and float32 beyond 3.5): a chunk keeps the pivot's scale while its largest magnitude is this near. With
// exponents up to 500 no power then exceeds 2^502, and no sum of any length leaves the range.
inline constexpr double widest_exponent = 500.0;
PQI_HD bool near_pivot(int largest, int pivot, double r) {
  const double distance = largest > pivot ? double(largest - pivot) : double(pivot - largest);
  return (distance + 1.0) * (r > 2.0 ? r : 2.0) <= 502.0;
}

// The scale of a chunk of float64, or of float32 beyond widest_float_exponent; binades of its largest magnitude and of
// the pivot.
PQI_HD int chunk_scale(int largest, int pivot, double r) { return near_pivot(largest, pivot, r) ? pivot : largest; }

// Whether a chunk's float32 sums of the exponents ½, 1, 2 (zero where not asked for) hold at the pivot's scale; else
// they are taken again at that of the chunk's largest magnitude. Up to this sum of roots no element is beyond
// root_pair's reach.
PQI_HD bool float_sums_hold(const double sums[3]) { return sums[0] <= 0x1p50 && sums[1] + sums[2] < infinity; }

// 1 − d^(1/q − 1/p): the index of one non-zero entry among d.
PQI_HD double highest_index(double d, double p, double q) { return 1.0 - power(d, 1.0 / q - 1.0 / p); }

// M_p/M_q; nan where the index is undefined.
PQI_HD double mean_ratio(const PowerSum& sp, const PowerSum& sq, double d, double p, double q) {
  const double mp = sp.mean_mantissa(d, p), mq = sq.mean_mantissa(d, q);
  if (!(mq > 0.0) || !(mp < infinity) || !(mq < infinity)) return __builtin_nan("");
  return scale_by_power_of_two(mp / mq, sp.scale - sq.scale);
}

// I_{p,q} = 1 − M_p/M_q, clamped to its range [0, highest]; nan where undefined.
PQI_HD double index_of(const PowerSum& sp, const PowerSum& sq, double d, double p, double q, double highest) {
  const double ratio = mean_ratio(sp, sq, d, p, q), index = 1.0 - ratio;
  if (ratio != ratio) return ratio;  // devices differ in what 1 − NaN is
  return index < 0.0 ? 0.0 : (index > highest ? highest : index);
}

// Theorem 2: r ≥ d (1 + η)^(−q/(q−p)) · share, within [0, d], with the share (M_p/M_q)^(pq/(q−p)); nan for a nan share.
PQI_HD double bound_of_share(double share, double d, double p, double q, double eta) {
  if (share != share || d != d) return __builtin_nan("");
  const double tail = eta == 0.0 ? 1.0 : power(1.0 + eta, -q / (q - p));
  const double bound = d * (tail * share);
  return bound < 0.0 ? 0.0 : (bound > d ? d : bound);
}

// From the sums themselves: an index near 1 has lost the digits of M_p/M_q = 1 − I.
PQI_HD double retained_bound_of(const PowerSum& sp, const PowerSum& sq, double d, double p, double q, double eta) {
  const double ratio = mean_ratio(sp, sq, d, p, q), exponent = p * q / (q - p);
  if (!(ratio < 0x1p-1000)) return bound_of_share(power(ratio > 1.0 ? 1.0 : ratio, exponent), d, p, q, eta);
  // A root of small p has left the range; the share itself is at least 1/d.
  const Log2 lp = log2_parts(sp.total.value() / d), lq = log2_parts(sq.total.value() / d);
  const double whole = (q * lp.exponent - p * lq.exponent) + (q * lp.fraction - p * lq.fraction);
  return bound_of_share(exp2_of(whole / (q - p) + exponent * double(sp.scale - sq.scale)), d, p, q, eta);
}

// From a rounded index.
PQI_HD double retained_bound_of(double index, double d, double p, double q, double eta) {
  const double kept = index <= 0.0 ? 1.0 : (index >= 1.0 ? 0.0 : 1.0 - index);
  return bound_of_share(power(kept, p * q / (q - p)), d, p, q, eta);
}

}  // namespace pqi
