#include "norms.hpp"

#include <algorithm>
#include <optional>

#include "group_loop.hpp"
#include "isa.hpp"
#include "parallel.hpp"

namespace pqi::cpu {
namespace {

// Which kernel sums which exponent.
struct Plan {
  const std::vector<double>& exponents;
  unsigned special = 0;                // SpecialPowers
  std::vector<size_t> general;         // places of the other exponents in `exponents`
  std::vector<double> general_values;  // their values
  std::vector<size_t> wide;            // places of exponents that float32 elements must be widened for

  explicit Plan(const std::vector<double>& r, bool as_float) : exponents(r) {
    for (size_t e = 0; e < r.size(); ++e) {
      const PowerKind kind = power_kind(r[e]);
      if (kind != PowerKind::general) special |= 1u << int(kind);
      if (kind != PowerKind::general) continue;
      if (as_float && r[e] > widest_float_exponent) {
        wide.push_back(e);
      } else {
        general.push_back(e);
        general_values.push_back(r[e]);
      }
    }
  }
};

template <class T>
std::optional<int> binade_of_first(const T* x, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (x[i] != T(0) && x[i] - x[i] == T(0)) return binade(std::fabs(double(x[i])));
  return std::nullopt;
}

template <class T>
int pivot_binade(Reader& reader, size_t size) {
  for (size_t begin = 0; begin < size; begin += chunk_size) {
    const size_t n = std::min(chunk_size, size - begin);
    if (const auto found = binade_of_first(reader.read<T>(begin, n), n)) return *found;
  }
  return 0;
}

// Adds one chunk's sums to the group's or block's.
class ChunkSummer {
 public:
  ChunkSummer(const Kernels& kernels, const Plan& plan)
      : kernels_(kernels), plan_(plan), scratch_(plan.exponents.size()) {}

  void add(const float* x, size_t n, int pivot, PowerSum* sums) {
    if (plan_.special != 0) special_float(x, n, pivot, sums);
    bool widened = false;
    if (!plan_.general.empty()) {
      const auto& r = plan_.general_values;
      if (kernels_.general_float(x, n, r.data(), double(pivot), r.size(), scratch_.data())) {
        for (size_t i = 0; i < r.size(); ++i) sums[plan_.general[i]].merge({{scratch_[i], 0.0}, pivot}, r[i]);
      } else {
        widen(x, n, widened);
        for (size_t e : plan_.general) general_double(wide_.data(), n, pivot, e, sums);
      }
    }
    for (size_t e : plan_.wide) {
      widen(x, n, widened);
      general_double(wide_.data(), n, pivot, e, sums);
    }
  }

  void add(const double* x, size_t n, int pivot, PowerSum* sums) {
    if (plan_.special != 0) {
      const int largest = largest_binade(x, n);
      const int scale = scale_of(0.0, near_pivot(largest, pivot, 2.0) ? pivot : largest);
      double out[3];
      kernels_.special_double(plan_.special, x, n, exact_power_of_two(-scale), out);
      merge_special(out, scale, sums);
    }
    for (size_t e : plan_.general) general_double(x, n, pivot, e, sums);
  }

 private:
  int largest_binade(const double* x, size_t n) const {
    const uint64_t bits = kernels_.largest_double(x, n);
    return bits == 0 ? 0 : binade(bits_as<double>(bits));
  }

  void special_float(const float* x, size_t n, int pivot, PowerSum* sums) {
    double out[3] = {};
    int scale = scale_of(0.0f, pivot);
    kernels_.special_float(plan_.special, x, n, float(exact_power_of_two(-scale)), out);
    // Up to this sum of roots no element is beyond root_pair's reach.
    if (!(out[0] <= 0x1p50 && out[1] + out[2] < infinity)) {
      float largest = 0.0f;
      for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
      scale = scale_of(0.0f, binade(double(largest)));
      kernels_.special_float(plan_.special, x, n, float(exact_power_of_two(-scale)), out);
    }
    merge_special(out, scale, sums);
  }

