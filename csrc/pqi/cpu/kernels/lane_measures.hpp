// The last steps from sums to measures, for 16 groups at once: the operations of reduction.hpp, whose own functions see
// to the groups that leave their common path. Included by kernels.cpp alone.
#pragma once

#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

// Up to this distance one factor scales by a power of two.
constexpr int64_t widest_shift = 1000;

PowerSum sum_of_lane(const LaneSums& sums, size_t lane) { return {{sums.value[lane], 0.0}, sums.scale[lane]}; }

// power(x[j], r).
void lane_powers(const double* x, double r, double* out) {
  if (r == 1.0) {
    for (int j = 0; j < lanes; ++j) out[j] = x[j];
  } else if (r == 2.0) {
    for (int j = 0; j < lanes; ++j) out[j] = x[j] * x[j];
  } else if (r == 0.5) {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) out[j] = ::sqrt(x[j]);
  } else {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) out[j] = power_shifted(x[j], r, 0.0);
  }
}

void lane_mean_powers(const LaneSums& sums, const LaneSizes& sizes, double* out) {
#pragma omp simd
  for (int j = 0; j < lanes; ++j) out[j] = sums.value[j] / sizes.d[j];
}

// mean_ratio of every lane but for those in the bits that it returns.
uint32_t lane_ratios(const LaneSums& p_sums, const LaneSums& q_sums, const LaneSizes& sizes, double p, double q,
                     double* out) {
  double mean_p[lanes], mean_q[lanes];
  lane_mean_powers(p_sums, sizes, mean_p);
  lane_mean_powers(q_sums, sizes, mean_q);
  lane_powers(mean_p, 1.0 / p, mean_p);
  lane_powers(mean_q, 1.0 / q, mean_q);
  uint32_t far = 0;
  for (int j = 0; j < lanes; ++j) {
    const int64_t shift = p_sums.scale[j] - q_sums.scale[j];
    far |= uint32_t(shift > widest_shift || shift < -widest_shift) << j;
  }
#pragma omp simd
  for (int j = 0; j < lanes; ++j) {
    const double factor = bits_as<double>(uint64_t(p_sums.scale[j] - q_sums.scale[j] + 1023) << 52);
    const double ratio = mean_p[j] / mean_q[j] * factor;
    const bool defined = (mean_q[j] > 0.0) & (mean_p[j] < infinity) & (mean_q[j] < infinity);
    out[j] = defined ? ratio : __builtin_nan("");
  }
  return far;
}

void means(const LaneSums& sums, const LaneSizes& sizes, double r, double* out) {
  double mean_power[lanes], mantissa[lanes];
  lane_mean_powers(sums, sizes, mean_power);
  lane_powers(mean_power, 1.0 / r, mantissa);
  double mean[lanes];
  int64_t uncommon[lanes];
#pragma omp simd
  for (int j = 0; j < lanes; ++j) {
    const int64_t scale = sums.scale[j];
    mean[j] = mantissa[j] * bits_as<double>(uint64_t(scale + 1023) << 52);
    const bool finite = (0.0 < mantissa[j]) & (mantissa[j] < infinity);
    uncommon[j] = finite & (-widest_shift <= scale) & (scale <= widest_shift) ? 0 : 1;
  }
  int64_t any = 0;
  for (int j = 0; j < lanes; ++j) any |= uncommon[j];
  for (size_t j = 0; j < sizes.count; ++j) out[j] = mean[j];
  for (size_t j = 0; any != 0 && j < sizes.count; ++j)
    if (uncommon[j] != 0) out[j] = mean_of(sum_of_lane(sums, j), sizes.d[j], r);
}

void indices(const LaneSums& p_sums, const LaneSums& q_sums, const LaneSizes& sizes, double p, double q,
             const double* highest, double* out) {
  double index[lanes];
  const uint32_t far = lane_ratios(p_sums, q_sums, sizes, p, q, index);
#pragma omp simd
  for (int j = 0; j < lanes; ++j) {
    const double above_zero = 1.0 - index[j] < 0.0 ? 0.0 : 1.0 - index[j];
    index[j] = above_zero > highest[j] ? highest[j] : above_zero;
  }
  for (size_t j = 0; j < sizes.count; ++j) out[j] = index[j];
  for (size_t j = 0; far >> j != 0; ++j)
    if ((far >> j & 1) != 0 && j < sizes.count)
      out[j] = index_of(sum_of_lane(p_sums, j), sum_of_lane(q_sums, j), sizes.d[j], p, q, highest[j]);
}

void bounds(const LaneSums& p_sums, const LaneSums& q_sums, const LaneSizes& sizes, double p, double q, double eta,
            double* out) {
  double ratio[lanes], share[lanes];
  const uint32_t far = lane_ratios(p_sums, q_sums, sizes, p, q, ratio);
#pragma omp simd
  for (int j = 0; j < lanes; ++j) share[j] = ratio[j] > 1.0 ? 1.0 : ratio[j];
  lane_powers(share, p * q / (q - p), share);
  const double tail = eta == 0.0 ? 1.0 : power(1.0 + eta, -q / (q - p));
  for (size_t j = 0; j < sizes.count; ++j) {
    const double d = sizes.d[j], bound = d * (tail * share[j]);
    const bool common = ratio[j] >= 0x1p-1000 && (far >> j & 1) == 0;
    out[j] = common ? (bound < 0.0 ? 0.0 : (bound > d ? d : bound))
                    : retained_bound_of(sum_of_lane(p_sums, j), sum_of_lane(q_sums, j), d, p, q, eta);
  }
}

void highest_indices(const LaneSizes& sizes, double p, double q, double* out) {
  double powers[lanes];
  lane_powers(sizes.d, 1.0 / q - 1.0 / p, powers);
  for (int j = 0; j < lanes; ++j) out[j] = 1.0 - powers[j];
}

}  // namespace
}  // namespace pqi::cpu
