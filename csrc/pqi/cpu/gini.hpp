// The exact Gini index of the magnitudes of each group.
#pragma once

#include <functional>

#include "histogram.hpp"
#include "source.hpp"

namespace pqi::cpu {

// nan for all-zero and empty groups and where an element is infinite or NaN. Workspace: none worth mention for one- and
// two-byte types from 2^20 elements, half the input's bytes for four-byte types, as many
// bytes as the input for eight-byte ones.
// 64-bit integers are rounded to float64.
void gini(const Groups& groups, double* out);
double gini(const Histogram& histogram);

// As gini without a copy of columns, but calls large(group) for the groups too large to be ranked in cache.
void gini(const Groups& groups, double* out, const std::function<void(size_t)>& large);
// The exact index of such a group.
double gini_of_large(const Groups& groups, size_t group);

}  // namespace pqi::cpu