  void merge_special(const double out[3], int scale, PowerSum* sums) const {
    for (size_t e = 0; e < plan_.exponents.size(); ++e) {
      const PowerKind kind = power_kind(plan_.exponents[e]);
      if (kind != PowerKind::general) sums[e].merge({{out[int(kind)], 0.0}, scale}, plan_.exponents[e]);
    }
  }

  void general_double(const double* x, size_t n, int pivot, size_t e, PowerSum* sums) const {
    const double r = plan_.exponents[e];
    const int largest = largest_binade(x, n), scale = near_pivot(largest, pivot, r) ? pivot : largest;
    sums[e].merge({{kernels_.general_double(x, n, r, double(scale)), 0.0}, scale}, r);
  }

  void widen(const float* x, size_t n, bool& done) {
    if (done) return;
    wide_.resize(chunk_size);
    kernels_.to_double(DType::f32, x, n, wide_.data());
    done = true;
  }

  const Kernels& kernels_;
  const Plan& plan_;
  std::vector<double> scratch_;
  std::vector<double> wide_;
};

template <class T>
void sum_block(Reader& reader, ChunkSummer& summer, size_t begin, size_t end, int pivot, PowerSum* sums) {
  for (; begin < end; begin += chunk_size) {
    const size_t n = std::min(chunk_size, end - begin);
    summer.add(reader.read<T>(begin, n), n, pivot, sums);
  }
}

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
  const size_t exponents = plan.exponents.size(), size = groups.size();
  const size_t blocks = (size + block_size - 1) / block_size;
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
void sum_all(const Groups& groups, const std::vector<uint64_t>& live, const Plan& plan, Finish finish) {
  const Kernels& table = kernels();
  const size_t exponents = plan.exponents.size(), size = groups.size();
  // Groups run side by side unless there are too few of them to keep the threads busy.
  if (size > block_size && groups.count() < size_t(4 * num_threads())) {
    for (size_t g = 0; g < groups.count(); ++g) {
      std::vector<PowerSum> sums(exponents);
      sum_large_group<T>(groups, g, plan, sums.data());
      finish(g, double(live[g]), sums.data());
    }
    return;
  }
  for_each_group(groups, table, [&](size_t begin, size_t end, Reader& reader) {
    ChunkSummer summer(table, plan);
    std::vector<PowerSum> sums(exponents);
    for (size_t g = begin; g < end; ++g) {
      std::fill(sums.begin(), sums.end(), PowerSum{});
      sum_group<T>(reader.select(g), summer, size, plan, sums.data());
      finish(g, double(live[g]), sums.data());
    }
  });
}

template <class Finish>
void power_sums(const Groups& groups, const std::vector<double>& exponents, Finish finish) {
  const std::vector<uint64_t> live = count_live(groups);
  const Plan plan(exponents, groups.number_stream() == Stream::float32);
  if (uses_histogram(groups)) {
    for (size_t g = 0; g < groups.count(); ++g) {
      finish(g, double(live[g]), power_sums(histogram_of(groups, g), exponents).data());
    }
  } else if (groups.number_stream() == Stream::float32) {
    sum_all<float>(groups, live, plan, finish);
  } else {
    sum_all<double>(groups, live, plan, finish);
  }
}

double mean_of(const PowerSum& sum, double d, double r) {
  const double mean_power = sum.total.value() / d, mantissa = sum.mean_mantissa(d, r);
  // A root of small r may leave the range that its product with 2^scale lies in.
  if ((mantissa == 0.0 || mantissa == infinity) && 0.0 < mean_power && mean_power < infinity)
    return power_shifted<true>(mean_power, 1.0 / r, -r * double(sum.scale));
  return scale_by_power_of_two(mantissa, sum.scale);
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
    double highest;  // of a group without masked-out entries: computed once
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

void mean_and_index(const Groups& groups, double p, double q, double* mean, double* index) {
  power_sums(groups, {p, 1.0, q}, [&](size_t g, double d, const PowerSum* sums) {
    mean[g] = mean_of(sums[1], d, 1.0);
    index[g] = index_of(sums[0], sums[2], d, p, q, highest_index(d, p, q));
  });
}

void index_grid(const Groups& groups, const std::vector<double>& p, const std::vector<double>& q, double* out) {
  const Grid grid(p, q, double(groups.size()));
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
