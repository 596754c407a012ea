// The Gini index from exact integer sums: G = Σ_k (2k − d − 1) w_(k) / (d Σ w).
//
// Magnitudes of one binade are m·2^e with an integer m, so inside a binade every ranked sum is an integer: no rounding,
// no order of summation, hence the same bits from any sort, partition or histogram. Binades meet in double-double.
#pragma once

#include "magnitude_key.hpp"
#include "reduction.hpp"

namespace pqi {

struct Magnitude {
  uint64_t mantissa;
  int exponent;  // the magnitude is mantissa · 2^exponent
};

// The magnitude of a finite key. 64-bit integers travel as float64, so a mantissa has at most 53 bits.
PQI_HD Magnitude key_magnitude(DType t, uint64_t key) {
  if (t == DType::f32) {
    const uint32_t e = uint32_t(key >> 23), m = uint32_t(key) & 0x7fffffu;
    return e == 0 ? Magnitude{m, -149} : Magnitude{m | 0x800000u, int(e) - 150};
  }
  if (!is_floating(t)) return {key, 0};
  const uint64_t bits = bits_as<uint64_t>(key_value(t, key));
  const uint64_t e = bits >> 52, m = bits & 0xfffffffffffffull;
  return e == 0 ? Magnitude{m, -1074} : Magnitude{m | 0x10000000000000ull, int(e) - 1075};
}

// An unsigned 128-bit integer as a double-double: exact to 106 bits.
PQI_HD DoubleDouble to_double_double(uint128 x) {
  DoubleDouble out;
  out.add(double(uint64_t(x >> 96)) * 0x1p96);
  out.add(double(uint64_t(x >> 48) & 0xffffffffffffull) * 0x1p48);
  out.add(double(uint64_t(x) & 0xffffffffffffull));
  return out;
}

// A run of `count` neighbours in sorted order that share an exponent: Σ m and Σ j·m with j = 1 … count inside the run.
struct Run {
  int exponent;
  uint64_t count;
  uint128 sum;
  uint128 ranked;

  // `count` equal magnitudes.
  PQI_HD static Run constant(Magnitude m, uint64_t count) {
    return {m.exponent, count, uint128(m.mantissa) * count, uint128(m.mantissa) * (uint128(count) * (count + 1) / 2)};
  }
};

// G from Σ (2k − d − 1) w and Σ w > 0: rounded once, but for the last 1e-30.
PQI_HD double gini_of_positive(DoubleDouble ranked, DoubleDouble sum, double d) {
  ranked.normalise();
  sum.normalise();
  DoubleDouble denominator = exact_product(sum.hi, d);
  denominator.add(sum.lo * d);
  const double first = ranked.value() / denominator.value();
  DoubleDouble rest = ranked, product = exact_product(first, denominator.hi);
  product.multiply(-1.0);
  rest.add(product);
  rest.add(-first * denominator.lo);
  return first + rest.value() / denominator.hi;
}

// The same; nan where all magnitudes are zero.
PQI_HD double gini_quotient(DoubleDouble ranked, DoubleDouble sum, double d) {
  return sum.hi > 0.0 ? gini_of_positive(ranked, sum, d) : __builtin_nan("");
}

// Ranked sums over runs given in ascending order. Exponents are relative to the first non-zero run's, so scaling all
// magnitudes by a power of two changes no bit; a binade far above it restarts the scale.
struct RankedSum {
  uint64_t live;  // d, the number of entries that count
  uint64_t rank = 0;
  int scale = 0;
  bool started = false;
  DoubleDouble ranked;  // Σ (2k − d − 1) w
  DoubleDouble sum;     // Σ w

  PQI_HD explicit RankedSum(uint64_t d) : live(d) {}

  PQI_HD void add(const Run& run) {
    if (run.sum != 0) {
      rescale(run.exponent);
      const double unit = exact_power_of_two(run.exponent - scale);
      const int128 weighted = 2 * int128(uint128(rank) * run.sum + run.ranked) - int128(uint128(live + 1) * run.sum);
      add_scaled(ranked, weighted < 0 ? uint128(-weighted) : uint128(weighted), weighted < 0 ? -unit : unit);
      add_scaled(sum, run.sum, unit);
    }
    rank += run.count;
  }

  PQI_HD double value() const { return gini_quotient(ranked, sum, double(live)); }

 private:
  PQI_HD static void add_scaled(DoubleDouble& to, uint128 integer, double unit) {
    DoubleDouble term = to_double_double(integer);
    term.multiply(unit);
    to.add(term);
  }

  // Runs ascend, so a new exponent is never below the scale; sums fit a double while it is not far above.
  PQI_HD void rescale(int exponent) {
    if (!started) {
      started = true;
      scale = exponent;
    } else if (exponent - scale > 600) {
      const double factor = exact_power_of_two(exponent - scale > 1000 ? -1000 : scale - exponent);
      ranked.multiply(factor);
      sum.multiply(factor);
      scale = exponent;
    }
  }
};

}  // namespace pqi
