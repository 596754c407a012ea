// Ranks without a full sort: keys are partitioned by their upper bits, and inside a partition, whose values are
// base + low·unit, ranked sums are integers (see ../gini.hpp). One- and two-byte types need a histogram only; groups
// that fit the cache are sorted there.
#include "gini.hpp"

#include <algorithm>

#include "../gini.hpp"
#include "histogram.hpp"
#include "isa.hpp"
#include "norms.hpp"
#include "parallel.hpp"
#include "radix_sort.hpp"

namespace pqi::cpu {
namespace {

constexpr size_t ranked_in_tiles = chunk_size;    // groups up to this size are sorted many at a time
constexpr size_t tile_groups = 4;                 // fewer would leave most lanes of a tile idle
constexpr size_t sorted_below = size_t(1) << 18;  // larger groups are partitioned
constexpr size_t counted_from = size_t(1) << 13;  // larger partitions of 32-bit keys are counted, not sorted
constexpr size_t low_values = size_t(1) << 16;

double nan_if(bool undefined, const RankedSum& sum) { return undefined ? __builtin_nan("") : sum.value(); }

double from_histogram(const Histogram& histogram, DType dtype) {
  const auto& counts = histogram.counts;
  uint64_t live = 0, not_finite = 0;
  for (size_t code = 0; code < counts.size(); ++code) {
    live += counts[code];
    if (counts[code] > 0 && !(key_value(dtype, code) < infinity)) not_finite += counts[code];
  }
  RankedSum sum(live);
  if (not_finite == 0)
    for (size_t code = 0; code < counts.size(); ++code)
      if (counts[code] > 0) sum.add(Run::constant(key_magnitude(dtype, code), counts[code]));
  return nan_if(not_finite > 0, sum);
}

// Adds ascending keys, one run per binade.
template <class K>
void add_sorted(const K* keys, size_t n, DType dtype, RankedSum& sum) {
  for (size_t i = 0; i < n;) {
    Run run{key_magnitude(dtype, keys[i]).exponent, 0, 0, 0};
    for (; i < n; ++i) {
      const Magnitude m = key_magnitude(dtype, keys[i]);
      if (m.exponent != run.exponent) break;
      ++run.count;
      run.sum += m.mantissa;
      run.ranked += uint128(m.mantissa) * run.count;
    }
    sum.add(run);
  }
}

template <class K>
bool is_finite(DType dtype, K largest) {
  return !is_floating(dtype) || key_value(dtype, largest) < infinity;
}

// The keys of a group's elements, whatever their form in memory; 64-bit integers as float64.
template <class K>
class KeyReader {
 public:
  KeyReader(const Groups& groups, Reader& reader)
      : reader_(reader),
        as_double_(sizeof(K) == 8 && groups.dtype() != DType::f64),
        dtype_(as_double_ ? DType::f64 : groups.dtype()),
        rule_(key_rule<K>(dtype_)) {}

  DType dtype() const { return dtype_; }

  // Calls f(key) for the live elements of [begin, end) in order.
  template <class F>
  void for_each(size_t begin, size_t end, F f) {
    for (; begin < end; begin += chunk_size) {
      size_t n = std::min(chunk_size, end - begin);
      const K* bits = read(begin, n);
      for (size_t i = 0; i < n; ++i) f(rule_(bits[i]));
    }
  }

 private:
  const K* read(size_t begin, size_t& n) {
    if constexpr (sizeof(K) == 8) {
      if (as_double_) return reinterpret_cast<const K*>(reader_.read_live<double>(begin, n));
    }
    return reader_.read_live<K>(begin, n);
  }

  Reader& reader_;
  const bool as_double_;
  const DType dtype_;
  const KeyRule<K> rule_;
};

template <class K>
double from_sort(const Groups& groups, Reader& reader, std::vector<K>& keys) {
  KeyReader<K> source(groups, reader);
  keys.resize(2 * groups.size());
  size_t n = 0;
  source.for_each(0, groups.size(), [&](K key) { keys[n++] = key; });
  radix_sort(keys.data(), keys.data() + groups.size(), n);
  RankedSum sum(n);
  if (n > 0 && !is_finite(source.dtype(), keys[n - 1])) return __builtin_nan("");
  add_sorted(keys.data(), n, source.dtype(), sum);
  return sum.value();
}

// Short groups, a lane each: read into the columns of a tile, sorted by a network there, summed in double-double.
template <class Number, class K>
class TileRanker {
 public:
  TileRanker(const Groups& groups, const Kernels& table)
      : groups_(groups), table_(table), tile_(groups.size() * lanes) {}

