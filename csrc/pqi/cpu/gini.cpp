// Ranks without a full sort: keys are partitioned by their upper bits, and inside a partition, whose values are
// base + low·unit, ranked sums are integers (see ../gini.hpp). One- and two-byte types need a histogram only; groups
// that fit the cache are sorted there, by networks or by their digits.
#include "gini.hpp"

#include <algorithm>

#include "../gini_sketch.hpp"
#include "columns.hpp"
#include "group_loop.hpp"
#include "histogram.hpp"
#include "isa.hpp"
#include "low_ranks.hpp"
#include "parallel.hpp"
#include "partition.hpp"
#include "radix_sort.hpp"
#include "tile_ranker.hpp"
#include "vector_ranker.hpp"

namespace pqi::cpu {
namespace {

constexpr size_t ranked_in_tiles = chunk_size;   // groups up to this size are sorted many at a time
constexpr size_t sorted_below = sketch_minimum;  // larger groups are partitioned

// The run of one binade that ascending keys begin with.
template <class K>
Run first_run(const K* keys, size_t n, DType dtype) {
  Run run{n == 0 ? 0 : key_magnitude(dtype, keys[0]).exponent, 0, 0, 0};
  for (size_t i = 0; i < n; ++i) {
    const Magnitude m = key_magnitude(dtype, keys[i]);
    if (m.exponent != run.exponent) break;
    ++run.count;
    run.sum += m.mantissa;
    run.ranked += uint128(m.mantissa) * run.count;
  }
  return run;
}

template <class K>
bool is_finite(DType dtype, K largest) {
  return !is_floating(dtype) || key_value(dtype, largest) < infinity;
}

template <class K>
double from_sort(const Groups& groups, Reader& reader, size_t size, Buffer<K>& keys) {
  KeyReader<K> source(groups, reader);
  keys.resize(std::max(keys.size(), 2 * size));
  size_t n = 0;
  source.for_each(0, size, [&](K key) { keys[n++] = key; });
  radix_sort(keys.data(), keys.data() + size, n);
  RankedSum sum(n);
  if (n > 0 && !is_finite(source.dtype(), keys[n - 1])) return __builtin_nan("");
  for (size_t i = 0; i < n;) {
    const Run run = first_run(&keys[i], n - i, source.dtype());
    sum.add(run);
    i += run.count;
  }
  return sum.value();
}

double from_partition32(const Groups& groups, size_t group) {
  using Buckets = Partition<uint32_t, uint16_t, 16>;
  constexpr size_t large = size_t(1) << 22;  // shared by the threads; Σ C·(n − C) of smaller ones fits 64 bits
  Buckets partition(groups, group);
  if (!partition.finite()) return __builtin_nan("");
  Buffer<size_t> filled;
  for (size_t bucket = 0; bucket < Buckets::buckets; ++bucket)
    if (partition.count(bucket) > 0) filled.push_back(bucket);
  Buffer<LowSums> sums(filled.size());
  for (size_t i = 0; i < filled.size(); ++i)
    if (partition.count(filled[i]) >= large)
      sums[i] = count_large(partition.values(filled[i]), partition.count(filled[i]));
  const int threads = num_threads();
  std::vector<LowRanker> rankers(static_cast<size_t>(threads));
  parallel_for(filled.size(), threads, [&](size_t i, int thread) {
    const size_t n = partition.count(filled[i]);
    if (n < large) sums[i] = rankers[size_t(thread)].rank(partition.values(filled[i]), n);
  });
  RankedSum total(partition.size());
  for (size_t i = 0; i < filled.size(); ++i) {
    const uint64_t n = partition.count(filled[i]);
    Run run = Run::constant(key_magnitude(partition.dtype(), uint64_t(filled[i]) << 16), n);
    run.sum += sums[i].sum;
    run.ranked += sums[i].ranked;
    total.add(run);
  }
  return total.value();
}

double from_partition64(const Groups& groups, size_t group) {
  using Buckets = Partition<uint64_t, uint64_t, 48>;
  Buckets partition(groups, group);
  if (!partition.finite()) return __builtin_nan("");
  const int threads = num_threads();
  std::vector<Buffer<uint64_t>> buffers(static_cast<size_t>(threads));
  std::vector<Run> runs(Buckets::buckets);  // a bucket lies within a binade
  parallel_for(Buckets::buckets, threads, [&](size_t bucket, int thread) {
    const size_t n = partition.count(bucket);
    uint64_t* const values = partition.values(bucket);
    if (buffers[thread].size() < n) buffers[thread].resize(n);
    radix_sort_from_top(values, buffers[thread].data(), n, 48);
    runs[bucket] = first_run(values, n, partition.dtype());
  });
  RankedSum total(partition.size());
  for (const Run& run : runs) total.add(run);
  return total.value();
}

// Groups that one thread ranks: short ones many at a time, unless too few are left; others each in a tile of its own or
// by sorting its keys.
template <class Number, class K>
void rank_groups(const Groups& groups, size_t begin, size_t end, Reader& reader, double* out) {
  using Bits = std::conditional_t<sizeof(Number) == 4, uint32_t, uint64_t>;
  TileRanker<Number, Bits> ranker(groups, kernels());
  VectorRanker<Number, Bits> single(kernels());
  Buffer<K> keys;
  const auto alone = [&](size_t g) {
    const size_t size = groups.size(g);
    reader.select(g);
    out[g] = single.beats_sorting(size) ? single.rank(reader, size) : from_sort(groups, reader, size, keys);
  };
  for_each_tile(
      groups, begin, end, ranked_in_tiles,
      [&](const size_t* chosen, size_t count, size_t width) {
        if (!single.beats_tiles(count, width)) return ranker.rank(reader, chosen, count, width, out);
        for (size_t lane = 0; lane < count; ++lane) alone(chosen[lane]);
      },
      alone);
}

}  // namespace

double gini(const Histogram& histogram) {
  RankedSum sum(histogram.live());
  for (size_t code = 0; code < histogram.counts.size(); ++code) {
    if (histogram.counts[code] == 0) continue;
    if (!(key_value(histogram.dtype, code) < infinity)) return __builtin_nan("");
    sum.add(Run::constant(key_magnitude(histogram.dtype, code), histogram.counts[code]));
  }
  return sum.value();
}

double gini_of_large(const Groups& groups, size_t group) {
  switch (groups.key_stream()) {
    case Stream::bits32:
      return from_partition32(groups, group);
    case Stream::bits64:
      return from_partition64(groups, group);
    default:
      return gini(histogram_of(groups, group));
  }
}

void gini(const Groups& groups, double* out, const std::function<void(size_t)>& large) {
  const Stream stream = groups.key_stream();
  const bool narrow_type = stream == Stream::bits16, as_float = groups.number_stream() == Stream::float32;
  for_each_group(
      groups, kernels(), [=](size_t size) { return size >= (narrow_type ? histogram_minimum : sorted_below); }, large,
      [&](size_t begin, size_t end, Reader& reader) {
        with_key_type(groups, [&](auto key) {
          using K = decltype(key);
          if (as_float) {
            rank_groups<float, K>(groups, begin, end, reader, out);
          } else {
            rank_groups<double, K>(groups, begin, end, reader, out);
          }
        });
      });
}

void gini(const Groups& groups, double* out) {
  for_each_slab(groups, [&](const Groups& slab, size_t first) {
    gini(slab, out + first, [&](size_t g) { out[first + g] = gini_of_large(slab, g); });
  });
}

}  // namespace pqi::cpu
