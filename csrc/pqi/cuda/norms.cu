#include "norms.hpp"

#include <algorithm>

#include "chunk_sums.hpp"
#include "histogram.hpp"
#include "pivot.hpp"
#include "summary.hpp"

namespace pqi::cuda {
namespace {

// A chunk's sum of one exponent, waiting to be merged.
struct ChunkSum {
  double value;
  int64_t scale;
};

// Sums every chunk and merges those of a block of 64 (see ../reduction.hpp), or of as many whole groups as 64 chunks
// hold. Sums go to sums[group][block][exponent].
template <class T>
struct SumBlocks {
  static constexpr int threads = int(block_chunks) * quad;

  Source source;
  Plan plan;
  const uint64_t* first;  // each group's first finite non-zero element, for groups of several chunks
  PowerSum* sums;

  PQI_DEVICE uint64_t chunks() const { return (source.size + chunk_size - 1) / chunk_size; }
  static uint64_t blocks(const Source& s) {
    const uint64_t chunks = (s.size + chunk_size - 1) / chunk_size;
    if (chunks > block_chunks) return s.count * ((chunks + block_chunks - 1) / block_chunks);
    const uint64_t groups = block_chunks / chunks;
    return (s.count + groups - 1) / groups;
  }
  static size_t shared_bytes(const Plan& plan) { return block_chunks * size_t(plan.count) * sizeof(ChunkSum); }

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t per_group = chunks(), parts = (per_group + block_chunks - 1) / block_chunks;
    const uint64_t here = per_group < block_chunks ? per_group : block_chunks;  // chunks of a group in this block
    const auto slot = uint64_t(block.thread() / quad);
    const uint64_t first_group = parts > 1 ? block.index() / parts : block.index() * (block_chunks / here);
    const uint64_t group = first_group + slot / here;
    const uint64_t chunk = (parts > 1 ? block.index() % parts * block_chunks : 0) + slot % here;
    ChunkSum* const found = block.shared<ChunkSum>() + slot * uint64_t(plan.count);
    if (slot / here < block_chunks / here && group < source.count && chunk < per_group)
      sum_chunk(block, group, chunk * chunk_size, found);
    block.sync();
    for (uint64_t i = uint64_t(block.thread()); i < block_chunks / here * uint64_t(plan.count); i += threads) {
      const uint64_t g = i / uint64_t(plan.count), e = i % uint64_t(plan.count);
      if (first_group + g >= source.count) continue;
      const uint64_t begin = parts > 1 ? block.index() % parts * block_chunks : 0;
      const uint64_t n = per_group - begin < here ? per_group - begin : here;
      PowerSum sum;
      for (uint64_t c = 0; c < n; ++c) {
        const ChunkSum part = block.shared<ChunkSum>()[(g * here + c) * uint64_t(plan.count) + e];
        PowerSum other;
        other.total.hi = part.value;
        other.scale = part.scale;
        sum.merge(other, plan.r[e]);
      }
      sums[((first_group + g) * parts + begin / block_chunks) * uint64_t(plan.count) + e] = sum;
    }
  }

 private:
  PQI_DEVICE void sum_chunk(Block& block, uint64_t group, uint64_t begin, ChunkSum* found) const {
    Cursor cursor(source, group);
    const uint64_t rest = source.size - begin;
    Chunk<T> chunk(block, cursor, begin, rest < chunk_size ? rest : chunk_size);
    const int pivot = source.size <= chunk_size ? pivot_of_chunk(block, chunk)
                                                : pivot_of_element<T>(cursor, first[group]);
    if (plan.special != 0) special(block, chunk, pivot, found);
    if constexpr (sizeof(T) == 4) general(block, chunk, pivot, found);
    for (int e = 0; e < plan.count; ++e) {
      const bool wide = sizeof(T) == 8 || plan.r[e] > widest_float_exponent;
      if (power_kind(plan.r[e]) == PowerKind::general && wide) guarded(block, chunk, pivot, e, found);
    }
  }

  PQI_DEVICE void put(Block& block, ChunkSum* found, int e, double value, int scale) const {
    if (block.thread() % quad == 0) found[e] = {value, scale};
  }

  PQI_DEVICE void special(Block& block, Chunk<T>& chunk, int pivot, ChunkSum* found) const {
    double out[3];
    int scale = scale_of(T(0), pivot);
    const T largest = special_sums(block, chunk, plan.special, scale, out);
    const int wanted = wanted_scale(block, largest, scale, pivot, out);
    if (wanted != scale) {
      scale = wanted;
      special_sums(block, chunk, plan.special, scale, out);
    }
    for (int e = 0; e < plan.count; ++e) {
      const PowerKind kind = power_kind(plan.r[e]);
      if (kind != PowerKind::general) put(block, found, e, out[int(kind)], scale);
    }
  }