  // Groups [begin, begin + count), count ≤ lanes.
  void rank(Reader& reader, size_t begin, size_t count, double* out) {
    const size_t width = groups_.size();
    if (count < size_t(lanes)) std::fill(tile_.begin(), tile_.end(), K(0));
    double live[lanes] = {};
    for (size_t lane = 0; lane < count; ++lane) {
      reader.select(begin + lane);
      live[lane] = double(reader.count_live(0, width));
      load(reader.template read<Number>(0, width), lane);
    }
    RankedLanes ranked;
    if constexpr (sizeof(K) == 4) table_.rank_floats(tile_.data(), width, live, &ranked);
    if constexpr (sizeof(K) == 8) table_.rank_doubles(tile_.data(), width, live, &ranked);
    for (size_t lane = 0; lane < count; ++lane) {
      const bool finite = double(bits_as<Number>(K(ranked.largest[lane]))) < infinity;
      out[begin + lane] = finite ? gini_quotient({ranked.ranked_hi[lane], ranked.ranked_lo[lane]},
                                                 {ranked.sum_hi[lane], ranked.sum_lo[lane]}, live[lane])
                                 : __builtin_nan("");
    }
  }

 private:
  void load(const Number* x, size_t lane) {
    constexpr K magnitude = ~K(0) >> 1;
    K* const tile = tile_.data() + lane;
    for (size_t i = 0; i < groups_.size(); ++i) tile[i * lanes] = bits_as<K>(x[i]) & magnitude;
  }

  const Groups& groups_;
  const Kernels& table_;
  std::vector<K> tile_;
};

template <class Number, class K>
void rank_groups(const Groups& groups, double* out) {
  const Kernels& table = kernels();
  for_each_group(groups, table, [&](size_t begin, size_t end, Reader& reader) {
    TileRanker<Number, K> ranker(groups, table);
    for (; begin < end; begin += lanes) ranker.rank(reader, begin, std::min(end - begin, size_t(lanes)), out);
  });
}

// Σ l and Σ j·l over ascending lows, j = 1 … n.
struct LowSums {
  uint64_t sum = 0;
  uint128 ranked = 0;
};

LowSums sums_of_sorted(const uint16_t* low, size_t n) {
  LowSums sums;
  uint64_t ranked = 0;
  for (size_t j = 0; j < n; ++j) {
    sums.sum += low[j];
    ranked += uint64_t(j + 1) * low[j];
  }
  sums.ranked = ranked;
  return sums;
}

template <class Count>
LowSums sums_of_counts(const Count* counts) {
  LowSums sums;
  uint64_t rank = 0;
  for (uint64_t low = 0; low < low_values; ++low) {
    const uint64_t n = counts[low];
    if (n == 0) continue;
    sums.sum += low * n;
    sums.ranked += uint128(low) * (uint128(rank) * n + uint128(n) * (n + 1) / 2);
    rank += n;
  }
  return sums;
}

// Distributes keys over the values of their upper bits; segment s of the group is read by task s both times.
template <class K, class Stored, int low_bits>
class Partition {
 public:
  static constexpr size_t buckets = size_t(1) << 16;

  Partition(const Groups& groups, size_t group) : tasks_(size_t(num_threads())), counts_(tasks_) {
    std::vector<Reader> readers;
    for (size_t t = 0; t < tasks_; ++t) readers.emplace_back(groups, kernels()).select(group);
    dtype_ = KeyReader<K>(groups, readers[0]).dtype();
    const auto for_each_key = [&](size_t task, auto f) {
      KeyReader<K>(groups, readers[task]).for_each(segment(groups, task), segment(groups, task + 1), f);
    };
    parallel_for(tasks_, int(tasks_), [&](size_t task, int) {
      counts_[task].assign(buckets, 0);
      size_t* count = counts_[task].data();
      for_each_key(task, [=](K key) { ++count[key >> low_bits]; });
    });
    turn_into_places();
    if (!finite()) return;
    values_ = std::make_unique_for_overwrite<Stored[]>(size());
    parallel_for(tasks_, int(tasks_), [&](size_t task, int) {
      size_t* place = counts_[task].data();
      Stored* values = values_.get();
      for_each_key(task, [=](K key) { values[place[key >> low_bits]++] = Stored(key); });
    });
  }

  DType dtype() const { return dtype_; }
  size_t size() const { return begin_[buckets]; }
  size_t begin(size_t bucket) const { return begin_[bucket]; }
  size_t count(size_t bucket) const { return begin_[bucket + 1] - begin_[bucket]; }
  Stored* values(size_t bucket) { return values_.get() + begin_[bucket]; }

  // Infinities and NaN fill the buckets from that of infinity's key on.
  bool finite() const {
    if (!is_floating(dtype_)) return true;
    const uint64_t infinite = dtype_ == DType::f32 ? 0x7f800000ull : 0x7ff0000000000000ull;
    return begin_[infinite >> low_bits] == size();
  }

 private:
  size_t segment(const Groups& groups, size_t task) const {
    const size_t blocks = (groups.size() + block_size - 1) / block_size;
    return std::min(blocks * task / tasks_ * block_size, groups.size());
  }

  void turn_into_places() {
    begin_.resize(buckets + 1);
    size_t place = 0;
    for (size_t bucket = 0; bucket < buckets; ++bucket) {
      begin_[bucket] = place;
      for (auto& counts : counts_) place += std::exchange(counts[bucket], place);
    }
    begin_[buckets] = place;
  }

