#include "histogram.hpp"

#include <algorithm>
#include <cmath>
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

namespace {

// The codes that occur, zero aside, in ascending order.
struct Occurring {
  Buffer<uint32_t> code;
  Buffer<double> value, count;

  explicit Occurring(const Histogram& histogram) : code(histogram.counts.size()) {
    size_t n = 0;
    for (size_t c = 1; c < histogram.counts.size(); ++c) {
      code[n] = uint32_t(c);
      n += histogram.counts[c] != 0;
    }
    code.resize(n);
    value.resize(n);
    count.resize(n);
    for (size_t i = 0; i < n; ++i) {
      value[i] = key_value(histogram.dtype, code[i]);
      count[i] = double(histogram.counts[code[i]]);
    }
  }
};

// Replaces values without their scale by their powers.
void raise(Buffer<double>& value, double r) {
  switch (power_kind(r)) {
    case PowerKind::general:
      return kernels().powers(value.data(), value.size(), r, 0.0);
    case PowerKind::half:
      for (double& v : value) v = std::sqrt(v);
      return;
    case PowerKind::one:
      return;
    case PowerKind::two:
      for (double& v : value) v *= v;
  }
}

}  // namespace

std::vector<PowerSum> power_sums(const Histogram& histogram, const std::vector<double>& exponents) {
  std::vector<PowerSum> sums(exponents.size());
  const Occurring found(histogram);
  const size_t n = found.code.size();
  if (n == 0) return sums;
  Buffer<double> high(n), low(n);
  for (size_t e = 0; e < exponents.size(); ++e) {
    const double r = exponents[e];
    const int scale = histogram_scale(found.value.front(), found.value.back(), r);
    const double unit = exact_power_of_two(-scale);
    for (size_t i = 0; i < n; ++i) high[i] = found.value[i] * unit;
    raise(high, r);
    for (size_t i = 0; i < n; ++i) {
      const DoubleDouble product = exact_product(high[i], found.count[i]);
      high[i] = product.hi;
      low[i] = product.lo;
    }
    sums[e].scale = scale;
    for (size_t i = 0; i < n;) {
      DoubleDouble sum;
      const size_t run = found.code[i] / histogram_run;
      for (; i < n && found.code[i] / histogram_run == run; ++i) sum.add({high[i], low[i]});
      sums[e].total.add(sum);
    }
  }
  return sums;
}

}  // namespace pqi::cpu
