#include "histogram.hpp"

#include <algorithm>
#include <numeric>

#include "code_counter.hpp"
#include "group_loop.hpp"
#include "isa.hpp"
#include "parallel.hpp"

namespace pqi::cpu {

bool uses_histogram(const Groups& groups, size_t size) {
  return groups.homogeneous() && counts_codes(groups.dtype(), size);
}

Histogram histogram_of(const Groups& groups, size_t group) {
  const size_t size = groups.size(group), blocks = blocks_of(size);
  std::vector<CodeCounter> counters(static_cast<size_t>(threads_for(blocks)), CodeCounter(groups.dtype()));
  std::vector<Reader> readers;
  for (size_t t = 0; t < counters.size(); ++t) readers.emplace_back(groups, kernels()).select(group);
  parallel_for(blocks, int(counters.size()), [&](size_t block, int thread) {
    const size_t end = std::min((block + 1) * block_size, size);
    for (size_t begin = block * block_size; begin < end; begin += chunk_size) {
      size_t n = std::min(chunk_size, end - begin);
      const uint16_t* bits = readers[thread].read_live<uint16_t>(begin, n);
      counters[thread].add(bits, n);
    }
  });
  Histogram histogram{groups.dtype(), Buffer<uint64_t>(65536, 0)};
  for (const CodeCounter& counter : counters) counter.add_to(histogram.counts);
  return histogram;
}

uint64_t Histogram::live() const { return std::accumulate(counts.begin(), counts.end(), uint64_t(0)); }

double topk_threshold(const Histogram& histogram, uint64_t k) {
  uint64_t found = 0;
  for (size_t code = histogram.counts.size(); k > 0 && code-- > 0;)
    if ((found += histogram.counts[code]) >= k) return key_value(histogram.dtype, code);
  return __builtin_nan("");
}

Above count_above(const Histogram& histogram, double magnitude) {
  Above found{0, 0};
  for (size_t code = 0; code < histogram.counts.size(); ++code) {
    if (histogram.counts[code] == 0) continue;
    const double value = key_value(histogram.dtype, code);
    const bool equal = value == magnitude || (value != value && magnitude != magnitude);
    (equal ? found.equal : found.above) +=
        equal || (magnitude == magnitude && !(value <= magnitude)) ? histogram.counts[code] : 0;
  }
  return found;
}

std::vector<PowerSum> power_sums(const Histogram& histogram, const std::vector<double>& exponents) {
  Buffer<double> value, count, term;
  Buffer<size_t> run;
  for (size_t code = 1; code < histogram.counts.size(); ++code) {
    if (histogram.counts[code] == 0) continue;
    value.push_back(key_value(histogram.dtype, code));
    count.push_back(double(histogram.counts[code]));
    run.push_back(code / histogram_run);
  }
  std::vector<PowerSum> sums(exponents.size());
  if (value.empty()) return sums;
  for (size_t e = 0; e < exponents.size(); ++e) {
    term = value;
    const double r = exponents[e];
    const int scale = histogram_scale(value.front(), value.back(), r);
    for (double& v : term) v *= exact_power_of_two(-scale);
    if (power_kind(r) == PowerKind::general) {
      kernels().powers(term.data(), term.size(), r, 0.0);
    } else {
      for (double& v : term) v = histogram_power(v, r);
    }
    sums[e].scale = scale;
    for (size_t i = 0; i < term.size();) {
      DoubleDouble sum;
      const size_t first = i;
      for (; i < term.size() && run[i] == run[first]; ++i) sum.add(exact_product(term[i], count[i]));
      sums[e].total.add(sum);
    }
  }
  return sums;
}

}  // namespace pqi::cpu
