// Power sums of groups, from one read, and what follows from them.
#pragma once

#include "histogram.hpp"
#include "source.hpp"

namespace pqi::cpu {

// Each writes one value per group (power_means: per group and exponent; index_grid: per group, p and q).
void power_means(const Groups& groups, const std::vector<double>& exponents, double* out);
void power_means(const Histogram& histogram, const std::vector<double>& exponents, double* out);
void norms(const Groups& groups, double p, double q, double* norm_p, double* norm_q);
void index(const Groups& groups, double p, double q, double* out);
// Theorem 2's least number of entries to keep.
void retained_bound(const Groups& groups, double p, double q, double eta, double* out);
double retained_bound(const Histogram& histogram, double p, double q, double eta);
// The mean magnitude M_1, the index and the bound, from one read.
void mean_index_bound(const Groups& groups, double p, double q, double eta, double* mean, double* index, double* bound);
void index_grid(const Groups& groups, const std::vector<double>& p, const std::vector<double>& q, double* out);
void index_grid(const Histogram& histogram, const std::vector<double>& p, const std::vector<double>& q, double* out);

// The sum of all 64-bit words: one streaming read, the yardstick that speeds are quoted against.
uint64_t read_pass(const Groups& groups);

}  // namespace pqi::cpu
