#include "histogram.hpp"

#include <algorithm>

#include "key_reader.hpp"

namespace pqi::cuda {
namespace {

// Counts the codes [part·codes, (part + 1)·codes) in shared memory; as many parts as it takes for them to fit, each a
// read of its own.
struct CountCodes {
  static constexpr int threads = 1024;
  static constexpr int at_once = KeyReader<uint16_t>::at_once;
  static constexpr uint64_t tile = threads * at_once;
  static constexpr uint64_t most_elements = uint64_t(1) << 31;  // of a block: its counters have 32 bits

  Source source;
  uint64_t group, codes, parts, share;  // `share` elements to a block, in whole tiles
  uint64_t* counts;

  PQI_DEVICE void operator()(Block& block) const {
    uint32_t* const mine = block.shared<uint32_t>();
    for (uint64_t i = uint64_t(block.thread()); i < codes; i += threads) mine[i] = 0;
    block.sync();
    const uint64_t base = block.index() % parts * codes, begin = block.index() / parts * share;
    const uint64_t end = source.size - begin < share ? source.size : begin + share;
    KeyReader<uint16_t> reader(source, group);
    Tally tally(mine, uint32_t(codes));
    for (uint64_t i = begin + uint64_t(block.thread() * at_once); i < end; i += tile) {
      uint16_t keys[at_once];
      const uint32_t live = reader.read(i, keys);
      PQI_UNROLL for (int j = 0; j < at_once; ++j) if (live >> j & 1)
          tally.add(block, uint32_t(keys[j]) - uint32_t(base));
    }
    tally.flush(block);
    block.sync();
    for (uint64_t i = uint64_t(block.thread()); i < codes; i += threads)
      if (mine[i] != 0) block.add(counts + base + i, uint64_t(mine[i]));
  }
};

// range[0] and range[1]: the least and the greatest code that occurs, zero aside; the greatest is zero where none does.
struct FindRange {
  static constexpr int threads = 1024, warps = threads / warp_size;
  static constexpr size_t shared_bytes = 2 * warps * sizeof(uint64_t);

  const uint64_t* counts;
  uint64_t* range;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t* const found = block.shared<uint64_t>();
    uint64_t low = histogram_codes, high = 0;
    for (uint64_t code = uint64_t(block.thread()); code < histogram_codes; code += threads)
      if (code != 0 && counts[code] != 0) extend(low, high, code, code);
    for (int mask = warp_size / 2; mask > 0; mask /= 2) {
      const uint64_t other_low = block.shuffle_xor(low, mask), other_high = block.shuffle_xor(high, mask);
      extend(low, high, other_low, other_high);
    }
    if (block.lane() == 0) {
      found[2 * block.warp()] = low;
      found[2 * block.warp() + 1] = high;
    }
    block.sync();
    if (block.thread() != 0) return;
    for (int w = 1; w < warps; ++w) extend(low, high, found[2 * w], found[2 * w + 1]);
    range[0] = low;
    range[1] = high;
  }

 private:
  PQI_DEVICE static void extend(uint64_t& low, uint64_t& high, uint64_t a, uint64_t b) {
    low = a < low ? a : low;
    high = high < b ? b : high;
  }
};

constexpr int exponents_at_once = 64;
constexpr uint64_t runs = histogram_codes / histogram_run;

// What the sums of one group's codes are made of.
struct CodeSums {
  DType dtype;
  const uint64_t *counts, *range;
  DoubleDouble* of_runs;  // [exponent][run]
  double r[exponents_at_once];

  PQI_DEVICE int scale(double exponent) const {
    return histogram_scale(key_value(dtype, range[0]), key_value(dtype, range[1]), exponent);
  }
};

// Sums runs of codes, a warp each: it takes powers of 32 codes at a time, which its first lane adds in order. Not for
// exponents that are summed exactly.
struct SumRuns {
  static constexpr int threads = 256, warps = threads / warp_size;
  static constexpr size_t shared_bytes = threads * sizeof(DoubleDouble);

  CodeSums sums;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t place = block.index() * warps + uint64_t(block.warp()), first = place % runs * histogram_run;
    const double r = sums.r[place / runs];
    auto* const products = block.shared<DoubleDouble>() + block.warp() * warp_size;
    DoubleDouble sum;
    if (sums.range[1] > 0 && !sums_exactly(r)) {
      const double unit = exact_power_of_two(-sums.scale(r));
      for (uint64_t begin = first; begin < first + histogram_run; begin += warp_size) {
        const uint64_t code = begin + uint64_t(block.lane()), n = code == 0 ? 0 : sums.counts[code];
        if (n != 0) products[block.lane()] = exact_product(power(key_value(sums.dtype, code) * unit, r), double(n));
        const uint32_t who = block.ballot(n != 0);
        block.sync_lanes();
        for (int i = 0; block.lane() == 0 && i < warp_size; ++i)
          if (who >> i & 1) sum.add(products[i]);
        block.sync_lanes();
      }
    }
    if (block.lane() == 0) sums.of_runs[place] = sum;
  }
};

