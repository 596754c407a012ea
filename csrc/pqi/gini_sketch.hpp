// The Gini index from counts: magnitudes in buckets of equal leading bits, with the count and the sum of each bucket.
//
// Keys (see magnitude_key.hpp) that agree in exponent and in the first `bits` bits of the mantissa share a bucket;
// their other bits, the low, say where in it they lie: a magnitude is (base + low)·unit with 0 ≤ low < 2^low_bits.
// Count and sum are integers, so buckets add in any order to the same result.
//
// Ranks are exact between buckets; inside one only the sum of the pairwise differences is unknown. It is at least 0
// (all equal) and at most that of the same count and sum with all but one low at an end of the range, since it is
// convex in each low. Everything else is exact, which makes the interval a proof.
#pragma once

#include "gini.hpp"

namespace pqi {

// Keys are float32's or float64's, whatever the elements' type: every other type travels as one of them.
struct SketchGrid {
  DType dtype;
  int bits;

  PQI_HD int low_bits() const { return (dtype == DType::f32 ? 23 : 52) - bits; }
};

inline constexpr int fewest_sketch_bits = 9, most_sketch_bits = 12;
// With so many, the magnitudes of one- and two-byte types have buckets of their own.
inline constexpr int narrow_sketch_bits = 16;

// Smaller groups are ranked at once: a sketch would cost as much.
inline constexpr size_t sketch_minimum = size_t(1) << 18;
// Below this tolerance a sketch would hardly ever do.
inline constexpr double finest_tolerance = 1e-9;
// The width of smooth data's intervals with the fewest bits: 1.8e-7 for a normal, 2.7e-7 for a uniform distribution.
inline constexpr double coarsest_width = 4e-7;

// How many bits an interval needs to get from one width to another: smooth data's is four times as narrow with each.
PQI_HD int bits_between(double width, double tol) {
  int bits = 0;
  for (; width > tol && bits < most_sketch_bits; width /= 4) ++bits;
  return bits;
}

PQI_HD int sketch_bits(double tol) {
  const int bits = fewest_sketch_bits + bits_between(coarsest_width, tol);
  return bits < most_sketch_bits ? bits : most_sketch_bits;
}

// The same of an interval that is asked for; 0 where only the exact value will do.
PQI_HD int interval_bits(double tol) { return tol >= finest_tolerance ? sketch_bits(tol) : 0; }

// How many bits a second sketch should have after one whose interval has this width; 0 where it would be in vain:
// discrete data's interval is only half as wide with each bit more.
PQI_HD int finer_sketch_bits(double width, int bits, double tol) {
  const int more = bits_between(width, 0.8 * tol);
  return width > tol && more <= 2 && bits + more <= most_sketch_bits ? bits + more : 0;
}

struct SketchBucket {
  uint64_t index;  // key >> low_bits
  uint64_t count;
  uint128 lows;  // Σ low
};

// The largest Σ_{i<j} |x_i − x_j| of n numbers within [0, top] whose sum is `sum` (all integers; n up to 2^41).
PQI_HD uint128 widest_differences(uint64_t n, uint128 sum, uint64_t top) {
  if (n < 2 || top == 0) return 0;
  const uint64_t upper = uint64_t(sum / top), rest = uint64_t(sum - uint128(upper) * top);
  if (upper >= n) return 0;
  const uint64_t lower = n - upper - 1;
  return uint128(upper) * lower * top + uint128(upper) * (top - rest) + uint128(lower) * rest;
}

struct GiniInterval {
  double value, low, high;
};

// Bounds of the exact value from quotients that are right to half an ulp and 1e-24.
PQI_HD GiniInterval enclosed(double low, double value, double high) {
  if (!(value == value)) return {__builtin_nan(""), __builtin_nan(""), __builtin_nan("")};  // one for all devices
  low -= low * 0x1p-51 + 0x1p-60;
  high += high * 0x1p-51 + 0x1p-60;
  low = low > 0.0 ? low : 0.0;
  high = high < 1.0 ? high : 1.0;
  return {value < low ? low : (value > high ? high : value), low, high};
}

// The same of G · d / (d − 1); nan for fewer than two entries.
PQI_HD GiniInterval unbiased_interval(GiniInterval biased, double d) {
  if (!(d > 1.0)) return {__builtin_nan(""), __builtin_nan(""), __builtin_nan("")};
  const double rest = d - 1.0;
  return enclosed(biased.low * d / rest, biased.value * d / rest, biased.high * d / rest);
}

// Sums over buckets, relative to the largest magnitude's unit; in double-double arithmetic, whose error stays below
// 1e-24 of the result's denominator.
struct SketchSums {
  DoubleDouble ranked;            // Σ (2k − d − 1) w with every bucket's magnitudes equal
  DoubleDouble sum;               // Σ w
  DoubleDouble widest, expected;  // Σ over buckets of Σ_{i<j} |w_i − w_j|
};
inline constexpr int sketch_sums = 4;

PQI_HD void add_sketch_sum(DoubleDouble& to, DoubleDouble term) {
  to.add(term);
  to.normalise();
}

// What a sketch's buckets mean, given its counts and its largest key.
class SketchScale {
 public:
  PQI_HD SketchScale(SketchGrid grid, uint64_t live, uint64_t largest)
      : grid_(grid), live_(live), largest_(largest), scale_(key_magnitude(grid.dtype, largest).exponent) {}

