#include "histogram.hpp"

#include <algorithm>

namespace pqi::cuda {
namespace {

// Codes that a type can have.
uint64_t codes_of(DType t) {
  switch (t) {
    case DType::i16:
      return 32769;
    case DType::u16:
      return 65536;
    default:
      break;
  }
  if (item_size(t) == 1 && !is_floating(t)) return 256;
  return uint64_t(key_rule<uint16_t>(t).cap) + 1;
}

// Counts the codes [part·codes, (part + 1)·codes) in shared memory; as many parts as it takes for them to fit, each a
// read of its own. A run of equal codes is one addition, so constant data is no slower.
struct CountCodes {
  static constexpr int threads = 1024;
  static constexpr uint64_t tile = 16384;
  static constexpr uint64_t most_elements = uint64_t(1) << 31;  // of a block: its counters have 32 bits

  Source source;
  uint64_t group, codes, parts, share;  // `share` elements to a block
  uint64_t* counts;

  PQI_DEVICE void operator()(Block& block) const {
    uint32_t* const mine = block.shared<uint32_t>();
    for (uint64_t i = uint64_t(block.thread()); i < codes; i += threads) mine[i] = 0;
    block.sync();
    const uint64_t base = block.index() % parts * codes, begin = block.index() / parts * share;
    const uint64_t end = source.size - begin < share ? source.size : begin + share;
    Cursor cursor(source, group);
    Run run;
    constexpr uint64_t at_once = 8;
    for (uint64_t i = begin + uint64_t(block.thread()) * at_once; i < end; i += threads * at_once) {
      const uint64_t n = end - i < at_once ? end - i : at_once;
      const char* const direct = n == at_once ? cursor.direct(source.dtype, i, n) : nullptr;
      if (direct != nullptr && item_size(source.dtype) == 2) {
        add_words(block, direct, mine, base, run);
      } else {
        for (uint64_t j = i; j < i + n; ++j)
          if (cursor.live(j)) add(block, cursor.bits<uint16_t>(j), mine, base, run);
      }
    }
    flush(block, mine, run);
    block.sync();
    for (uint64_t i = uint64_t(block.thread()); i < codes; i += threads)
      if (mine[i] != 0) block.add(counts + base + i, uint64_t(mine[i]));
  }

 private:
  struct Run {
    uint64_t code = ~uint64_t(0);
    uint32_t length = 0;
  };

  PQI_DEVICE void add_words(Block& block, const char* at, uint32_t* mine, uint64_t base, Run& run) const {
    struct alignas(16) Eight {
      uint16_t x[8];
    };
    const Eight eight = *reinterpret_cast<const Eight*>(at);
    const bool integer = is_signed_integer(source.dtype);
    PQI_UNROLL for (int j = 0; j < 8; ++j) {
      const uint16_t bits = integer ? unsigned_magnitude<uint16_t>(int16_t(eight.x[j])) : eight.x[j];
      add(block, bits, mine, base, run);
    }
  }

  PQI_DEVICE void add(Block& block, uint16_t bits, uint32_t* mine, uint64_t base, Run& run) const {
    const uint64_t code = key_rule<uint16_t>(source.dtype)(bits) - base;
    if (code == run.code) {
      ++run.length;
      return;
    }
    flush(block, mine, run);
    run.code = code;
    run.length = 1;
  }

  PQI_DEVICE void flush(Block& block, uint32_t* mine, const Run& run) const {
    if (run.length > 0 && run.code < codes) block.add(mine + run.code, run.length);
  }
};

// One block an exponent: a thread sums each run of codes, one merges the runs.
struct SumCodes {
  static constexpr int threads = int(histogram_codes / histogram_run);

  DType dtype;
  const uint64_t* counts;
  double r;
  PowerSum* sum;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t* const bounds = block.shared<uint64_t>();  // least and greatest code that occurs, zero aside
    auto* const runs = block.shared<DoubleDouble>(2 * sizeof(uint64_t));
    if (block.thread() == 0) {
      bounds[0] = histogram_codes;
      bounds[1] = 0;
    }
    block.sync();
    const uint64_t first = uint64_t(block.thread()) * histogram_run;
    for (uint64_t code = first; code < first + histogram_run; ++code) {
      if (code == 0 || counts[code] == 0) continue;
      block.min(bounds, code);
      block.max(bounds + 1, code);
    }
    block.sync();
    PowerSum result;
    if (bounds[1] > 0) {
      const int scale = histogram_scale(key_value(dtype, bounds[0]), key_value(dtype, bounds[1]), r);
      const double unit = exact_power_of_two(-scale);
      DoubleDouble mine;
      for (uint64_t code = first; code < first + histogram_run; ++code) {
        if (code == 0 || counts[code] == 0) continue;
        mine.add(exact_product(histogram_power(key_value(dtype, code) * unit, r), double(counts[code])));
      }
      runs[block.thread()] = mine;
      result.scale = scale;
    }
    block.sync();
    if (block.thread() != 0) return;
    if (bounds[1] > 0)
      for (int i = 0; i < threads; ++i) result.total.add(runs[i]);
    *sum = result;
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

void sum_histograms(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums) {
  const Scratch<uint64_t> counts(queue, histogram_codes);
  constexpr size_t shared = 2 * sizeof(uint64_t) + SumCodes::threads * sizeof(DoubleDouble);
  for (uint64_t group = 0; group < groups.count(); ++group) {
    count_codes(queue, groups, group, counts.get());
    for (size_t e = 0; e < exponents.size(); ++e)
      queue.launch(1, SumCodes{groups.source().dtype, counts.get(), exponents[e], sums + group * exponents.size() + e},
                   shared);
  }
}

}  // namespace pqi::cuda
