#include "histogram.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "code_summer.hpp"
#include "group_loop.hpp"
#include "isa.hpp"
#include "parallel.hpp"

namespace pqi::cpu {

bool uses_histogram(const Groups& groups, size_t size) {
  return groups.homogeneous() && counts_codes(groups.dtype(), size);
}

namespace {

// Hands the live codes of a group to one taker a thread, chunk by chunk.
template <class Taker>
std::vector<Apart<Taker>> take_codes(const Groups& groups, size_t group, const Taker& fresh) {
  const size_t size = groups.size(group), blocks = blocks_of(size);
  std::vector<Apart<Taker>> takers(static_cast<size_t>(threads_for(blocks)), {fresh});
  std::vector<Reader> readers;
  for (size_t t = 0; t < takers.size(); ++t) readers.emplace_back(groups, kernels()).select(group);
  parallel_for(blocks, int(takers.size()), [&](size_t block, int thread) {
    const size_t end = std::min((block + 1) * block_size, size);
    for (size_t begin = block * block_size; begin < end; begin += chunk_size) {
      size_t n = std::min(chunk_size, end - begin);
      const uint16_t* bits = readers[thread].read_live<uint16_t>(begin, n);
      takers[thread].add(bits, n);
    }
  });
  return takers;
}

}  // namespace

Histogram histogram_of(const Groups& groups, size_t group) {
  Histogram histogram{groups.dtype(), Buffer<uint64_t>(histogram_codes, 0)};
  for (const CodeCounter& counter : take_codes(groups, group, CodeCounter(groups.dtype())))
    counter.add_to(histogram.counts);
  return histogram;
}

uint64_t Histogram::live() const { return std::accumulate(counts.begin(), counts.end(), uint64_t(0)); }

bool Histogram::holds_own_codes() const {
  return std::all_of(counts.begin() + ptrdiff_t(codes_of(dtype)), counts.end(), [](uint64_t n) { return n == 0; });
}

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
  Buffer<double> value;
  Buffer<uint64_t> count;

  explicit Occurring(const Histogram& histogram) {
    const size_t codes = codes_of(histogram.dtype);
    code.resize(codes);
    size_t n = 0;
    for (size_t c = 1; c < codes; ++c) {
      code[n] = uint32_t(c);
      n += histogram.counts[c] != 0;
    }
    code.resize(n);
    value.resize(n);
    count.resize(n);
    for (size_t i = 0; i < n; ++i) {
      value[i] = key_value(histogram.dtype, code[i]);
      count[i] = histogram.counts[code[i]];
    }
  }
};

// By runs of neighbouring codes; `high` and `low` are room for a number a code.
PowerSum run_sum(const Occurring& found, double r, Buffer<double>& high, Buffer<double>& low) {
  const size_t n = found.code.size();
  PowerSum result;
  result.scale = histogram_scale(found.value.front(), found.value.back(), r);
  const double unit = exact_power_of_two(-int(result.scale));
  for (size_t i = 0; i < n; ++i) high[i] = found.value[i] * unit;
  kernels().powers(high.data(), n, r, 0.0);
  for (size_t i = 0; i < n; ++i) {
    const DoubleDouble product = exact_product(high[i], double(found.count[i]));
    high[i] = product.hi;
    low[i] = product.lo;
  }
  for (size_t i = 0; i < n;) {
    DoubleDouble sum;
    const size_t run = found.code[i] / histogram_run;
    for (; i < n && found.code[i] / histogram_run == run; ++i) sum.add({high[i], low[i]});
    result.total.add(sum);
  }
  return result;
}

// Roots of float16 repeat, doubled, two octaves on, but for the first two, where subnormal numbers are: those of the
// codes from root_period on.
constexpr uint32_t root_period = 1 << 11;
const std::array<double, root_period>& root_table() {
  static const std::array<double, root_period> roots = [] {
    std::array<double, root_period> of_codes;
    for (uint32_t c = 0; c < root_period; ++c) of_codes[c] = float16_root::of(key_value(DType::f16, root_period + c));
    return of_codes;
  }();
  return roots;
}

// As exact_term, of all codes.
void put_terms(DType t, const Occurring& found, double r, Buffer<double>& terms) {
  const size_t n = found.code.size();
  size_t i = 0;
  if (t == DType::f16 && power_kind(r) == PowerKind::half) {
    const auto& roots = root_table();
    for (; i < n && found.code[i] < root_period; ++i) terms[i] = exact_term(t, found.value[i], r);
    for (; i < n; ++i) {
      const uint32_t code = found.code[i];
      terms[i] = roots[code % root_period] * exact_power_of_two(int(code / root_period) - 1);
    }
  } else {
    for (; i < n; ++i) terms[i] = exact_term(t, found.value[i], r);
  }
}

// Adds a histogram's share to a sum that is exact, terms of one binade at a time; `terms` is room for a number a code.
PowerSum exact_sum(DType t, const Occurring& found, double r, ExactSum sum, Buffer<double>& terms) {
  const double largest = found.value.empty() ? 0.0 : found.value.back();
  uint128 binade = 0;
  int exponent = 0;
  if (largest < infinity) {
    put_terms(t, found, r, terms);
    for (size_t i = 0; i < found.code.size(); ++i) {
      const Digits term(terms[i]);
      if (term.exponent != exponent) {
        sum.add(binade, exponent);
        binade = 0;
        exponent = term.exponent;
      }
      binade += uint128(found.count[i]) * term.digits;
    }
  }
  sum.add(binade, exponent);
  sum.carry();
  return exact_power_sum(sum, largest);
}

// The SpecialPowers that a group's sums are, if counting alone is not the fastest way to them; else none.
unsigned powers_to_add(const Kernels& table, DType t, const std::vector<double>& exponents) {
  unsigned which = 0;
  for (double r : exponents) {
    if (!sums_exactly(r)) return 0;
    which |= 1u << int(power_kind(r));
  }
  return table.code_use(which, t) == CodeUse::counted ? 0 : which;
}

}  // namespace

std::vector<PowerSum> power_sums(const Histogram& histogram, const std::vector<double>& exponents) {
  const Occurring found(histogram);
  const size_t n = found.code.size();
  Buffer<double> high(n), low(n);
  std::vector<PowerSum> sums;
  for (double r : exponents) {
    if (sums_exactly(r)) {
      sums.push_back(exact_sum(histogram.dtype, found, r, {}, high));
    } else {
      sums.push_back(n == 0 ? PowerSum{} : run_sum(found, r, high, low));
    }
  }
  return sums;
}

SumsOfCodes power_sums(const Groups& groups, size_t group, const std::vector<double>& exponents) {
  const Kernels& table = kernels();
  const unsigned which = powers_to_add(table, groups.dtype(), exponents);
  if (which == 0) {
    const Histogram histogram = histogram_of(groups, group);
    return {power_sums(histogram, exponents), histogram.live()};
  }
  Histogram counted{groups.dtype(), Buffer<uint64_t>(histogram_codes, 0)};
  ExactSum added[3];
  SumsOfCodes result;
  for (const CodeSummer& summer : take_codes(groups, group, CodeSummer(which, groups.dtype(), table)))
    summer.add_to(counted.counts, added, result.live);
  const Occurring found(counted);
  Buffer<double> terms(found.code.size());
  for (double r : exponents)
    result.sums.push_back(exact_sum(groups.dtype(), found, r, added[int(power_kind(r))], terms));
  return result;
}

}  // namespace pqi::cpu