  // A bucket's share of the sums; `rank` magnitudes are smaller.
  PQI_HD SketchSums terms(const SketchBucket& bucket, uint64_t rank) const {
    const uint64_t first = bucket.index << grid_.low_bits(), n = bucket.count;
    const bool last = bucket.index == largest_ >> grid_.low_bits();
    const uint64_t top = last ? largest_ - first : (uint64_t(1) << grid_.low_bits()) - 1;
    const Magnitude base = key_magnitude(grid_.dtype, first);
    const int exponent = base.exponent - scale_;
    const double unit = exponent < -1000 ? 0.0 : exact_power_of_two(exponent);
    SketchSums out;
    out.sum = scaled(uint128(base.mantissa) * n + bucket.lows, unit);
    const double weight = double(int64_t(2 * rank + n) - int64_t(live_));
    out.ranked = exact_product(out.sum.hi, weight);
    out.ranked.add(out.sum.lo * weight);
    out.widest = out.expected = scaled(widest_differences(n, bucket.lows, top), unit);
    // Lows spread evenly make 2n/(3n + 2) of the largest sum, on average over their own sums.
    out.expected.multiply(2.0 * double(n) / (3.0 * double(n) + 2.0));
    return out;
  }

  PQI_HD GiniInterval interval(const SketchSums& sums) const {
    return enclosed(quotient(sums, DoubleDouble{}), quotient(sums, sums.expected), quotient(sums, sums.widest));
  }

  // Σ|w| / d, rounded once.
  PQI_HD double mean(const SketchSums& sums) const {
    if (!(sums.sum.hi > 0.0)) return 0.0;
    return scale_by_power_of_two(gini_quotient(sums.sum, {1.0, 0.0}, double(live_)), scale_);
  }

 private:
  PQI_HD static DoubleDouble scaled(uint128 integer, double unit) {
    DoubleDouble out = to_double_double(integer);
    out.multiply(unit);
    return out;
  }
  PQI_HD double quotient(const SketchSums& sums, DoubleDouble inside) const {
    inside.add(sums.ranked);
    return gini_quotient(inside, sums.sum, double(live_));
  }

  SketchGrid grid_;
  uint64_t live_, largest_;
  int scale_;
};

// Adds buckets given in ascending order.
class SketchSum {
 public:
  PQI_HD SketchSum(SketchGrid grid, uint64_t live, uint64_t largest) : scale_(grid, live, largest) {}

  // Entries equal to zero come first; their bucket then holds the others alone.
  PQI_HD void add_zeros(uint64_t count) { rank_ += count; }

  PQI_HD void add(const SketchBucket& bucket) {
    const SketchSums terms = scale_.terms(bucket, rank_);
    add_sketch_sum(sums_.ranked, terms.ranked);
    add_sketch_sum(sums_.sum, terms.sum);
    add_sketch_sum(sums_.widest, terms.widest);
    add_sketch_sum(sums_.expected, terms.expected);
    rank_ += bucket.count;
  }

  PQI_HD GiniInterval interval() const { return scale_.interval(sums_); }
  PQI_HD double mean() const { return scale_.mean(sums_); }

 private:
  SketchScale scale_;
  SketchSums sums_;
  uint64_t rank_ = 0;
};

}  // namespace pqi
