// Counts of the magnitude codes of one- and two-byte types. One read gives them, they add, and every measure follows.
#pragma once

#include "source.hpp"

namespace pqi::cpu {

// At least this many elements of a narrow type are measured through a histogram.
inline constexpr size_t histogram_minimum = size_t(1) << 20;

// How often each code occurs among the live elements of a group.
struct Histogram {
  DType dtype;
  std::vector<uint64_t> counts;

  uint64_t live() const;
};

// Decided by type and size alone, never by layout, so that bits do not depend on layout either.
bool uses_histogram(const Groups& groups, size_t size);
Histogram histogram_of(const Groups& groups, size_t group);

// Σ count·value^r over the codes in ascending order, for each exponent; the pivot is the smallest non-zero magnitude,
// or the largest where that is too far from it.
std::vector<PowerSum> power_sums(const Histogram& histogram, const std::vector<double>& exponents);

}  // namespace pqi::cpu
