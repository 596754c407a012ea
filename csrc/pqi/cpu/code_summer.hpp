// Exact sums of powers of float16 or bfloat16 magnitudes, near the cost of reading them: most elements are added up in
// registers, those that cannot be added there exactly are counted. Which are does not show in the result.
#pragma once

#include "code_counter.hpp"
#include "kernels.hpp"

namespace pqi::cpu {

class CodeSummer {
 public:
  // `which` is one that the table's sums_codes says yes to.
  CodeSummer(unsigned which, DType t, const Kernels& table) : which_(which), dtype_(t), table_(table), counter_(t) {}

  // The next n ≤ chunk_size elements.
  void add(const uint16_t* codes, size_t n) {
    live_ += n;
    if (resting_ > 0) {
      --resting_;
      return counter_.add(codes, n);
    }
    const size_t stretches = n / code_stretch;
    uint16_t left[chunk_size / code_stretch];
    ExactTerms terms[3];
    const size_t count = table_.sum_codes(which_, dtype_, codes, stretches * code_stretch, &hint_, terms, left);
    for (int power = 0; power < 3; ++power)
      for (size_t i = 0; (which_ >> power & 1) != 0 && i < terms[power].count; ++i)
        sums_[power].add(terms[power].value[i], terms[power].exponent[i]);
    if (++chunks_ % chunks_before_carry == 0)
      for (ExactSum& sum : sums_) sum.carry();
    for (size_t i = 0; i < count;) {
      const size_t first = i;
      while (++i < count && left[i] == left[i - 1] + 1) {
      }
      counter_.add(codes + left[first] * code_stretch, (i - first) * code_stretch);
    }
    if (n % code_stretch != 0) counter_.add(codes + stretches * code_stretch, n % code_stretch);
    if (count > stretches / 4) resting_ = rest;
  }

  // Adds its shares: what was counted, what was added up of each power, and how many elements that is.
  void add_to(Buffer<uint64_t>& keys, ExactSum sums[3], uint64_t& live) const {
    counter_.add_to(keys);
    for (int power = 0; power < 3; ++power) sums[power].add(sums_[power]);
    live += live_;
  }

 private:
  // So many chunks are counted after one of whose elements many were.
  static constexpr int rest = 15;
  // An ExactSum takes 2^32 terms before that, and a chunk is a few.
  static constexpr uint64_t chunks_before_carry = uint64_t(1) << 24;

  unsigned which_;
  DType dtype_;
  const Kernels& table_;
  CodeCounter counter_;
  ExactSum sums_[3];  // in the order of SpecialPowers
  uint64_t live_ = 0, chunks_ = 0;
  int hint_ = no_hint, resting_ = 0;
};

}  // namespace pqi::cpu
