// Counts and extremes of groups.
#pragma once

#include "source.hpp"

namespace pqi::cuda {

// The live entries of each group.
void count_live(const Queue& queue, const Groups& groups, uint64_t* live);

// The largest magnitude (nan where nothing is live), the zeros and the live entries of each group.
void extent(const Queue& queue, const Groups& groups, double* largest, uint64_t* zeros, uint64_t* live);

}  // namespace pqi::cuda
