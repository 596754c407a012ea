// Exactly k largest magnitudes of each group, ties by lowest flat index.
#pragma once

#include "../radix_select.hpp"
#include "source.hpp"

namespace pqi::cpu {

// k ≤ live ≤ size: how many to select among how many live entries of each group, as counted before; a null `live` means
// all of them. Elements and masks that change during the call make the result meaningless but do no harm. `masks` are
// writable one-byte arrays with the shapes of the input's, in the same grouping; every byte is written, 0 or 1.
void topk_mask(const Groups& groups, const Wanted& k, const uint64_t* live, const Groups& masks);

// The k-th largest magnitude of each group; nan where k is zero.
void topk_threshold(const Groups& groups, const Wanted& k, const uint64_t* live, double* out);

}  // namespace pqi::cpu
