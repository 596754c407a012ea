#include "norms.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "columns.hpp"
#include "group_loop.hpp"
#include "isa.hpp"
#include "parallel.hpp"
#include "row_summer.hpp"

namespace pqi::cpu {
namespace {

// One group on all threads: the same blocks, merged in the same order. Returns how many elements live.
template <class T>
uint64_t sum_large_group(const Groups& groups, size_t group, const Plan& plan, PowerSum* sums) {
  const size_t exponents = plan.exponents.size(), size = groups.size(group), blocks = blocks_of(size);
  const int threads = threads_for(blocks);
  const Kernels& table = kernels();
  std::vector<Reader> readers;
  std::vector<ChunkSummer> summers;
  for (int t = 0; t < threads; ++t) {
    readers.emplace_back(groups, table).select(group);
    summers.emplace_back(table, plan);
  }
  const int pivot = pivot_binade<T>(readers[0], size).value_or(0);
  std::vector<PowerSum> partial(blocks * exponents);
  std::vector<uint64_t> live(blocks);
  parallel_for(blocks, threads, [&](size_t block, int thread) {
    const size_t begin = block * block_size;
    live[block] = sum_block<T>(readers[thread], summers[thread], begin, std::min(begin + block_size, size), pivot,
                               &partial[block * exponents]);
  });
  for (size_t block = 0; block < blocks; ++block)
    for (size_t e = 0; e < exponents; ++e) sums[e].merge(partial[block * exponents + e], plan.exponents[e]);
  return std::accumulate(live.begin(), live.end(), uint64_t(0));
}

// Calls finish(sizes, sums) for one group.
template <class Finish>
void finish_one(double d, const std::vector<PowerSum>& sums, Finish finish) {
  std::vector<LaneSums> lane(sums.size());
  for (size_t e = 0; e < sums.size(); ++e) put_lane(lane[e], 0, sums[e]);
  finish(LaneSizes{1, {d}}, lane.data());
}

// Calls finish(first group, their sizes, their sums in the exponents' order) for tiles of neighbouring groups, on the
// thread that has just summed them.
template <class T, class Finish>
void sum_all(const Groups& groups, const Plan& plan, Finish finish) {
  const Kernels& table = kernels();
  const size_t exponents = plan.exponents.size();
  const auto finish_group = [&](size_t g, double d, const std::vector<PowerSum>& sums) {
    finish_one(d, sums, [&](const LaneSizes& sizes, const LaneSums* lane) { finish(g, sizes, lane); });
  };
  for_each_group(
      groups, table, [&](size_t size) { return uses_histogram(groups, size) || shares_blocks(groups, size); },
      [&](size_t g) {
        if (uses_histogram(groups, groups.size(g))) {
          const SumsOfCodes found = power_sums(groups, g, plan.exponents);
          return finish_group(g, double(found.live), found.sums);
        }
        std::vector<PowerSum> sums(exponents);
        const uint64_t live = sum_large_group<T>(groups, g, plan, sums.data());
        finish_group(g, double(live), sums);
      },
      [&](size_t begin, size_t end, Reader& reader) {
        RowSummer<T> summer(groups, table, plan, reader);
        for (; begin < end; begin += lanes) {
          summer.sum(begin, std::min(end - begin, size_t(lanes)));
          finish(begin, summer.sizes(), summer.sums());
        }
      });
}

template <class Finish>
void power_sums(const Groups& groups, const std::vector<double>& exponents, Finish finish) {
  const Plan plan(exponents, groups.number_stream() == Stream::float32);
  for_each_slab(groups, [&](const Groups& slab, size_t first) {
    const auto put = [&](size_t g, const LaneSizes& sizes, const LaneSums* sums) { finish(first + g, sizes, sums); };
    if (slab.number_stream() == Stream::float32) {
      sum_all<float>(slab, plan, put);
    } else {
      sum_all<double>(slab, plan, put);
    }
  });
}

// 1 − d^(1/q − 1/p) of every group; groups of the common size, computed once.
class Highest {
 public:
  Highest(double size, double p, double q) : p_(p), q_(q) {
    std::fill(size_, size_ + lanes, size);
    std::fill(common_, common_ + lanes, highest_index(size, p, q));
  }

  // `room` is for groups of other sizes.
  const double* of(const LaneSizes& sizes, double room[lanes]) const {
    if (std::memcmp(sizes.d, size_, sizes.count * sizeof(double)) == 0) return common_;
    kernels().highest_indices(sizes, p_, q_, room);
    return room;
  }

 private:
  double p_, q_, size_[lanes], common_[lanes];
};

// Every pair of exponents, each exponent summed once.
class Grid {
 public:
  Grid(const std::vector<double>& p, const std::vector<double>& q, double size) : exponents_(p) {
    exponents_.insert(exponents_.end(), q.begin(), q.end());
    std::sort(exponents_.begin(), exponents_.end());
    exponents_.erase(std::unique(exponents_.begin(), exponents_.end()), exponents_.end());
    const auto place = [&](double r) {
      return size_t(std::lower_bound(exponents_.begin(), exponents_.end(), r) - exponents_.begin());
    };
    for (double a : p)
      for (double b : q) pairs_.push_back({a, b, place(a), place(b), Highest(size, a, b)});
  }

