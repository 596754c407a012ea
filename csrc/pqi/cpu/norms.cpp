#include "norms.hpp"

#include <algorithm>

#include "chunk_summer.hpp"
#include "columns.hpp"
#include "group_loop.hpp"
#include "isa.hpp"
#include "parallel.hpp"

namespace pqi::cpu {
namespace {

// One group on one thread.
template <class T>
void sum_group(Reader& reader, ChunkSummer& summer, size_t size, const Plan& plan, PowerSum* sums) {
  if (size <= chunk_size) {
    const T* x = reader.read<T>(0, size);
    return summer.add(x, size, binade_of_first(x, size).value_or(0), sums);
  }
  const int pivot = pivot_binade<T>(reader, size);
  if (size <= block_size) return sum_block<T>(reader, summer, 0, size, pivot, sums);
  const size_t exponents = plan.exponents.size();
  std::vector<PowerSum> block(exponents);
  for (size_t begin = 0; begin < size; begin += block_size) {
    std::fill(block.begin(), block.end(), PowerSum{});
    sum_block<T>(reader, summer, begin, std::min(begin + block_size, size), pivot, block.data());
    for (size_t e = 0; e < exponents; ++e) sums[e].merge(block[e], plan.exponents[e]);
  }
}

// One group on all threads: the same blocks, merged in the same order.
template <class T>
void sum_large_group(const Groups& groups, size_t group, const Plan& plan, PowerSum* sums) {
  const size_t exponents = plan.exponents.size(), size = groups.size(group), blocks = blocks_of(size);
  const int threads = threads_for(blocks);
  const Kernels& table = kernels();
  std::vector<Reader> readers;
  std::vector<ChunkSummer> summers;
  for (int t = 0; t < threads; ++t) {
    readers.emplace_back(groups, table).select(group);
    summers.emplace_back(table, plan);
  }
  const int pivot = pivot_binade<T>(readers[0], size);
  std::vector<PowerSum> partial(blocks * exponents);
  parallel_for(blocks, threads, [&](size_t block, int thread) {
    const size_t begin = block * block_size;
    sum_block<T>(readers[thread], summers[thread], begin, std::min(begin + block_size, size), pivot,
                 &partial[block * exponents]);
  });
  for (size_t block = 0; block < blocks; ++block)
    for (size_t e = 0; e < exponents; ++e) sums[e].merge(partial[block * exponents + e], plan.exponents[e]);
}

// Calls finish(group, d, its sums in the exponents' order) for every group, on the thread that has just summed it.
template <class T, class Finish>
void sum_all(const Groups& groups, const Plan& plan, Finish finish) {
  const Kernels& table = kernels();
  const size_t exponents = plan.exponents.size();
  for_each_group(
      groups, table, [&](size_t size) { return uses_histogram(groups, size) || shares_blocks(groups, size); },
      [&](size_t g) {
        if (uses_histogram(groups, groups.size(g))) {
          const Histogram histogram = histogram_of(groups, g);
          return finish(g, double(histogram.live()), power_sums(histogram, plan.exponents).data());
        }
        std::vector<PowerSum> sums(exponents);
        sum_large_group<T>(groups, g, plan, sums.data());
        finish(g, double(count_live(groups, g)), sums.data());
      },
      [&](size_t begin, size_t end, Reader& reader) {
        ChunkSummer summer(table, plan);
        std::vector<PowerSum> sums(exponents);
        for (size_t g = begin; g < end; ++g) {
          std::fill(sums.begin(), sums.end(), PowerSum{});
          sum_group<T>(reader.select(g), summer, groups.size(g), plan, sums.data());
          finish(g, double(reader.count_live(0, groups.size(g))), sums.data());
        }
      });
}

template <class Finish>
void power_sums(const Groups& groups, const std::vector<double>& exponents, Finish finish) {
  const Plan plan(exponents, groups.number_stream() == Stream::float32);
  for_each_slab(groups, [&](const Groups& slab, size_t first) {
    const auto put = [&](size_t g, double d, const PowerSum* sums) { finish(first + g, d, sums); };
    if (slab.number_stream() == Stream::float32) {
      sum_all<float>(slab, plan, put);
    } else {
      sum_all<double>(slab, plan, put);
    }
  });
}

// Every pair of exponents, each exponent summed once.
class Grid {
 public:
  Grid(const std::vector<double>& p, const std::vector<double>& q, double size) : size_(size), exponents_(p) {
    exponents_.insert(exponents_.end(), q.begin(), q.end());
    std::sort(exponents_.begin(), exponents_.end());
    exponents_.erase(std::unique(exponents_.begin(), exponents_.end()), exponents_.end());
    const auto place = [&](double r) {
      return size_t(std::lower_bound(exponents_.begin(), exponents_.end(), r) - exponents_.begin());
    };
    for (double a : p)
      for (double b : q) pairs_.push_back({a, b, place(a), place(b), highest_index(size, a, b)});
  }

