// Rows are selected by a warp each. Larger groups by radix select over the whole device: a digit's histogram, then one
// pass that writes what the first digit decides and collects the rest, from which the other digits and the ties follow;
// where the rest is too large to collect, the groups' elements are read again instead.
#include "topk.hpp"

#include <algorithm>

#include "../radix_select.hpp"
#include "candidates.hpp"
#include "key_type.hpp"
#include "select_rows.hpp"
#include "summary.hpp"

namespace pqi::cuda {
namespace {

struct Prepare {
  static constexpr int threads = 128;

  uint64_t groups;
  Wanted wanted;
  const uint64_t* live;
  SelectState* states;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t g = block.index() * threads + uint64_t(block.thread());
    if (g >= groups) return;
    const uint64_t k = wanted.each != nullptr ? wanted.each[g] : wanted.all;
    states[g].prefix = 0;
    states[g].remaining = k < live[g] ? k : live[g];
  }
};

// counts[group][digit] of the candidates whose upper digits are those found.
template <class K>
struct CountDigits {
  static constexpr int threads = 256;

  Candidates<K> candidates;
  const SelectState* states;
  Digit digit;
  uint64_t* counts;

  PQI_DEVICE void operator()(Block& block) const {
    uint32_t* const mine = block.shared<uint32_t>();
    const int digits = 1 << digit.bits;
    for (int i = block.thread(); i < digits; i += threads) mine[i] = 0;
    block.sync();
    const uint64_t group = block.index() / candidates.parts;
    const SelectState state = states[group];
    if (state.remaining > 0)
      candidates.for_each(block, [&](uint64_t, K key) {
        if (digit.first() || digit.above(key) == state.prefix) block.add(mine + digit.of(key), 1u);
      });
    block.sync();
    for (int i = block.thread(); i < digits; i += threads)
      if (mine[i] != 0) block.add(counts + group * most_digits + uint64_t(i), uint64_t(mine[i]));
  }
};

// Takes a digit of each group's threshold and clears the counts for the next one.
struct Descend {
  static constexpr int threads = 256;
  static constexpr int fine_bits = 3, fine = 1 << fine_bits;

  Digit digit;
  uint64_t* counts;
  SelectState* states;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t* const coarse = block.shared<uint64_t>();
    uint64_t* const mine = counts + block.index() * most_digits;
    const int coarse_digits = 1 << (digit.bits - fine_bits);
    if (block.thread() < coarse_digits) {
      uint64_t sum = 0;
      for (int i = 0; i < fine; ++i) sum += mine[block.thread() * fine + i];
      coarse[block.thread()] = sum;
    }
    block.sync();
    if (block.thread() == 0 && states[block.index()].remaining > 0) {
      SelectState state = states[block.index()];
      state.descend(coarse, size_t(coarse_digits), digit.bits - fine_bits);
      const uint64_t chosen = state.prefix & uint64_t(coarse_digits - 1);
      state.descend(mine + chosen * fine, size_t(fine), fine_bits);
      states[block.index()] = state;
    }
    block.sync();
    for (int i = block.thread(); i < int(most_digits); i += threads) mine[i] = 0;
  }
};

struct Thresholds {
  static constexpr int threads = 128;

  DType dtype;
  uint64_t groups;
  const SelectState* states;
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t g = block.index() * threads + uint64_t(block.thread());
    if (g < groups) out[g] = states[g].remaining > 0 ? key_value(dtype, states[g].prefix) : __builtin_nan("");
  }
};

// How the groups of a call are selected from, for all of its launches.
template <class K>
class Selector {
 public:
  Selector(const Queue& queue, const Groups& groups, const Wanted& k)
      : queue_(queue),
        groups_(groups),
        capacity_(groups.size() / 8 + 1024),
        keys_(queue, groups.count() * capacity_),
        places_(queue, groups.count() * capacity_),
        found_(queue, groups.count()),
        states_(queue, groups.count()),
        counts_(queue, groups.count() * most_digits),
        all_{groups.source(), parts(), 0, keys_.get(), places_.get(), found_.get()} {
    const Scratch<uint64_t> live(queue, groups.count());
    count_live(queue, groups, live.get());
    launch_each(groups.count(), Prepare{groups.count(), k, live.get(), states_.get()});
    counts_.fill(0);
    found_.fill(0);
  }