  const std::vector<double>& exponents() const { return exponents_; }

  // All pairs of a group stand side by side.
  void finish(const LaneSizes& sizes, const LaneSums* sums, double* out) const {
    for (size_t i = 0; i < pairs_.size(); ++i) {
      const Pair& pair = pairs_[i];
      double index[lanes], highest[lanes];
      if (pair.p < pair.q)
        kernels().indices(sums[pair.p_place], sums[pair.q_place], sizes, pair.p, pair.q,
                          pair.highest.of(sizes, highest), index);
      for (size_t g = 0; g < sizes.count; ++g)
        out[g * pairs_.size() + i] = pair.p < pair.q ? index[g] : __builtin_nan("");
    }
  }

 private:
  struct Pair {
    double p, q;
    size_t p_place, q_place;
    Highest highest;
  };

  std::vector<double> exponents_;
  std::vector<Pair> pairs_;
};

}  // namespace

void power_means(const Groups& groups, const std::vector<double>& exponents, double* out) {
  const size_t count = exponents.size();
  power_sums(groups, exponents, [&](size_t first, const LaneSizes& sizes, const LaneSums* sums) {
    double means[lanes];
    for (size_t e = 0; e < count; ++e) {
      kernels().means(sums[e], sizes, exponents[e], means);
      for (size_t g = 0; g < sizes.count; ++g) out[(first + g) * count + e] = means[g];
    }
  });
}

void power_means(const Histogram& histogram, const std::vector<double>& exponents, double* out) {
  const std::vector<PowerSum> sums = power_sums(histogram, exponents);
  for (size_t e = 0; e < exponents.size(); ++e) out[e] = mean_of(sums[e], double(histogram.live()), exponents[e]);
}

void norms(const Groups& groups, double p, double q, double* norm_p, double* norm_q) {
  power_sums(groups, {p, q}, [&](size_t first, LaneSizes sizes, const LaneSums* sums) {
    std::fill(sizes.d, sizes.d + lanes, 1.0);
    kernels().means(sums[0], sizes, p, norm_p + first);
    kernels().means(sums[1], sizes, q, norm_q + first);
  });
}

void index(const Groups& groups, double p, double q, double* out) {
  const Highest highest(double(groups.widest()), p, q);
  power_sums(groups, {p, q}, [&](size_t first, const LaneSizes& sizes, const LaneSums* sums) {
    double room[lanes];
    kernels().indices(sums[0], sums[1], sizes, p, q, highest.of(sizes, room), out + first);
  });
}

void retained_bound(const Groups& groups, double p, double q, double eta, double* out) {
  power_sums(groups, {p, q}, [&](size_t first, const LaneSizes& sizes, const LaneSums* sums) {
    kernels().bounds(sums[0], sums[1], sizes, p, q, eta, out + first);
  });
}

double retained_bound(const Histogram& histogram, double p, double q, double eta) {
  const std::vector<PowerSum> sums = power_sums(histogram, {p, q});
  return retained_bound_of(sums[0], sums[1], double(histogram.live()), p, q, eta);
}

void mean_index_bound(const Groups& groups, double p, double q, double eta, double* mean, double* index,
                      double* bound) {
  const Highest highest(double(groups.widest()), p, q);
  power_sums(groups, {p, 1.0, q}, [&](size_t first, const LaneSizes& sizes, const LaneSums* sums) {
    double room[lanes];
    kernels().means(sums[1], sizes, 1.0, mean + first);
    kernels().indices(sums[0], sums[2], sizes, p, q, highest.of(sizes, room), index + first);
    kernels().bounds(sums[0], sums[2], sizes, p, q, eta, bound + first);
  });
}

void index_grid(const Groups& groups, const std::vector<double>& p, const std::vector<double>& q, double* out) {
  const Grid grid(p, q, double(groups.widest()));
  power_sums(groups, grid.exponents(), [&](size_t first, const LaneSizes& sizes, const LaneSums* sums) {
    grid.finish(sizes, sums, out + first * p.size() * q.size());
  });
}

void index_grid(const Histogram& histogram, const std::vector<double>& p, const std::vector<double>& q, double* out) {
  const double d = double(histogram.live());
  const Grid grid(p, q, d);
  const std::vector<PowerSum> sums = power_sums(histogram, grid.exponents());
  finish_one(d, sums, [&](const LaneSizes& sizes, const LaneSums* lane) { grid.finish(sizes, lane, out); });
}

uint64_t read_pass(const Groups& groups) {
  const Piece& piece = groups.pieces().front();
  const size_t bytes = piece.size * item_size(piece.data.dtype), step = size_t(1) << 20;
  const size_t tasks = (bytes + step - 1) / step;
  std::vector<uint64_t> partial(tasks);
  const Kernels& table = kernels();
  parallel_for(tasks, num_threads(), [&](size_t task, int) {
    partial[task] = table.read(piece.data.data + task * step, std::min(step, bytes - task * step));
  });
  uint64_t sum = 0;
  for (uint64_t part : partial) sum += part;
  return sum;
}

}  // namespace pqi::cpu
