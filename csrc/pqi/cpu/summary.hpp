// The largest magnitude and the number of zeros of each group, from one read.
#pragma once

#include "histogram.hpp"
#include "source.hpp"

namespace pqi::cpu {

// largest: nan for empty groups and where an element is NaN. zeros and live count live entries only.
void extent(const Groups& groups, double* largest, uint64_t* zeros, uint64_t* live);
void extent(const Histogram& histogram, double* largest, uint64_t* zeros);

}  // namespace pqi::cpu
