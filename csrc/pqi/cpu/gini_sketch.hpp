// The Gini index from one read, within a proven interval (see ../gini_sketch.hpp).
#pragma once

#include "../gini_sketch.hpp"
#include "histogram.hpp"
#include "source.hpp"

namespace pqi::cpu {

struct GiniSketch {
  SketchGrid grid{DType::f32, fewest_sketch_bits};
  uint64_t live = 0, zeros = 0;
  uint64_t largest = 0;               // the largest key
  std::vector<SketchBucket> buckets;  // those that are not empty, by ascending index; zeros are in none

  // Adds a sketch of the same key type; the one with more bits is brought to those of the other.
  void merge(const GiniSketch& other);
  void coarsen(int bits);

  bool finite() const;
  // nan where `finite` fails or all magnitudes are zero.
  GiniInterval gini() const;
  double max() const;
  double mean() const;
};

// With as many buckets as smooth data need for an interval no wider than `tol`; one- and two-byte types are counted
// exactly. Memory: a table for each thread, of 8 bytes a bucket of float32 (2^(8 + bits) buckets) or 16 of float64
// (2^bits buckets for each binade that occurs), and 32 bytes a bucket in the result.
GiniSketch sketch_of(const Groups& groups, size_t group, double tol);
GiniSketch sketch_of(const Histogram& histogram);

// One interval per group no wider than `tol`, from a sketch; where that is wider, and where the exact algorithm is as
// cheap, from the exact value, whose interval is its rounding error.
void gini_within(const Groups& groups, double tol, bool unbiased, GiniInterval* out);

}  // namespace pqi::cpu
