#include "gini_sketch.hpp"

#include <algorithm>

#include "columns.hpp"
#include "gini.hpp"
#include "group_loop.hpp"
#include "isa.hpp"
#include "sketch_counter.hpp"

namespace pqi::cpu {
namespace {

// One- and two-byte types have histograms.
bool counted(const Groups& groups) { return groups.homogeneous() && is_narrow(groups.dtype()); }

// Adds ascending buckets to ascending buckets.
void add_buckets(std::vector<SketchBucket>& to, std::vector<SketchBucket> more) {
  if (to.empty()) return to.swap(more);
  std::vector<SketchBucket> merged;
  merged.reserve(to.size() + more.size());
  auto a = to.begin(), b = more.begin();
  while (a != to.end() || b != more.end()) {
    if (b == more.end() || (a != to.end() && a->index < b->index)) {
      merged.push_back(*a++);
    } else if (a == to.end() || b->index < a->index) {
      merged.push_back(*b++);
    } else {
      merged.push_back({a->index, a->count + b->count, a->lows + b->lows});
      ++a, ++b;
    }
  }
  to.swap(merged);
}

// One thread's share of a group.
template <class Counter, class K>
struct Share {
  Reader reader;
  Counter counter;
  GiniSketch sketch;
  uint64_t pending = 0;

  Share(const Groups& groups, size_t group, SketchGrid grid) : reader(groups, kernels()) {
    reader.select(group);
    sketch.grid = grid;
  }

  void add(size_t begin, size_t n) {
    const K* const bits = read(begin, n);
    if (pending + n > sketch_keys_before_drain) drain();
    const uint64_t before = counter.first();
    counter.add(bits, n);
    const auto rule = key_rule<K>(sketch.grid.dtype);
    sketch.largest = std::max<uint64_t>(sketch.largest, rule(largest_key(bits, n)));
    if (counter.first() != before) sketch.zeros += zeros_of(bits, n, rule);
    pending += n;
    sketch.live += n;
  }

  GiniSketch& finish() {
    drain();
    return sketch;
  }

 private:
  static uint32_t largest_key(const uint32_t* bits, size_t n) { return kernels().largest_float(bits, n); }
  static uint64_t largest_key(const uint64_t* bits, size_t n) {
    return kernels().largest_double(reinterpret_cast<const double*>(bits), n);
  }
  static uint64_t zeros_of(const uint32_t* bits, size_t n, KeyRule<uint32_t> rule) {
    uint64_t zeros = 0;
    kernels().extent32(bits, n, rule, &zeros);
    return zeros;
  }
  static uint64_t zeros_of(const uint64_t* bits, size_t n, KeyRule<uint64_t> rule) {
    uint64_t zeros = 0;
    kernels().extent64(bits, n, rule, &zeros);
    return zeros;
  }

  const K* read(size_t begin, size_t& n) {
    if constexpr (sizeof(K) == 4) return reader.template read_live<uint32_t>(begin, n);
    if constexpr (sizeof(K) == 8) return reinterpret_cast<const K*>(reader.template read_live<double>(begin, n));
  }