  PQI_DEVICE int wanted_scale(Block& block, float largest, int scale, int, const double out[3]) const {
    const float all = largest_of_quad(block, largest);
    return float_sums_hold(out) ? scale : scale_of(0.0f, binade(double(all)));
  }
  PQI_DEVICE int wanted_scale(Block& block, double largest, int, int pivot, const double*) const {
    const uint64_t key = largest_of_quad(block, bits_as<uint64_t>(largest));
    return scale_of(0.0, chunk_scale(binade_of_key(key), pivot, 2.0));
  }

  PQI_DEVICE void general(Block& block, Chunk<float>& chunk, int pivot, ChunkSum* found) const {
    int place[4], n = 0;
    double r[4], out[4];
    for (int e = 0; e < plan.count; ++e) {
      if (power_kind(plan.r[e]) == PowerKind::general && plan.r[e] <= widest_float_exponent) {
        place[n] = e;
        r[n++] = plan.r[e];
      }
      if (n == 0 || (n < 4 && e + 1 < plan.count)) continue;
      const bool finite = general_sums(block, chunk, r, n, double(pivot), out);
      for (int i = 0; i < n; ++i) {
        if (finite) {
          put(block, found, place[i], out[i], pivot);
        } else {
          guarded(block, chunk, pivot, place[i], found);
        }
      }
      n = 0;
    }
  }

  PQI_DEVICE void guarded(Block& block, Chunk<T>& chunk, int pivot, int e, ChunkSum* found) const {
    double sum;
    const uint64_t largest = guarded_sum(block, chunk, plan.r[e], pivot, &sum);
    const int scale = chunk_scale(binade_of_key(largest), pivot, plan.r[e]);
    if (scale != pivot) guarded_sum(block, chunk, plan.r[e], scale, &sum);
    put(block, found, e, sum, scale);
  }
};

// sums[group][place + e] from the blocks' sums, in their order.
struct MergeBlocks {
  static constexpr int threads = 128;

  Plan plan;
  uint64_t groups, blocks, place, stride;
  const PowerSum* parts;
  PowerSum* sums;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t i = block.index() * threads + uint64_t(block.thread());
    if (i >= groups * uint64_t(plan.count)) return;
    const uint64_t group = i / uint64_t(plan.count), e = i % uint64_t(plan.count);
    PowerSum sum = parts[group * blocks * uint64_t(plan.count) + e];
    for (uint64_t b = 1; b < blocks; ++b)
      sum.merge(parts[(group * blocks + b) * uint64_t(plan.count) + e], plan.r[e]);
    sums[group * stride + place + e] = sum;
  }
};

template <class T>
void sum_all(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums) {
  const uint64_t chunks = (groups.size() + chunk_size - 1) / chunk_size;
  const uint64_t blocks = (chunks + block_chunks - 1) / block_chunks;
  unsigned special = 0;
  for (const double r : exponents)
    if (power_kind(r) != PowerKind::general) special |= 1u << int(power_kind(r));
  const Scratch<uint64_t> first(queue, groups.count());
  if (chunks > 1) find_pivots<T>(queue, groups, first);
  for (size_t place = 0; place < exponents.size(); place += most_exponents) {
    Plan plan;
    plan.count = int(std::min(exponents.size() - place, size_t(most_exponents)));
    bool any_special = false;
    for (int e = 0; e < plan.count; ++e) {
      plan.r[e] = exponents[place + size_t(e)];
      any_special |= power_kind(plan.r[e]) != PowerKind::general;
    }
    plan.special = any_special ? special : 0;
    const Scratch<PowerSum> parts(queue, groups.count() * blocks * size_t(plan.count));
    const SumBlocks<T> program{groups.source(), plan, first.get(), parts.get()};
    queue.launch(program.blocks(groups.source()), program, program.shared_bytes(plan));
    const uint64_t values = groups.count() * uint64_t(plan.count);
    queue.launch((values + MergeBlocks::threads - 1) / MergeBlocks::threads,
                 MergeBlocks{plan, groups.count(), blocks, place, exponents.size(), parts.get(), sums});
  }
}

// sums[group][exponent]; both scratch arrays have room for all groups.
void power_sums(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums,
                uint64_t* live) {
  count_live(queue, groups, live);
  if (groups.size() == 0) {
    queue.fill(sums, 0, groups.count() * exponents.size() * sizeof(PowerSum));
  } else if (uses_histogram(groups)) {
    sum_histograms(queue, groups, exponents, sums);
  } else if (groups.source().as_float) {
    sum_all<float>(queue, groups, exponents, sums);
  } else {
    sum_all<double>(queue, groups, exponents, sums);
  }
}

// A list of numbers for a program: at hand while it is short, else in device memory.
struct List {
  static constexpr size_t at_hand = 64;

  uint64_t count;
  const double* far;
  double near[at_hand];

  PQI_DEVICE double operator[](uint64_t i) const { return far != nullptr ? far[i] : near[i]; }
};

class ListOnDevice {
 public:
  ListOnDevice(const Queue& queue, const std::vector<double>& values) : far_(queue, far_count(values)) {
    list_ = {values.size(), nullptr, {}};
    if (values.size() <= List::at_hand) {
      std::copy(values.begin(), values.end(), list_.near);
      return;
    }
    std::vector<uint64_t> words(values.size());
    std::transform(values.begin(), values.end(), words.begin(), [](double x) { return bits_as<uint64_t>(x); });
    upload(queue, words, reinterpret_cast<uint64_t*>(far_.get()));
    list_.far = far_.get();
  }

