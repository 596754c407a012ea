// The k largest magnitudes of each group: exact, ties by lowest flat index.
#pragma once

#include "../radix_select.hpp"
#include "source.hpp"

namespace pqi::cuda {

// Counts of each group lie on the device; more than the live entries means all of them. `masks` are groups of bool
// arrays of the same shapes; all of their elements are written.
void topk_mask(const Queue& queue, const Groups& groups, const Wanted& k, const Groups& masks);
// Sets all elements of bool arrays to false.
void clear(const Queue& queue, const Groups& masks);
// The k-th largest magnitude; nan for k = 0.
void topk_threshold(const Queue& queue, const Groups& groups, const Wanted& k, double* out);

}  // namespace pqi::cuda
