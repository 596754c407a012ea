// Exactly k largest magnitudes of each group, ties by lowest flat index.
#pragma once

#include "../radix_select.hpp"
#include "source.hpp"

namespace pqi::cpu {

// `k` holds one count per group, each at most the group's live entries. `masks` are writable one-byte arrays with the
// shapes of the input's, in the same grouping; every byte is written.
void topk_mask(const Groups& groups, const std::vector<uint64_t>& k, const Groups& masks);

// The k-th largest magnitude of each group; nan where k is zero.
void topk_threshold(const Groups& groups, const std::vector<uint64_t>& k, double* out);

}  // namespace pqi::cpu