  const std::vector<double>& exponents() const { return exponents_; }

  void finish(const PowerSum* sums, double d, double* out) const {
    for (const Pair& pair : pairs_) {
      const double highest = d == size_ ? pair.highest : highest_index(d, pair.p, pair.q);
      *out++ = pair.p < pair.q ? index_of(sums[pair.p_place], sums[pair.q_place], d, pair.p, pair.q, highest)
                               : __builtin_nan("");
    }
  }

 private:
  struct Pair {
    double p, q;
    size_t p_place, q_place;
    double highest;  // of a group of the common size, none masked out: computed once
  };

  double size_;
  std::vector<double> exponents_;
  std::vector<Pair> pairs_;
};

}  // namespace

void power_means(const Groups& groups, const std::vector<double>& exponents, double* out) {
  const size_t count = exponents.size();
  power_sums(groups, exponents, [&](size_t g, double d, const PowerSum* sums) {
    for (size_t e = 0; e < count; ++e) out[g * count + e] = mean_of(sums[e], d, exponents[e]);
  });
}

void power_means(const Histogram& histogram, const std::vector<double>& exponents, double* out) {
  const std::vector<PowerSum> sums = power_sums(histogram, exponents);
  for (size_t e = 0; e < exponents.size(); ++e) out[e] = mean_of(sums[e], double(histogram.live()), exponents[e]);
}

void norms(const Groups& groups, double p, double q, double* norm_p, double* norm_q) {
  power_sums(groups, {p, q}, [&](size_t g, double, const PowerSum* sums) {
    norm_p[g] = mean_of(sums[0], 1.0, p);
    norm_q[g] = mean_of(sums[1], 1.0, q);
  });
}

void index(const Groups& groups, double p, double q, double* out) {
  power_sums(groups, {p, q}, [&](size_t g, double d, const PowerSum* sums) {
    out[g] = index_of(sums[0], sums[1], d, p, q, highest_index(d, p, q));
  });
}

void retained_bound(const Groups& groups, double p, double q, double eta, double* out) {
  power_sums(groups, {p, q}, [&](size_t g, double d, const PowerSum* sums) {
    out[g] = retained_bound_of(sums[0], sums[1], d, p, q, eta);
  });
}

double retained_bound(const Histogram& histogram, double p, double q, double eta) {
  const std::vector<PowerSum> sums = power_sums(histogram, {p, q});
  return retained_bound_of(sums[0], sums[1], double(histogram.live()), p, q, eta);
}

void mean_index_bound(const Groups& groups, double p, double q, double eta, double* mean, double* index,
                      double* bound) {
  power_sums(groups, {p, 1.0, q}, [&](size_t g, double d, const PowerSum* sums) {
    mean[g] = mean_of(sums[1], d, 1.0);
    index[g] = index_of(sums[0], sums[2], d, p, q, highest_index(d, p, q));
    bound[g] = retained_bound_of(sums[0], sums[2], d, p, q, eta);
  });
}

void index_grid(const Groups& groups, const std::vector<double>& p, const std::vector<double>& q, double* out) {
  const Grid grid(p, q, double(groups.widest()));
  power_sums(groups, grid.exponents(),
             [&](size_t g, double d, const PowerSum* sums) { grid.finish(sums, d, out + g * p.size() * q.size()); });
}

void index_grid(const Histogram& histogram, const std::vector<double>& p, const std::vector<double>& q, double* out) {
  const double d = double(histogram.live());
  const Grid grid(p, q, d);
  grid.finish(power_sums(histogram, grid.exponents()).data(), d, out);
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
