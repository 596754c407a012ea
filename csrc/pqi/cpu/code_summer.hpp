// Exact sums of powers of float16 or bfloat16 magnitudes, near the cost of reading them: elements are added up in
// registers, those that cannot be added there exactly are counted, and so are others where that takes less time. Which
// are does not show in the result.
#pragma once

#include "code_counter.hpp"
#include "kernels.hpp"

namespace pqi::cpu {

class CodeSummer {
 public:
  // `which` and t are not to be counted alone, by the table's code_use.
  CodeSummer(unsigned which, DType t, const Kernels& table)
      : which_(which), dtype_(t), table_(table), lends_(table.code_use(which, t) == CodeUse::both), counter_(t) {}

  // The next n ≤ chunk_size elements.
  void add(const uint16_t* codes, size_t n) {
    live_ += n;
    if (resting_ > 0 || n < code_turn) {
      resting_ -= resting_ > 0 ? 1 : 0;
      return counter_.add(codes, n);
    }
    const size_t whole = n - n % code_turn;
    uint16_t left[chunk_size];
    ExactTerms terms[3];
    uint32_t* const counters = lends_ ? counter_.lend(n) : nullptr;
    size_t count = table_.sum_codes(which_, dtype_, codes, whole, &hint_, terms, left, counters);
    for (int power = 0; power < 3; ++power)
      for (size_t i = 0; (which_ >> power & 1) != 0 && i < terms[power].count; ++i)
        sums_[power].add(terms[power].value[i], terms[power].exponent[i]);
    if (++chunks_ % chunks_before_carry == 0)
      for (ExactSum& sum : sums_) sum.carry();
    if (count > n / (lends_ ? many_alone : many_in_stretches)) {
      resting_ = rest;
      hint_ = no_hint;
    }
    std::memcpy(left + count, codes + whole, (n - whole) * sizeof *codes);
    count += n - whole;
    if (count != 0) counter_.count(left, count);
    if (lends_ && chunks_ % chunks_between_looks == 0) counter_.look_at(codes, n);
  }

  // Adds its shares: what was counted, what was added up of each power, and how many elements that is.
  void add_to(Buffer<uint64_t>& keys, ExactSum sums[3], uint64_t& live) const {
    counter_.add_to(keys);
    for (int power = 0; power < 3; ++power) sums[power].add(sums_[power]);
    live += live_;
  }

 private:
  // Where more than one element in so many is left, adding up takes as long as counting: the former for kernels that
  // leave them one by one, which are those that count some themselves, the latter for those that leave whole stretches.
  static constexpr size_t many_alone = 64, many_in_stretches = 4;
  // So many chunks are counted after such a one.
  static constexpr int rest = 15;
  static constexpr uint64_t chunks_between_looks = 8;
  // An ExactSum takes 2^32 terms before that, and a chunk is a few.
  static constexpr uint64_t chunks_before_carry = uint64_t(1) << 24;

  unsigned which_;
  DType dtype_;
  const Kernels& table_;
  bool lends_;
  CodeCounter counter_;
  ExactSum sums_[3];  // in the order of SpecialPowers
  uint64_t live_ = 0, chunks_ = 0;
  int hint_ = no_hint, resting_ = 0;
};

}  // namespace pqi::cpu
