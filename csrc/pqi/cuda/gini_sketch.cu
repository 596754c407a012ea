#include "gini_sketch.hpp"

#include <algorithm>

#include "each.hpp"
#include "gini.hpp"
#include "histogram.hpp"
#include "sketch_walk.hpp"
#include "summary.hpp"

namespace pqi::cuda {
namespace {

PQI_DEVICE void store(GiniInterval biased, double live, bool unbiased, uint64_t group, uint64_t groups, double* out) {
  const GiniInterval found = unbiased ? unbiased_interval(biased, live) : biased;
  const double row[interval_rows] = {found.value, found.low, found.high, biased.high - biased.low,
                                     found.high - found.low};
  for (size_t r = 0; r < interval_rows; ++r) out[r * groups + group] = row[r];
}

// The intervals of a batch of groups, a block each: threads compute what buckets add, four of them add it in order.
template <class K>
struct SumBuckets {
  using Table = SketchTable<K>;
  static constexpr int threads = SketchWalk<K>::threads;
  static constexpr size_t terms_at = SketchWalk<K>::shared_bytes;
  static constexpr size_t shared_bytes = terms_at + threads * sketch_sums * sizeof(DoubleDouble);

  Table table;
  bool unbiased;
  uint64_t first, groups;  // of the batch, and of all
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t* const head = table.heads + block.index() * Table::head_words;
    const SketchScale scale(table.grid(), head[0], head[2]);
    auto* const terms = block.shared<DoubleDouble>(terms_at);
    DoubleDouble mine;
    SketchWalk<K>::for_each_tile(block, table, block.index(), [&](const SketchPlace& at) {
      if (at.bucket.count != 0) {
        const SketchSums sums = scale.terms(at.bucket, at.rank);
        DoubleDouble* const place = terms + at.place;
        place[0] = sums.ranked;
        place[threads] = sums.sum;
        place[2 * threads] = sums.widest;
        place[3 * threads] = sums.expected;
      }
      block.sync();
      if (block.thread() < sketch_sums)
        for (uint64_t i = 0; i < at.tile; ++i) add_sketch_sum(mine, terms[block.thread() * threads + int(i)]);
    });
    block.sync();
    if (block.thread() < sketch_sums) terms[block.thread()] = mine;
    block.sync();
    if (block.thread() != 0) return;
    const bool finite = key_value(Table::dtype, head[2]) < infinity;
    const double none = __builtin_nan("");
    const SketchSums sums{terms[0], terms[1], terms[2], terms[3]};
    store(finite ? scale.interval(sums) : GiniInterval{none, none, none}, double(head[0]), unbiased,
          first + block.index(), groups, out);
  }
};

struct Enclose {
  bool unbiased;
  uint64_t groups;
  const double* exact;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(uint64_t g) const {
    store(enclosed(exact[g], exact[g], exact[g]), double(live[g]), unbiased, g, groups, out);
  }
};

template <class K>
struct ListBuckets {
  using Table = SketchTable<K>;
  static constexpr int threads = SketchWalk<K>::threads;

  Table table;
  uint64_t *head, *rows;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t count = 0;
    SketchWalk<K>::for_each_tile(block, table, 0, [&](const SketchPlace& at) {
      count = at.before + at.tile;
      if (at.bucket.count == 0) return;
      uint64_t* const row = rows + (at.before + at.place) * sketch_row_words;
      row[0] = at.bucket.index;
      row[1] = at.bucket.count;
      row[2] = uint64_t(at.bucket.lows);
      row[3] = uint64_t(at.bucket.lows >> 64);
    });
    if (block.thread() != 0) return;
    head[0] = Table::dtype == DType::f64;
    head[1] = uint64_t(table.bits);
    for (int i = 0; i < int(Table::head_words); ++i) head[2 + i] = table.heads[i];
    head[5] = count;
  }
};

// Tables for a batch of groups, filled.
template <class K>
class Counted {
 public:
  using Table = SketchTable<K>;

