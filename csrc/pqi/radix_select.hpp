// The k-th largest key from histograms of its digits, most significant digit first.
//
// Histograms add, so threads, pieces, blocks of a GPU and ranks are one more summand each. The state after each digit
// is a prefix that the threshold shares and how many keys are still to be taken among those with that prefix.
#pragma once

#include "portable.hpp"

namespace pqi {

// How many keys to select: one count a group, or one for all groups.
struct Wanted {
  const uint64_t* each;
  uint64_t all;

  PQI_HD uint64_t operator[](size_t group) const { return each != nullptr ? each[group] : all; }
  // Of the groups from `first` on.
  PQI_HD Wanted from(size_t first) const { return {each != nullptr ? each + first : nullptr, all}; }
};

struct SelectState {
  uint64_t prefix = 0;     // the threshold's digits found so far
  uint64_t remaining = 0;  // how many of the largest keys with this prefix belong to the top k

  // Takes the next digit from the histogram of the keys that share the prefix; remaining must be ≥ 1 and at most the
  // histogram's total.
  template <class Count>
  PQI_HD void descend(const Count* histogram, size_t digits, int digit_bits) {
    size_t digit = digits;
    while (digit-- > 1 && uint64_t(histogram[digit]) < remaining) remaining -= uint64_t(histogram[digit]);
    prefix = prefix << digit_bits | digit;
  }
};

// What decides a mask: keys above the threshold belong to it, and the first `ties` keys equal to it by flat index.
struct Selection {
  uint64_t threshold = 0;
  uint64_t ties = 0;
};

}  // namespace pqi
