// Rows are sorted in shared memory, large groups of narrow types counted, all others sorted by a radix sort in scratch
// memory; the ranked sums of the last two are integers (see ../gini.hpp).
#include "gini.hpp"

#include <algorithm>

#include "histogram.hpp"
#include "radix_sort.hpp"
#include "rank_rows.hpp"
#include "runs.hpp"
#include "summary.hpp"

namespace pqi::cuda {
namespace {

// slots[group] from a stretch of a group's sorted keys a block; largest[group] too.
template <class K>
struct AddSorted {
  static constexpr int threads = 256;
  static constexpr int near_slots = 32;  // binades added up in shared memory first
  static constexpr size_t shared_bytes = near_slots * run_words * sizeof(uint64_t);

  DType dtype;
  uint64_t size, parts;
  const uint64_t* live;
  const K* keys;
  uint64_t *slots, *largest;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index() / parts, n = live[group], share = (n + parts - 1) / parts;
    const uint64_t begin = block.index() % parts * share, end = begin + share < n ? begin + share : n;
    if (begin >= end) return;
    uint64_t* const near = block.shared<uint64_t>();
    for (int i = block.thread(); i < near_slots * run_words; i += threads) near[i] = 0;
    block.sync();
    const K* const mine = keys + group * size;
    const int first_slot = slot_of(key_magnitude(dtype, mine[begin]));
    uint64_t* const far = slots + group * uint64_t(binades * run_words);
    OpenRun run;
    for (uint64_t i = begin + uint64_t(block.thread()); i < end; i += threads) {
      const Magnitude m = key_magnitude(dtype, mine[i]);
      if (slot_of(m) != run.slot) {
        close(block, run, first_slot, near, far);
        run = OpenRun{};
        run.slot = slot_of(m);
      }
      ++run.count;
      run.sum += m.mantissa;
      run.ranked += uint128(m.mantissa) * (i + 1);
    }
    close(block, run, first_slot, near, far);
    if (block.thread() == 0) block.max(largest + group, uint64_t(mine[end - 1]));
    block.sync();
    for (int i = block.thread(); i < near_slots * run_words; i += threads)
      if (near[i] != 0) block.add(far + first_slot * run_words + i, near[i]);
  }

 private:
  PQI_DEVICE static void close(Block& block, OpenRun run, int first_slot, uint64_t* near, uint64_t* far) {
    const bool is_near = run.slot >= 0 && run.slot - first_slot < near_slots;
    if (is_near) run.slot -= first_slot;
    close_run(block, run, is_near ? near : far);
  }
};

// The same from the counts of codes.
struct AddCounts {
  static constexpr int threads = int(histogram_codes / histogram_run);

  DType dtype;
  const uint64_t* counts;
  uint64_t *slots, *largest, *live;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t* const sums = block.shared<uint64_t>();
    const uint64_t first = uint64_t(block.thread()) * histogram_run;
    uint64_t sum = 0, top = 0;
    for (uint64_t code = first; code < first + histogram_run; ++code) {
      sum += counts[code];
      if (counts[code] != 0) top = code;
    }
    sums[block.thread()] = sum;
    if (sum != 0) block.max(largest, top);
    block.sync();
    uint64_t rank = 0;
    for (int t = 0; t < block.thread(); ++t) rank += sums[t];
    if (block.thread() == threads - 1) *live = rank + sum;
    OpenRun run;
    for (uint64_t code = first; code < first + histogram_run; ++code) {
      const uint64_t n = counts[code];
      if (n == 0) continue;
      const Magnitude m = key_magnitude(dtype, code);
      if (slot_of(m) != run.slot) {
        close_run(block, run, slots);
        run = OpenRun{};
        run.slot = slot_of(m);
      }
      const Run equal = Run::constant(m, n);
      run.count += n;
      run.sum += equal.sum;
      run.ranked += equal.ranked + equal.sum * rank;
      rank += n;
    }
    close_run(block, run, slots);
  }
};

// The index from the slots. One block a group.
struct Finish {
  static constexpr int threads = 256;
  static constexpr size_t shared_bytes = binades * sizeof(uint64_t);

  DType dtype;
  const uint64_t *slots, *largest, *live;
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index();
    uint64_t* const counts = block.shared<uint64_t>();
    const uint64_t* const mine = slots + group * uint64_t(binades * run_words);
    for (int i = block.thread(); i < binades; i += threads) counts[i] = mine[i * run_words];
    block.sync();
    if (block.thread() != 0) return;
    RankedSum sum(live[group]);
    const bool finite = !is_floating(dtype) || key_value(dtype, largest[group]) < infinity;
    for (int slot = 0; finite && slot < binades; ++slot) {
      if (counts[slot] == 0) continue;
      Run run{slot + lowest_exponent, counts[slot], from_limbs(mine + slot * run_words + sum_at), 0};
      run.ranked = from_limbs(mine + slot * run_words + ranked_at) - run.sum * sum.rank;
      sum.add(run);
    }
    out[group] = finite ? sum.value() : __builtin_nan("");
  }
};