  Counted(const Queue& queue, const Groups& groups, int bits)
      : counts_(queue, groups.count() * (Table::binades << bits) * Table::words),
        rest_(queue, groups.count() * (Table::binades + Table::head_words)),
        table{bits, counts_.get(), rest_.get(), rest_.get() + groups.count() * Table::binades} {
    counts_.fill(0);
    rest_.fill(0);
    using Program = CountBuckets<K>;
    constexpr uint64_t step = Program::threads * Program::at_once;
    const uint64_t steps = (groups.size() + step - 1) / step;
    const uint64_t busy = std::max(uint64_t(1), uint64_t(queue.processors()) / groups.count());
    const uint64_t share = std::max((steps + busy - 1) / busy, uint64_t(1)) * step;
    const uint64_t parts = (groups.size() + share - 1) / share;
    const uint64_t fit = (queue.shared_limit() - Program::head_bytes) / Program::bucket_bytes;
    const uint64_t window = std::min(fit, uint64_t(32) << bits);
    queue.launch(groups.count() * parts, Program{groups.source(), table, parts, share, window},
                 Program::head_bytes + window * Program::bucket_bytes);
  }

 private:
  const Scratch<uint64_t> counts_, rest_;

 public:
  const Table table;
};

template <class K>
void sketch_intervals(const Queue& queue, const Groups& groups, int bits, bool unbiased, double* out) {
  const uint64_t batch = std::max(uint64_t(1), Queue::batch_bytes() / SketchTable<K>::bytes(bits));
  for (uint64_t first = 0; first < groups.count(); first += batch) {
    const Groups some = groups.stretch(first, std::min(batch, groups.count() - first));
    const Counted<K> counted(queue, some, bits);
    queue.launch(some.count(), SumBuckets<K>{counted.table, unbiased, first, groups.count(), out},
                 SumBuckets<K>::shared_bytes);
  }
}

template <class K>
void list(const Queue& queue, const Groups& groups, int bits, uint64_t* head, uint64_t* rows) {
  const Counted<K> counted(queue, groups, bits);
  queue.launch(1, ListBuckets<K>{counted.table, head, rows}, SketchWalk<K>::shared_bytes);
}

bool travels_as_float(const Groups& groups) { return groups.source().dtype == DType::f32; }

}  // namespace

bool can_sketch(const Groups& groups) {
  const bool counted = groups.source().homogeneous && is_narrow(groups.source().dtype);
  return groups.size() >= sketch_minimum && !counted;
}

void gini_intervals(const Queue& queue, const Groups& groups, int bits, bool unbiased, double* out) {
  if (groups.count() == 0) return;
  if (bits != 0 && can_sketch(groups)) {
    if (travels_as_float(groups)) {
      sketch_intervals<uint32_t>(queue, groups, bits, unbiased, out);
    } else {
      sketch_intervals<uint64_t>(queue, groups, bits, unbiased, out);
    }
    return;
  }
  const Scratch<double> exact(queue, groups.count());
  const Scratch<uint64_t> live(queue, groups.count());
  gini(queue, groups, exact.get());
  count_live(queue, groups, live.get());
  for_each(queue, groups.count(), Enclose{unbiased, groups.count(), exact.get(), live.get(), out});
}

size_t sketch_rows(DType dtype, size_t elements, int bits) {
  const uint64_t binades = dtype == DType::f32 ? SketchTable<uint32_t>::binades : SketchTable<uint64_t>::binades;
  return std::min(elements, size_t(binades << bits));
}

void gini_sketch(const Queue& queue, const Groups& groups, int bits, uint64_t* head, uint64_t* rows) {
  if (travels_as_float(groups)) {
    list<uint32_t>(queue, groups, bits, head, rows);
  } else {
    list<uint64_t>(queue, groups, bits, head, rows);
  }
}

}  // namespace pqi::cuda
