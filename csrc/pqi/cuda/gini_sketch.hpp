// The Gini index from one read, within a proven interval (see ../gini_sketch.hpp).
//
// Scratch memory: for each group of a batch a table of 16 bytes a bucket of float32 (2^(8 + bits) buckets: 2 MiB with 9
// bits, 16 MiB with 12) or 24 of float64 (2^(11 + bits): 24 to 192 MiB); batches stay below 1 GiB.
#pragma once

#include "../gini_sketch.hpp"
#include "source.hpp"

namespace pqi::cuda {

// Whether an interval of these groups comes from a sketch: rows and one- and two-byte types are as cheap to rank.
bool can_sketch(const Groups& groups);

// out[row][group] with the rows value, low, high, and the interval's width before and after `unbiased`: from sketches
// with so many bits, or, where they are none or the groups cannot be sketched, from the exact value.
inline constexpr size_t interval_rows = 5;
void gini_intervals(const Queue& queue, const Groups& groups, int bits, bool unbiased, double* out);

// The one group's sketch: head = key type, bits, live, zeros, largest key, buckets that are not empty; and of each of
// these, in ascending order, index, count, lower and upper half of the lows. `rows` has room for `sketch_rows` of them.
inline constexpr size_t sketch_head_words = 6, sketch_row_words = 4;
size_t sketch_rows(DType dtype, size_t elements, int bits);
void gini_sketch(const Queue& queue, const Groups& groups, int bits, uint64_t* head, uint64_t* rows);

}  // namespace pqi::cuda