  void thresholds(double* out) {
    find(nullptr);
    launch_each(groups_.count(), Thresholds{groups_.source().dtype, groups_.count(), states_.get(), out});
  }

  void mask(const Groups& masks) {
    find(&masks);
    const uint64_t tiles = (groups_.size() + tie_tile - 1) / tie_tile;
    const Scratch<uint64_t> ties(queue_, groups_.count() * (tiles + 1));
    ties.fill(0);
    const Candidates<K> rest = collected();
    queue_.launch(blocks(), CountTies<K>{rest, states_.get(), tiles + 1, ties.get()});
    queue_.launch(groups_.count(), ScanTies{tiles + 1, ties.get()}, ScanTies::shared_bytes);
    queue_.launch(blocks(), Decide<K>{rest, masks.source(), states_.get(), tiles + 1, ties.get()});
    queue_.launch(groups_.count(), CutTile<K>{groups_.source(), masks.source(), states_.get(), tiles + 1, ties.get()},
                  CutTile<K>::shared_bytes);
  }

 private:
  uint64_t parts() const {
    constexpr uint64_t elements = 16384;
    const uint64_t busy = 8 * uint64_t(queue_.processors()), tiles = (groups_.size() + elements - 1) / elements;
    return std::clamp(busy / groups_.count(), uint64_t(1), tiles);
  }
  uint64_t blocks() const { return groups_.count() * all_.parts; }

  Candidates<K> collected() const {
    Candidates<K> rest = all_;
    rest.capacity = capacity_;
    return rest;
  }

  template <class Program>
  void launch_each(uint64_t n, const Program& program) const {
    queue_.launch((n + Program::threads - 1) / Program::threads, program);
  }

  void take(const Candidates<K>& from, Digit digit) const {
    queue_.launch(blocks(), CountDigits<K>{from, states_.get(), digit, counts_.get()}, sizeof(uint32_t) << digit.bits);
    queue_.launch(groups_.count(), Descend{digit, counts_.get(), states_.get()},
                  sizeof(uint64_t) << (digit.bits - Descend::fine_bits));
  }

  // Finds all digits; what the first one decides is written where there is a mask.
  void find(const Groups* masks) const {
    constexpr int key_bits = int(sizeof(K)) * 8;
    Digit digit = Digit::top(key_bits);
    take(all_, digit);
    const Source none{};
    queue_.launch(
        blocks(),
        Split<K>{collected(), masks != nullptr ? masks->source() : none, masks != nullptr, digit, states_.get()},
        Split<K>::shared_bytes);
    while (digit.shift > 0) {
      digit = digit.next();
      take(collected(), digit);
    }
  }

  const Queue& queue_;
  const Groups& groups_;
  const uint64_t capacity_;
  const Scratch<K> keys_;
  const Scratch<uint64_t> places_, found_;
  const Scratch<SelectState> states_;
  const Scratch<uint64_t> counts_;
  const Candidates<K> all_;
};

}  // namespace

void topk_mask(const Queue& queue, const Groups& groups, const Wanted& k, const Groups& masks) {
  if (groups.size() == 0 || groups.count() == 0) return;
  with_key_type(groups.source().dtype, [&](auto key) {
    using K = decltype(key);
    if (groups.size() <= SelectRows<K>::widest) {
      SelectRows<K>::launch(queue, groups, k.each, k.all, &masks, nullptr);
    } else {
      Selector<K>(queue, groups, k).mask(masks);
    }
  });
}

void topk_threshold(const Queue& queue, const Groups& groups, const Wanted& k, double* out) {
  if (groups.count() == 0) return;
  with_key_type(groups.source().dtype, [&](auto key) {
    using K = decltype(key);
    if (groups.size() <= SelectRows<K>::widest) {
      SelectRows<K>::launch(queue, groups, k.each, k.all, nullptr, out);
    } else {
      Selector<K>(queue, groups, k).thresholds(out);
    }
  });
}

}  // namespace pqi::cuda