  void drain() {
    add_buckets(sketch.buckets, counter.drain());
    pending = 0;
  }
};

template <class Counter, class K>
GiniSketch count(const Groups& groups, size_t group, SketchGrid grid) {
  const size_t size = groups.size(group), blocks = blocks_of(size);
  using Part = Share<Counter, K>;
  std::vector<std::unique_ptr<Part>> shares(static_cast<size_t>(threads_for(blocks)));
  for (auto& share : shares) share = std::make_unique<Part>(groups, group, grid);
  parallel_for(blocks, int(shares.size()), [&](size_t block, int thread) {
    const size_t end = std::min((block + 1) * block_size, size);
    for (size_t begin = block * block_size; begin < end; begin += chunk_size)
      shares[size_t(thread)]->add(begin, std::min(chunk_size, end - begin));
  });
  GiniSketch& whole = shares[0]->finish();
  for (size_t i = 1; i < shares.size(); ++i) whole.merge(shares[i]->finish());
  // Zeros were counted with the rest.
  if (!whole.buckets.empty() && whole.buckets[0].index == 0 && (whole.buckets[0].count -= whole.zeros) == 0)
    whole.buckets.erase(whole.buckets.begin());
  return std::move(whole);
}

template <int bits>
GiniSketch count(const Groups& groups, size_t group, bool as_float) {
  return as_float ? count<FloatCounter<23 - bits>, uint32_t>(groups, group, {DType::f32, bits})
                  : count<DoubleCounter<52 - bits>, uint64_t>(groups, group, {DType::f64, bits});
}

GiniSketch sketch_with(const Groups& groups, size_t group, int bits) {
  if (counted(groups)) return sketch_of(histogram_of(groups, group));
  const bool as_float = groups.dtype() == DType::f32;
  switch (bits) {
    case 9:
      return count<9>(groups, group, as_float);
    case 10:
      return count<10>(groups, group, as_float);
    case 11:
      return count<11>(groups, group, as_float);
    default:
      return count<12>(groups, group, as_float);
  }
}

// The interval from one sketch; from a finer one where that might be narrow enough.
GiniInterval sketched_interval(const Groups& groups, size_t group, double tol) {
  const int bits = sketch_bits(tol);
  const GiniInterval found = sketch_with(groups, group, bits).gini();
  const int finer = finer_sketch_bits(found.high - found.low, bits, tol);
  return finer != 0 ? sketch_with(groups, group, finer).gini() : found;
}

SketchSum sum_of(const GiniSketch& sketch) {
  SketchSum sum(sketch.grid, sketch.live, sketch.largest);
  sum.add_zeros(sketch.zeros);
  for (const SketchBucket& bucket : sketch.buckets) sum.add(bucket);
  return sum;
}

GiniInterval rounded(double exact) { return enclosed(exact, exact, exact); }

}  // namespace

void GiniSketch::coarsen(int bits) {
  if (bits >= grid.bits) return;
  const int from = grid.low_bits(), fewer = grid.bits - bits;
  std::vector<SketchBucket> coarse;
  for (const SketchBucket& bucket : buckets) {
    const uint64_t index = bucket.index >> fewer, place = bucket.index - (index << fewer);
    if (coarse.empty() || coarse.back().index != index) coarse.push_back({index, 0, 0});
    coarse.back().count += bucket.count;
    coarse.back().lows += bucket.lows + (uint128(place) << from) * bucket.count;
  }
  buckets.swap(coarse);
  grid.bits = bits;
}

void GiniSketch::merge(const GiniSketch& other) {
  coarsen(other.grid.bits);
  if (other.grid.bits > grid.bits) {
    GiniSketch coarse = other;
    coarse.coarsen(grid.bits);
    add_buckets(buckets, std::move(coarse.buckets));
  } else {
    add_buckets(buckets, other.buckets);
  }
  live += other.live;
  zeros += other.zeros;
  largest = std::max(largest, other.largest);
}

bool GiniSketch::finite() const { return key_value(grid.dtype, largest) < infinity; }

GiniInterval GiniSketch::gini() const {
  if (!finite()) return rounded(__builtin_nan(""));
  return sum_of(*this).interval();
}

double GiniSketch::max() const { return live > 0 ? key_value(grid.dtype, largest) : __builtin_nan(""); }

double GiniSketch::mean() const {
  if (live == 0 || !finite()) return max();
  return sum_of(*this).mean();
}

GiniSketch sketch_of(const Histogram& histogram) {
  GiniSketch sketch;
  sketch.grid.bits = narrow_sketch_bits;
  sketch.zeros = sketch.live = histogram.counts[0];
  for (size_t code = 1; code < histogram.counts.size(); ++code) {
    if (histogram.counts[code] == 0) continue;
    const float value = float(key_value(histogram.dtype, code));
    sketch.largest = key_rule<uint32_t>(DType::f32)(bits_as<uint32_t>(value));
    sketch.live += histogram.counts[code];
    sketch.buckets.push_back({sketch.largest >> sketch.grid.low_bits(), histogram.counts[code], 0});
  }
  return sketch;
}

GiniSketch sketch_of(const Groups& groups, size_t group, double tol) {
  return sketch_with(groups, group, sketch_bits(tol));
}

namespace {

void gini_of_slab(const Groups& groups, double tol, bool unbiased, GiniInterval* out) {
  const std::vector<uint64_t> live = unbiased ? count_live(groups) : std::vector<uint64_t>();
  const auto finish = [&](size_t group, GiniInterval biased) {
    return unbiased ? unbiased_interval(biased, double(live[group])) : biased;
  };
  std::vector<double> exact(groups.count());
  std::vector<bool> sketched(groups.count());
  gini(groups, exact.data(), [&](size_t g) {
    if (interval_bits(tol) != 0 && !counted(groups)) {
      out[g] = finish(g, sketched_interval(groups, g, tol));
      sketched[g] = !(out[g].high - out[g].low > tol);
    }
    if (!sketched[g]) exact[g] = gini_of_large(groups, g);
  });
  for (size_t g = 0; g < exact.size(); ++g)
    if (!sketched[g]) out[g] = finish(g, rounded(exact[g]));
}

}  // namespace

void gini_within(const Groups& groups, double tol, bool unbiased, GiniInterval* out) {
  for_each_slab(groups, [&](const Groups& slab, size_t first) { gini_of_slab(slab, tol, unbiased, out + first); });
}

}  // namespace pqi::cpu
