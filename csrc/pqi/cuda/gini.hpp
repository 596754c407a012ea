// The exact Gini index of each group.
#pragma once

#include "source.hpp"

namespace pqi::cuda {

void gini(const Queue& queue, const Groups& groups, double* out);

}  // namespace pqi::cuda
