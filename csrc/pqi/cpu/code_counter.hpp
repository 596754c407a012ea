// Counts of 16-bit codes: how often each occurs, in one increment of a 32-bit counter an element.
#pragma once

#include <cstring>

#include "../histogram_sums.hpp"
#include "read_ahead.hpp"
#include "workspace.hpp"

namespace pqi::cpu {

class CodeCounter {
 public:
  explicit CodeCounter(DType t)
      : rule_(key_rule<uint16_t>(t)),
        mask_(item_size(t) == 1 ? rule_.mask & 0xff : rule_.mask),
        always_crowded_(item_size(t) == 1),
        crowded_next_(always_crowded_) {}

  void add(const uint16_t* codes, size_t n) {
    count(codes, n);
    look_at(codes, n);
  }

  // As add, of elements that tell nothing about those to come.
  void count(const uint16_t* codes, size_t n) {
    if (crowded_next_) {
      if (crowded_.empty()) crowded_.assign((size_t(mask_) + 1) * turns, 0);
      count_in<turns>(codes, n, crowded_.data());
    } else {
      count_in<1>(codes, n, spread());
    }
    if ((since_flush_ += n) >= counts_before_flush) flush();
  }

  // Counters, one a code, that others may increment n times before the next call of anything here; null where
  // neighbours take turns.
  uint32_t* lend(size_t n) {
    if (crowded_next_) return nullptr;
    if ((since_flush_ += n) >= counts_before_flush) flush();
    return spread();
  }

  // Whether neighbours are to take turns from now on follows from the elements that were looked at last, if they are
  // enough to tell.
  void look_at(const uint16_t* codes, size_t n) {
    if (n >= places) crowded_next_ = always_crowded_ || crowded(codes, n);
  }

  // Adds how often each key occurs.
  void add_to(Buffer<uint64_t>& keys) const {
    fold(keys);
    for (size_t key = 0; key < flushed_.size(); ++key) keys[key] += flushed_[key];
  }

 private:
  // 32-bit counters fill the cache half as fast as 64-bit ones; they are emptied before they could overflow.
  static constexpr uint64_t counts_before_flush = uint64_t(1) << 31;
  // A counter's increment waits for the one before. Where few codes are many of the elements (most of them zero, say),
  // neighbours take turns among so many counters of each code; elsewhere these would only fill the cache.
  static constexpr size_t turns = 4;

  uint32_t* spread() {
    if (spread_.empty()) spread_.assign(size_t(mask_) + 1, 0);
    return spread_.data();
  }

  // From 64 places: whether a sixteenth of the neighbours are equal. Asked of elements that have been read, about
  // those to come, which are not in the cache yet.
  static constexpr size_t places = 64, many = places / 16;
  bool crowded(const uint16_t* codes, size_t n) const {
    size_t equal = 0;
    for (size_t i = 0; i < places; ++i) {
      const uint16_t* const at = codes + i * (n / places);
      equal += i + 1 < places && ((at[0] ^ at[1]) & mask_) == 0;
    }
    return equal >= many;
  }

  // Signs are cleared four a word, NaNs and other codes without a key of their own folded at the end.
  template <size_t turns>
  void count_in(const uint16_t* codes, size_t n, uint32_t* counters) const {
    constexpr size_t step = 32;
    const uint64_t mask = mask_ * 0x0001000100010001ull;
    size_t i = 0;
    for (; i + step <= n; i += step) {
      read_ahead(codes + i);
      for (size_t j = i; j < i + step; j += 4) {
        uint64_t word;
        std::memcpy(&word, codes + j, 8);
        word &= mask;
        ++counters[(word & 0xffff) * turns];
        ++counters[(word >> 16 & 0xffff) * turns + 1 % turns];
        ++counters[(word >> 32 & 0xffff) * turns + 2 % turns];
        ++counters[(word >> 48) * turns + 3 % turns];
      }
    }
    for (; i < n; ++i) ++counters[size_t(codes[i] & mask_) * turns];
  }

  void flush() {
    if (flushed_.empty()) flushed_.assign(histogram_codes, 0);
    fold(flushed_);
    spread_.clear();
    crowded_.clear();
    since_flush_ = 0;
  }

  void fold(Buffer<uint64_t>& keys) const {
    for (size_t code = 0; code < spread_.size(); ++code) keys[rule_(uint16_t(code))] += spread_[code];
    for (size_t i = 0; i < crowded_.size(); ++i) keys[rule_(uint16_t(i / turns))] += crowded_[i];
  }

  KeyRule<uint16_t> rule_;
  uint16_t mask_;
  bool always_crowded_, crowded_next_;
  Buffer<uint32_t> spread_, crowded_;  // crowded_[code][turn]
  Buffer<uint64_t> flushed_;
  uint64_t since_flush_ = 0;
};

}  // namespace pqi::cpu
