// Power sums of groups and what follows from them: one read for the exponents ½, 1 and 2 and up to 13 others (fewer
// where a block has less than 144 KiB of shared memory); exponents beyond 3.5 of float32 take another. All results are
// device memory.
#pragma once

#include <vector>

#include "source.hpp"

namespace pqi::cuda {

// out[group][exponent]
void power_means(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, double* out);
// out[0][group] = ‖x‖_p, out[1][group] = ‖x‖_q
void norms(const Queue& queue, const Groups& groups, double p, double q, double* out);
// out[group]
void index(const Queue& queue, const Groups& groups, double p, double q, double* out);
void retained_bound(const Queue& queue, const Groups& groups, double p, double q, double eta, double* out);
// out[0][group] = M_1, out[1][group] = I_{p,q}, out[2][group] = the bound
void mean_index_bound(const Queue& queue, const Groups& groups, double p, double q, double eta, double* out);
// out[group][p][q]
void index_grid(const Queue& queue, const Groups& groups, const std::vector<double>& p, const std::vector<double>& q,
                double* out);
void retained_bound_from_index(const Queue& queue, const double* index, const double* d, uint64_t n, double p, double q,
                               double eta, double* out);

}  // namespace pqi::cuda