  const List& list() const { return list_; }

 private:
  static size_t far_count(const std::vector<double>& values) {
    return values.size() <= List::at_hand ? 0 : values.size();
  }

  Scratch<double> far_;
  List list_;
};

struct Means {
  static constexpr int threads = 128;

  List exponents;
  uint64_t groups;
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t i = block.index() * threads + uint64_t(block.thread());
    if (i < groups * exponents.count)
      out[i] = mean_of(sums[i], double(live[i / exponents.count]), exponents[i % exponents.count]);
  }
};

struct Norms {
  static constexpr int threads = 128;

  double p, q;
  uint64_t groups;
  const PowerSum* sums;
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t g = block.index() * threads + uint64_t(block.thread());
    if (g >= groups) return;
    out[g] = mean_of(sums[2 * g], 1.0, p);
    out[groups + g] = mean_of(sums[2 * g + 1], 1.0, q);
  }
};

struct MeanAndIndex {
  static constexpr int threads = 128;

  double p, q;
  uint64_t groups;
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t g = block.index() * threads + uint64_t(block.thread());
    if (g >= groups) return;
    const auto d = double(live[g]);
    out[g] = mean_of(sums[3 * g + 1], d, 1.0);
    out[groups + g] = index_of(sums[3 * g], sums[3 * g + 2], d, p, q, highest_index(d, p, q));
  }
};

struct Grid {
  static constexpr int threads = 128;

  List p, q, exponents;  // `exponents` holds all of both
  uint64_t groups;
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t i = block.index() * threads + uint64_t(block.thread()), pairs = p.count * q.count;
    if (i >= groups * pairs) return;
    const uint64_t group = i / pairs;
    const double a = p[i % pairs / q.count], b = q[i % q.count], d = double(live[group]);
    const PowerSum* const mine = sums + group * exponents.count;
    out[i] = a < b ? index_of(mine[place(a)], mine[place(b)], d, a, b, highest_index(d, a, b)) : __builtin_nan("");
  }

 private:
  PQI_DEVICE uint64_t place(double r) const {
    uint64_t i = 0;
    while (exponents[i] != r) ++i;
    return i;
  }
};

struct Bound {
  static constexpr int threads = 128;

  const double *index, *d;
  uint64_t n;
  double p, q, eta;
  double* out;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t i = block.index() * threads + uint64_t(block.thread());
    if (i < n) out[i] = retained_bound_of(index[i], d[i], p, q, eta);
  }
};

template <class Program>
void launch_each(const Queue& queue, uint64_t n, const Program& program) {
  queue.launch((n + Program::threads - 1) / Program::threads, program);
}

// The power sums of all groups, and their live entries.
struct Sums {
  Scratch<PowerSum> sums;
  Scratch<uint64_t> live;

  Sums(const Queue& queue, const Groups& groups, const std::vector<double>& exponents)
      : sums(queue, groups.count() * exponents.size()), live(queue, groups.count()) {
    power_sums(queue, groups, exponents, sums.get(), live.get());
  }
};

}  // namespace

void power_means(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, double* out) {
  const Sums found(queue, groups, exponents);
  const ListOnDevice list(queue, exponents);
  launch_each(queue, groups.count() * exponents.size(),
              Means{list.list(), groups.count(), found.sums.get(), found.live.get(), out});
}

void norms(const Queue& queue, const Groups& groups, double p, double q, double* out) {
  const Sums found(queue, groups, {p, q});
  launch_each(queue, groups.count(), Norms{p, q, groups.count(), found.sums.get(), out});
}

void mean_and_index(const Queue& queue, const Groups& groups, double p, double q, double* out) {
  const Sums found(queue, groups, {p, 1.0, q});
  launch_each(queue, groups.count(), MeanAndIndex{p, q, groups.count(), found.sums.get(), found.live.get(), out});
}

void index_grid(const Queue& queue, const Groups& groups, const std::vector<double>& p, const std::vector<double>& q,
                double* out) {
  std::vector<double> exponents(p);
  exponents.insert(exponents.end(), q.begin(), q.end());
  std::sort(exponents.begin(), exponents.end());
  exponents.erase(std::unique(exponents.begin(), exponents.end()), exponents.end());
  const Sums found(queue, groups, exponents);
  const ListOnDevice rows(queue, p), columns(queue, q), all(queue, exponents);
  launch_each(queue, groups.count() * p.size() * q.size(),
              Grid{rows.list(), columns.list(), all.list(), groups.count(), found.sums.get(), found.live.get(), out});
}

void retained_bound(const Queue& queue, const double* index, const double* d, uint64_t n, double p, double q,
                    double eta, double* out) {
  launch_each(queue, n, Bound{index, d, n, p, q, eta, out});
}

}  // namespace pqi::cuda
