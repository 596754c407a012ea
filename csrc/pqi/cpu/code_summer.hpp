// Exact sums of float16 or bfloat16 magnitudes and of their squares, at the cost of reading them: most elements are
// added up in registers, those that cannot be added there exactly are counted. Which are does not show in the result.
#pragma once

#include "code_counter.hpp"
#include "kernels.hpp"

namespace pqi::cpu {

class CodeSummer {
 public:
  CodeSummer(DType t, const Kernels& table) : dtype_(t), table_(table), counter_(t) {}

  // The next n ≤ chunk_size elements.
  void add(const uint16_t* codes, size_t n) {
    live_ += n;
    if (resting_ > 0) {
      --resting_;
      return counter_.add(codes, n);
    }
    const size_t stretches = n / code_stretch;
    uint16_t left[chunk_size / code_stretch];
    ExactSums sums;
    const size_t count = table_.sum_codes(dtype_, codes, stretches * code_stretch, &sums, left);
    one_.add(sums.one, sums.unit);
    two_.add(sums.two, 2 * sums.unit);
    for (size_t i = 0; i < count;) {
      const size_t first = i;
      while (++i < count && left[i] == left[i - 1] + 1) {
      }
      counter_.add(codes + left[first] * code_stretch, (i - first) * code_stretch);
    }
    if (n % code_stretch != 0) counter_.add(codes + stretches * code_stretch, n % code_stretch);
    if (count > stretches / 4) resting_ = rest;
  }

  void add_to(Buffer<uint64_t>& keys, ExactSum& one, ExactSum& two, uint64_t& live) const {
    counter_.add_to(keys);
    one.add(one_);
    two.add(two_);
    live += live_;
  }

 private:
  // So many chunks are counted after one of whose elements many were.
  static constexpr int rest = 15;

  DType dtype_;
  const Kernels& table_;
  CodeCounter counter_;
  ExactSum one_, two_;
  uint64_t live_ = 0;
  int resting_ = 0;
};

}  // namespace pqi::cpu
