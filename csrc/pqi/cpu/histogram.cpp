#include "histogram.hpp"

#include <algorithm>
#include <numeric>

#include "group_loop.hpp"
#include "isa.hpp"
#include "parallel.hpp"

namespace pqi::cpu {
namespace {

// 32-bit counters fill the cache half as fast as 64-bit ones; they are emptied before they could overflow.
constexpr uint64_t counts_before_flush = uint64_t(1) << 31;

// Counts raw bits, four a word, since that is what costs; signs and NaN are folded at the end.
class Counter {
 public:
  Counter() : small_(65536, 0), total_(65536, 0) {}

  void add(const uint16_t* bits, size_t n) {
    uint32_t* const count = small_.data();
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
      uint64_t word;
      std::memcpy(&word, bits + i, 8);
      ++count[word & 0xffff];
      ++count[word >> 16 & 0xffff];
      ++count[word >> 32 & 0xffff];
      ++count[word >> 48];
    }
    for (; i < n; ++i) ++count[bits[i]];
    if ((since_flush_ += n) >= counts_before_flush) flush();
  }

  void add_to(Buffer<uint64_t>& counts, KeyRule<uint16_t> rule) {
    flush();
    for (size_t bits = 0; bits < total_.size(); ++bits) counts[rule(uint16_t(bits))] += total_[bits];
  }

 private:
  void flush() {
    for (size_t i = 0; i < small_.size(); ++i) total_[i] += small_[i];
    std::fill(small_.begin(), small_.end(), 0u);
    since_flush_ = 0;
  }

  Buffer<uint32_t> small_;
  Buffer<uint64_t> total_;
  uint64_t since_flush_ = 0;
};

}  // namespace

bool uses_histogram(const Groups& groups, size_t size) {
  return groups.homogeneous() && counts_codes(groups.dtype(), size);
}

Histogram histogram_of(const Groups& groups, size_t group) {
  const auto rule = key_rule<uint16_t>(groups.dtype());
  const size_t size = groups.size(group), blocks = blocks_of(size);
  std::vector<Counter> counters(static_cast<size_t>(threads_for(blocks)));
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
  for (Counter& counter : counters) counter.add_to(histogram.counts, rule);
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