// Where ranked sums are collected, for a batch of groups.
struct Slots {
  Scratch<uint64_t> words, largest;

  Slots(const Queue& queue, uint64_t groups) : words(queue, groups * binades * run_words), largest(queue, groups) {
    words.fill(0);
    largest.fill(0);
  }

  void finish(const Queue& queue, DType dtype, uint64_t groups, const uint64_t* live, double* out) const {
    queue.launch(groups, Finish{dtype, words.get(), largest.get(), live, out}, Finish::shared_bytes);
  }
};

void from_counts(const Queue& queue, const Groups& groups, double* out) {
  const Scratch<uint64_t> counts(queue, histogram_codes), live(queue, 1);
  for (uint64_t group = 0; group < groups.count(); ++group) {
    const DType dtype = groups.source().dtype;
    const Slots slots(queue, 1);
    count_codes(queue, groups, group, counts.get());
    queue.launch(1, AddCounts{dtype, counts.get(), slots.words.get(), slots.largest.get(), live.get()},
                 AddCounts::threads * sizeof(uint64_t));
    slots.finish(queue, dtype, 1, live.get(), out + group);
  }
}

// Groups [first, first + count) by sorting them.
template <class K>
void sort_batch(const Queue& queue, const Groups& groups, uint64_t first, uint64_t count, const uint64_t* live,
                double* out) {
  const uint64_t size = groups.size(), tiles = (size + SortPass<K>::tile - 1) / SortPass<K>::tile;
  const uint64_t busy = std::max(uint64_t(1), 4 * uint64_t(queue.processors()) / count);
  const uint64_t share = (tiles + std::min(busy, tiles) - 1) / std::min(busy, tiles) * SortPass<K>::tile;
  const uint64_t parts = (size + share - 1) / share;
  const Scratch<K> one(queue, count * size), other(queue, count * size);
  const Scratch<uint64_t> places(queue, count * sort_digits * parts);
  const DType dtype = sizeof(K) == 8 ? DType::f64 : groups.source().dtype;
  const int key_bits = sizeof(K) == 8 ? 64 : is_narrow(dtype) ? 16 : 32;
  SortPass<K> pass{groups.source(), first, parts, share, live, nullptr, one.get(), 0, places.get()};
  for (; pass.shift < key_bits; pass.shift += sort_bits) {
    queue.launch(count * parts, CountSortDigits<K>{pass}, sort_digits * sizeof(uint32_t));
    queue.launch(count, ScanSortDigits{parts, places.get()}, sort_digits * sizeof(uint64_t));
    queue.launch(count * parts, Scatter<K>{pass}, Scatter<K>::shared_bytes);
    pass.in = pass.out;
    pass.out = pass.out == one.get() ? other.get() : one.get();
  }
  const Slots slots(queue, count);
  queue.launch(count * parts, AddSorted<K>{dtype, size, parts, live, pass.in, slots.words.get(), slots.largest.get()},
               AddSorted<K>::shared_bytes);
  slots.finish(queue, dtype, count, live, out);
}

template <class K>
void from_sort(const Queue& queue, const Groups& groups, double* out) {
  const Scratch<uint64_t> live(queue, groups.count());
  count_live(queue, groups, live.get());
  const uint64_t each = 2 * groups.size() * sizeof(K) + binades * run_words * sizeof(uint64_t);
  const uint64_t batch = std::max(uint64_t(1), Queue::batch_bytes() / each);
  for (uint64_t first = 0; first < groups.count(); first += batch) {
    const uint64_t count = std::min(batch, groups.count() - first);
    sort_batch<K>(queue, groups, first, count, live.get() + first, out + first);
  }
}

}  // namespace

void gini(const Queue& queue, const Groups& groups, double* out) {
  if (groups.size() <= RankRows<float, uint32_t>::widest) {
    if (groups.source().as_float) {
      RankRows<float, uint32_t>::launch(queue, groups, out);
    } else {
      RankRows<double, uint64_t>::launch(queue, groups, out);
    }
  } else if (uses_histogram(groups)) {
    from_counts(queue, groups, out);
  } else if (item_size(groups.source().dtype) == 8) {
    from_sort<uint64_t>(queue, groups, out);
  } else {
    from_sort<uint32_t>(queue, groups, out);
  }
}

}  // namespace pqi::cuda
