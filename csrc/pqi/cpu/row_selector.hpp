// Top-k of one group that fits a chunk, by counting: how many keys exceed a guess costs little while the group lies in
// the first cache, and a few guesses leave so few keys between two of them that those can be compared one by one. The
// guesses begin with a sample and then learn from the group before, since neighbours are often alike; the result
// depends on the data alone.
#pragma once

#include <algorithm>

#include "../radix_select.hpp"
#include "group_loop.hpp"
#include "mask_writer.hpp"

namespace pqi::cpu {

template <class K>
class RowSelector {
 public:
  RowSelector(const Groups& groups, const Kernels& table)
      : groups_(groups), table_(table), rule_(key_rule<K>(groups.dtype())) {}

  // Finds the k-th largest live key of a group of at most chunk_size elements, 1 ≤ k ≤ live; writes the mask if there
  // is a writer.
  K select(Reader& reader, const MaskWriter* writer, size_t group, uint64_t k) {
    reader.select(group);
    const size_t n = groups_.size(group);
    size_t live = n;
    const K* const keys = reader.template read_live<K>(0, live);
    if (!known_ && live > 0) sample(keys, live, k);  // the caller may have emptied the mask meanwhile
    const Range range = narrow(keys, live, k);
    uint8_t* const direct = writer != nullptr ? writer->direct(0, n) : nullptr;
    uint8_t* const out = direct != nullptr ? direct : buffer_;
    const K* bits = reader.template read<K>(0, n);
    uint64_t within = 0;
    classify(bits, n, range, out, &within);
    if (const uint8_t* alive = reader.live(0, n)) table_.drop_dead(alive, n, out, &within);
    K threshold = range.low;
    if (range.low == range.high) {
      table_.settle_ties(out, n, k - range.above);
    } else {
      threshold = settle(bits, n, out, k - range.above);
    }
    guess_ = threshold;
    known_ = true;
    if (writer != nullptr && direct == nullptr) writer->store(0, n, out);
    return threshold;
  }

 private:
  static constexpr uint64_t few = most_settled;

  // The k-th largest key lies in [low, high]; `above` keys exceed high, `from` are at least low.
  struct Range {
    K low, high;
    uint64_t above, from;
  };

  // A first guess, and how far neighbouring ranks lie apart, from 16 keys.
  void sample(const K* keys, size_t n, uint64_t k) {
    constexpr size_t places = 16;
    K key[places] = {}, sorted[places];
    for (size_t i = 0; i < places && i < n; ++i) key[i] = rule_(keys[i * n / places]);
    for (size_t i = 0; i < places; ++i) {
      size_t rank = 0;
      for (size_t j = 0; j < places; ++j) rank += j < i ? key[j] <= key[i] : key[j] < key[i];
      sorted[rank] = key[i];
    }
    const size_t from_top = std::clamp<size_t>(k * places / n, 2, places - 3), place = places - from_top;
    guess_ = sorted[place];
    stride_ = (double(sorted[place + 1]) - double(sorted[place - 2])) * places / (3.0 * double(n)) + 1;
  }

  Range narrow(const K* keys, size_t n, uint64_t k) {
    Range range{0, rule_.cap, 0, n};
    double guess = double(guess_), stride = stride_;
    bool low_known = false, high_known = false;
    // Counts fall towards higher guesses, unless the caller changes the keys meanwhile: that must end the search too.
    for (int step = 0; range.low < range.high && range.from > range.above + few; ++step) {
      const K last = K(range.high - 1);
      const K middle = guess <= double(range.low) ? range.low : (guess >= double(last) ? last : K(guess));
      const uint64_t above = count_above(keys, n, middle);
      if (above >= k) {
        range.low = K(middle + 1);
        range.from = above;
        low_known = true;
      } else {
        range.high = middle;
        range.above = above;
        high_known = true;
      }
      if (low_known && high_known && step % 4 < 3) {
        guess = interpolated(range, k);
      } else if (low_known && high_known) {
        guess = double(range.low) + (double(range.high) - double(range.low)) / 2;
      } else {
        // From the only side known, as far as the missing rank suggests; four times as far each time that falls short.
        const double rank = low_known ? double(range.from - k) : -double(k - range.above);
        guess = double(middle) + stride * (rank + (low_known ? 1.0 : -1.0) * double(few) / 3);
        stride *= 4;
      }
    }
    if (low_known && high_known && range.from > range.above)
      stride_ = (double(range.high) - double(range.low) + 1) / double(range.from - range.above);
    return range;
  }

  // Where the key of a rank next to k would lie if keys were spread evenly: on the far side of k, so that the wider
  // part is cut off.
  static double interpolated(const Range& range, uint64_t k) {
    const double below = double(range.from - k), over = double(k - range.above), width = below + over;
    const double target = below > over ? double(few) / 3 : -double(few) / 3;
    const double share = std::clamp((below - target) / width, 0.02, 0.98);
    return double(range.low) + (double(range.high) - double(range.low)) * share;
  }

  uint64_t count_above(const K* keys, size_t n, K threshold) const {
    if constexpr (sizeof(K) == 2) return table_.count_above16(keys, n, rule_.mask, threshold);
    if constexpr (sizeof(K) == 4) return table_.count_above32(keys, n, rule_.mask, threshold);
    if constexpr (sizeof(K) == 8) return table_.count_above64(keys, n, rule_.mask, threshold);
  }

  void classify(const K* bits, size_t n, const Range& range, uint8_t* out, uint64_t* within) const {
    if constexpr (sizeof(K) == 2) table_.classify16(bits, n, rule_, range.low, range.high, out, within);
    if constexpr (sizeof(K) == 4) table_.classify32(bits, n, rule_, range.low, range.high, out, within);
    if constexpr (sizeof(K) == 8) table_.classify64(bits, n, rule_, range.low, range.high, out, within);
  }

  K settle(const K* bits, size_t n, uint8_t* out, uint64_t wanted) const {
    if constexpr (sizeof(K) == 2) return table_.settle_largest16(bits, n, rule_, out, wanted);
    if constexpr (sizeof(K) == 4) return table_.settle_largest32(bits, n, rule_, out, wanted);
    if constexpr (sizeof(K) == 8) return table_.settle_largest64(bits, n, rule_, out, wanted);
  }

  const Groups& groups_;
  const Kernels& table_;
  const KeyRule<K> rule_;
  bool known_ = false;
  K guess_ = 0;        // the threshold of the group before
  double stride_ = 1;  // how far its neighbouring ranks lay apart; never zero, or the search would creep
  uint8_t buffer_[chunk_size];
};

}  // namespace pqi::cpu