// The sum of an exponent, a block each: its runs are merged, or all its codes added up exactly.
struct MergeRuns {
  static constexpr int threads = int(runs);
  static constexpr size_t shared_bytes = runs * sizeof(DoubleDouble);
  static_assert(sizeof(ExactSum) <= shared_bytes);

  CodeSums sums;
  PowerSum* out;

  PQI_DEVICE void operator()(Block& block) const {
    const double r = sums.r[block.index()];
    const PowerSum result = sums_exactly(r) ? exact(block, r) : merged(block, r);
    if (block.thread() == 0) out[block.index()] = result;
  }

 private:
  // Both are right in the first thread alone.
  PQI_DEVICE PowerSum merged(Block& block, double r) const {
    auto* const fetched = block.shared<DoubleDouble>();
    fetched[block.thread()] = sums.of_runs[block.index() * runs + uint64_t(block.thread())];
    block.sync();
    PowerSum result;
    if (block.thread() != 0 || sums.range[1] == 0) return result;
    result.scale = sums.scale(r);
    for (uint64_t i = 0; i < runs; ++i) result.total.add(fetched[i]);
    return result;
  }

  PQI_DEVICE PowerSum exact(Block& block, double r) const {
    auto* const total = block.shared<ExactSum>();
    if (block.thread() < ExactSum::digits) total->digit[block.thread()] = 0;
    block.sync();
    const double largest = sums.range[1] == 0 ? 0.0 : key_value(sums.dtype, sums.range[1]);
    ExactSum mine;
    const bool finite = largest - largest == 0.0;
    for (uint64_t code = uint64_t(block.thread()); finite && code <= sums.range[1]; code += threads)
      if (code >= sums.range[0] && sums.counts[code] != 0) {
        const Digits term(exact_term(sums.dtype, key_value(sums.dtype, code), r));
        mine.add(uint128(sums.counts[code]) * term.digits, term.exponent);
      }
    for (int i = 0; i < ExactSum::digits; ++i) block.add(&total->digit[i], mine.digit[i]);
    block.sync();
    if (block.thread() != 0) return {};
    ExactSum sum = *total;
    sum.carry();
    return exact_power_sum(sum, largest);
  }
};

}  // namespace

void count_codes(const Queue& queue, const Groups& groups, uint64_t group, uint64_t* counts) {
  queue.fill(counts, 0, histogram_codes * sizeof(uint64_t));
  const uint64_t all = codes_of(groups.source().dtype), fit = queue.shared_limit() / sizeof(uint32_t);
  const uint64_t parts = (all + fit - 1) / fit, codes = (all + parts - 1) / parts;
  const uint64_t tiles = (groups.size() + CountCodes::tile - 1) / CountCodes::tile;
  const uint64_t blocks =
      std::min(tiles, std::max(uint64_t(queue.processors()), groups.size() / CountCodes::most_elements + 1));
  if (blocks == 0) return;
  const uint64_t share = (tiles + blocks - 1) / blocks * CountCodes::tile;
  const uint64_t used = (groups.size() + share - 1) / share;
  queue.launch(used * parts, CountCodes{groups.source(), group, codes, parts, share, counts}, codes * sizeof(uint32_t));
}

void sum_histograms(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* out) {
  const Scratch<uint64_t> counts(queue, histogram_codes), range(queue, 2);
  const size_t most = std::min(exponents.size(), size_t(exponents_at_once));
  const Scratch<DoubleDouble> of_runs(queue, most * runs);
  CodeSums sums{groups.source().dtype, counts.get(), range.get(), of_runs.get(), {}};
  for (uint64_t group = 0; group < groups.count(); ++group) {
    count_codes(queue, groups, group, counts.get());
    queue.launch(1, FindRange{counts.get(), range.get()}, FindRange::shared_bytes);
    for (size_t first = 0; first < exponents.size(); first += most) {
      const size_t n = std::min(most, exponents.size() - first);
      std::copy_n(exponents.begin() + std::ptrdiff_t(first), n, sums.r);
      queue.launch(n * runs / SumRuns::warps, SumRuns{sums}, SumRuns::shared_bytes);
      queue.launch(n, MergeRuns{sums, out + group * exponents.size() + first}, MergeRuns::shared_bytes);
    }
  }
}

}  // namespace pqi::cuda
