// Counts of the magnitude codes of one- and two-byte types, and what follows from them (see ../histogram_sums.hpp).
#pragma once

#include <vector>

#include "../histogram_sums.hpp"
#include "source.hpp"

namespace pqi::cuda {

inline bool uses_histogram(const Groups& groups) {
  return groups.source().homogeneous && counts_codes(groups.source().dtype, groups.size());
}

// counts[code] of the live elements of one group, histogram_codes of them.
void count_codes(const Queue& queue, const Groups& groups, uint64_t group, uint64_t* counts);

// sums[group][exponent] of all groups.
void sum_histograms(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums);

}  // namespace pqi::cuda
