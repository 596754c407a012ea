// Counts of the magnitude codes of one- and two-byte types. One read gives them, they add, and every measure follows.
#pragma once

#include "../histogram_sums.hpp"
#include "source.hpp"

namespace pqi::cpu {

// How often each code occurs among the live elements of a group.
struct Histogram {
  DType dtype;
  Buffer<uint64_t> counts;

  uint64_t live() const;
  // Whether codes that the type does not have are counted zero times.
  bool holds_own_codes() const;
};

bool uses_histogram(const Groups& groups, size_t size);
Histogram histogram_of(const Groups& groups, size_t group);

// The k-th largest magnitude, NaN above all others; nan for k = 0. k must not exceed the live entries.
double topk_threshold(const Histogram& histogram, uint64_t k);

// How many entries exceed a magnitude, and how many equal it; NaN exceeds every number and equals itself.
struct Above {
  uint64_t above, equal;
};
Above count_above(const Histogram& histogram, double magnitude);

// Σ count·value^r for each exponent, as ../histogram_sums.hpp defines it.
std::vector<PowerSum> power_sums(const Histogram& histogram, const std::vector<double>& exponents);

// The same of a group, and how many of its elements live; without a histogram where that is not needed.
struct SumsOfCodes {
  std::vector<PowerSum> sums;
  uint64_t live = 0;
};
SumsOfCodes power_sums(const Groups& groups, size_t group, const std::vector<double>& exponents);

}  // namespace pqi::cpu
