// Rows are selected by a warp each. Larger groups by radix select over the whole device: a digit's histogram, then one
// pass that writes what the first digit decides and collects the rest, from which the other digits and the ties follow;
// where the rest is too large to collect, the groups' elements are read again instead.
#include "topk.hpp"

#include <algorithm>

#include "../radix_select.hpp"
#include "each.hpp"
#include "key_type.hpp"
#include "select_rows.hpp"
#include "summary.hpp"
#include "ties.hpp"

namespace pqi::cuda {
namespace {

struct Prepare {
  Wanted wanted;
  const uint64_t* live;
  SelectState* states;

  PQI_DEVICE void operator()(uint64_t g) const {
    const uint64_t k = wanted[g];
    states[g].prefix = 0;
    states[g].remaining = k < live[g] ? k : live[g];
  }
};

struct Thresholds {
  DType dtype;
  const SelectState* states;
  double* out;

  PQI_DEVICE void operator()(uint64_t g) const {
    out[g] = states[g].remaining > 0 ? key_value(dtype, states[g].prefix) : __builtin_nan("");
  }
};

struct Clear {
  Source masks;

  PQI_DEVICE void operator()(uint64_t i) const {
    Cursor mask(masks, 0);
    *mask.address(i) = 0;
  }
};

// Takes a digit of each group's threshold and clears the counts for the next one.
struct Descend {
  static constexpr int threads = 256;
  static constexpr int fine_bits = 4, fine = 1 << fine_bits;

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

// Scratch memory for a batch of groups, and the launches that select from them.
template <class K>
class Selector {
 public:
  Selector(const Queue& queue, const Groups& groups)
      : queue_(queue),
        groups_(groups),
        capacity_(groups.size() / 8 + 1024),
        tiles_((groups.size() + tie_tile - 1) / tie_tile),
        batch_(std::clamp(Queue::batch_bytes() / bytes_of_group(), uint64_t(1), groups.count())),
        keys_(queue, batch_ * capacity_),
        places_(queue, batch_ * capacity_),
        found_(queue, batch_),
        states_(queue, groups.count()),
        counts_(queue, batch_ * most_digits) {}

  // The masks or the thresholds or both, where not null.
  void select(const Wanted& k, const Groups* masks, double* out) const {
    const Scratch<uint64_t> live(queue_, groups_.count());
    count_live(queue_, groups_, live.get());
    for_each(queue_, groups_.count(), Prepare{k, live.get(), states_.get()});
    const Scratch<uint32_t> ties(queue_, masks != nullptr ? batch_ * tiles_ : 0);
    const Scratch<Cut> cuts(queue_, masks != nullptr ? batch_ : 0);
    for (uint64_t first = 0; first < groups_.count(); first += batch_) {
      const uint64_t count = std::min(batch_, groups_.count() - first);
      const Candidates<K> rest = find(first, count, masks);
      if (masks != nullptr) cut(rest, count, masks->source(), ties, cuts.get());
    }
    if (out != nullptr) for_each(queue_, groups_.count(), Thresholds{groups_.source().dtype, states_.get(), out});
  }

 private:
  uint64_t bytes_of_group() const {
    return capacity_ * (sizeof(K) + sizeof(uint64_t)) + most_digits * sizeof(uint64_t) + tiles_ * sizeof(uint32_t);
  }

  void take(const Candidates<K>& from, uint64_t count, Digit digit) const {
    queue_.launch(count * from.parts, CountDigits<K>{from, digit, counts_.get()}, sizeof(uint32_t) << digit.bits);
    queue_.launch(count, Descend{digit, counts_.get(), from.states},
                  sizeof(uint64_t) << (digit.bits - Descend::fine_bits));
  }

  // Finds all digits; what the first one decides is written where there is a mask.
  Candidates<K> find(uint64_t first, uint64_t count, const Groups* masks) const {
    constexpr uint64_t elements = 16384;  // of a block, at least
    const uint64_t busy = 8 * uint64_t(queue_.processors()), pieces = (groups_.size() + elements - 1) / elements;
    const uint64_t parts = std::clamp(busy / count, uint64_t(1), pieces);
    Candidates<K> from{groups_.source(),      first,       parts,         0,
                       states_.get() + first, keys_.get(), places_.get(), found_.get()};
    counts_.fill(0);
    found_.fill(0);
    Digit digit = Digit::top(int(sizeof(K)) * 8);
    take(from, count, digit);
    from.capacity = capacity_;
    queue_.launch(count * parts, Split<K>{from, masks != nullptr ? masks->source() : Source{}, masks != nullptr, digit},
                  Split<K>::shared_bytes);
    while (digit.shift > 0) {
      digit = digit.next();
      take(from, count, digit);
    }
    return from;
  }

  // Writes the masks of the candidates.
  void cut(const Candidates<K>& rest, uint64_t count, const Source& masks, const Scratch<uint32_t>& ties,
           Cut* cuts) const {
    ties.fill(0);
    queue_.launch(count * rest.parts, CountTies<K>{rest, tiles_, ties.get()});
    queue_.launch(count, FindCut{rest.states, tiles_, ties.get(), cuts}, FindCut::shared_bytes);
    queue_.launch(count * rest.parts, Decide<K>{rest, masks, cuts});
    queue_.launch(count, CutTile<K>{groups_.source(), masks, rest.first, rest.states, cuts}, CutTile<K>::shared_bytes);
  }

  const Queue& queue_;
  const Groups& groups_;
  const uint64_t capacity_, tiles_, batch_;
  const Scratch<K> keys_;
  const Scratch<uint64_t> places_, found_;
  const Scratch<SelectState> states_;
  const Scratch<uint64_t> counts_;
};

void select(const Queue& queue, const Groups& groups, const Wanted& k, const Groups* masks, double* out) {
  if (groups.count() == 0) return;
  with_key_type(groups.source().dtype, [&](auto key) {
    using K = decltype(key);
    if (groups.size() <= SelectRows<K>::widest) {
      SelectRows<K>::launch(queue, groups, k.each, k.all, masks, out);
    } else {
      Selector<K>(queue, groups).select(k, masks, out);
    }
  });
}

}  // namespace

void topk_mask(const Queue& queue, const Groups& groups, const Wanted& k, const Groups& masks) {
  if (groups.size() > 0) select(queue, groups, k, &masks, nullptr);
}

void clear(const Queue& queue, const Groups& masks) { for_each(queue, masks.size(), Clear{masks.source()}); }

void topk_threshold(const Queue& queue, const Groups& groups, const Wanted& k, double* out) {
  select(queue, groups, k, nullptr, out);
}

}  // namespace pqi::cuda
