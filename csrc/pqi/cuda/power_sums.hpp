// The power sums of groups that are read element by element.
#pragma once

#include <vector>

#include "../reduction.hpp"
#include "source.hpp"

namespace pqi::cuda {

// sums[group][exponent], elements travelling as float32 or as float64.
void sum_floats(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums);
void sum_doubles(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums);

}  // namespace pqi::cuda