  size_t tasks_;
  DType dtype_ = DType::f64;
  std::vector<std::vector<size_t>> counts_;
  std::vector<size_t> begin_;
  std::unique_ptr<Stored[]> values_;
};

// Counts a partition of one value range on all threads.
LowSums count_large(const uint16_t* low, size_t n) {
  const size_t step = size_t(1) << 20, tasks = (n + step - 1) / step;
  const int threads = num_threads();
  std::vector<std::vector<uint64_t>> counts(static_cast<size_t>(threads));
  parallel_for(tasks, threads, [&](size_t task, int thread) {
    auto& mine = counts[size_t(thread)];
    mine.resize(low_values);
    for (size_t i = task * step, end = std::min(i + step, n); i < end; ++i) ++mine[low[i]];
  });
  std::vector<uint64_t> total(low_values);
  for (const auto& mine : counts)
    for (size_t i = 0; i < mine.size(); ++i) total[i] += mine[i];
  return sums_of_counts(total.data());
}

// One thread's buffers for the ranked sums of a partition: sorted while short, then counted in bytes, and in words
// where a value is so frequent that its byte overflows.
class LowRanker {
 public:
  LowSums rank(uint16_t* low, size_t n) {
    if (n >= counted_from) return count(low, n);
    buffer_.resize(counted_from);
    radix_sort(low, buffer_.data(), n);
    return sums_of_sorted(low, n);
  }

 private:
  LowSums count(const uint16_t* low, size_t n) {
    bytes_.assign(low_values, 0);
    uint8_t* const bytes = bytes_.data();
    bool overflow = false;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; ++i) {
      const uint16_t place = uint16_t(low[i] << 4 | low[i] >> 12);  // counts[t][l] of pairwise_differences
      overflow |= ++bytes[place] == 0;
      sum += low[i];
    }
    if (!overflow) {
      const uint64_t differences = kernels().pairwise_differences(bytes, uint32_t(n));
      return {sum, (uint128(differences) + uint128(n + 1) * sum) / 2};
    }
    words_.assign(low_values, 0);
    for (size_t i = 0; i < n; ++i) ++words_[low[i]];
    return sums_of_counts(words_.data());
  }

  std::vector<uint16_t> buffer_;
  std::vector<uint8_t> bytes_;
  std::vector<uint32_t> words_;
};

double from_partition32(const Groups& groups, size_t group) {
  using Buckets = Partition<uint32_t, uint16_t, 16>;
  constexpr size_t large = size_t(1) << 22;  // shared by the threads; Σ C·(n − C) of smaller ones fits 64 bits
  Buckets partition(groups, group);
  if (!partition.finite()) return __builtin_nan("");
  std::vector<size_t> filled;
  for (size_t bucket = 0; bucket < Buckets::buckets; ++bucket)
    if (partition.count(bucket) > 0) filled.push_back(bucket);
  std::vector<LowSums> sums(filled.size());
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
  std::vector<std::vector<uint64_t>> buffers(num_threads());
  parallel_for(Buckets::buckets, num_threads(), [&](size_t bucket, int thread) {
    const size_t n = partition.count(bucket);
    if (n > sorted_below) {
      std::sort(partition.values(bucket), partition.values(bucket) + n);
    } else if (n > 1) {
      buffers[thread].resize(sorted_below);
      radix_sort(partition.values(bucket), buffers[thread].data(), n);
    }
  });
  RankedSum total(partition.size());
  add_sorted(partition.values(0), partition.size(), partition.dtype(), total);
  return total.value();
}

template <class K>
void sort_groups(const Groups& groups, double* out) {
  for_each_group(groups, kernels(), [&](size_t begin, size_t end, Reader& reader) {
    std::vector<K> keys;
    for (size_t g = begin; g < end; ++g) {
      reader.select(g);
      out[g] = from_sort(groups, reader, keys);
    }
  });
}

}  // namespace

void gini(const Groups& groups, double* out) {
  const Stream stream = groups.key_stream();
  const size_t size = groups.size();
  if (size == 0) {
    std::fill(out, out + groups.count(), __builtin_nan(""));
  } else if (size <= ranked_in_tiles && groups.count() >= tile_groups) {
    return groups.number_stream() == Stream::float32 ? rank_groups<float, uint32_t>(groups, out)
                                                     : rank_groups<double, uint64_t>(groups, out);
  } else if (stream == Stream::bits16) {
    if (size < histogram_minimum) return sort_groups<uint16_t>(groups, out);
    for (size_t g = 0; g < groups.count(); ++g) out[g] = from_histogram(histogram_of(groups, g), groups.dtype());
  } else if (size < sorted_below) {
    return stream == Stream::bits32 ? sort_groups<uint32_t>(groups, out) : sort_groups<uint64_t>(groups, out);
  } else {
    for (size_t g = 0; g < groups.count(); ++g)
      out[g] = stream == Stream::bits32 ? from_partition32(groups, g) : from_partition64(groups, g);
  }
}

}  // namespace pqi::cpu
