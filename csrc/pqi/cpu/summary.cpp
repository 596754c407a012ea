#include "summary.hpp"

#include <algorithm>

#include "columns.hpp"
#include "group_loop.hpp"
#include "isa.hpp"

namespace pqi::cpu {
namespace {

struct Extent {
  uint64_t largest = 0, zeros = 0, live = 0;

  void merge(const Extent& other) {
    largest = std::max(largest, other.largest);
    zeros += other.zeros;
    live += other.live;
  }
};

template <class K>
Extent extent_of(Reader& reader, const Groups& groups, size_t begin, size_t end) {
  const Kernels& table = kernels();
  const auto rule = key_rule<K>(groups.dtype());
  Extent result;
  for (; begin < end; begin += chunk_size) {
    size_t n = std::min(chunk_size, end - begin);
    const K* bits = reader.read_live<K>(begin, n);
    Extent part{0, 0, n};
    if constexpr (sizeof(K) == 2) part.largest = table.extent16(bits, n, rule, &part.zeros);
    if constexpr (sizeof(K) == 4) part.largest = table.extent32(bits, n, rule, &part.zeros);
    if constexpr (sizeof(K) == 8) part.largest = table.extent64(bits, n, rule, &part.zeros);
    result.merge(part);
  }
  return result;
}

template <class K>
Extent large_extent(const Groups& groups, size_t group) {
  const size_t size = groups.size(group), blocks = blocks_of(size);
  std::vector<Extent> partial(blocks);
  parallel_for(blocks, num_threads(), [&](size_t block, int) {
    Reader reader(groups, kernels());
    reader.select(group);
    partial[block] = extent_of<K>(reader, groups, block * block_size, std::min((block + 1) * block_size, size));
  });
  Extent result;
  for (const Extent& part : partial) result.merge(part);
  return result;
}

void extent_of_slab(const Groups& groups, double* largest, uint64_t* zeros, uint64_t* live) {
  const auto put = [&](size_t group, const Extent& found) {
    largest[group] = found.live > 0 ? key_value(groups.dtype(), found.largest) : __builtin_nan("");
    zeros[group] = found.zeros;
    live[group] = found.live;
  };
  with_key_type(groups, [&](auto key) {
    using K = decltype(key);
    for_each_group(
        groups, kernels(), [&](size_t size) { return shares_blocks(groups, size); },
        [&](size_t g) { put(g, large_extent<K>(groups, g)); },
        [&](size_t begin, size_t end, Reader& reader) {
          for (size_t g = begin; g < end; ++g) put(g, extent_of<K>(reader.select(g), groups, 0, groups.size(g)));
        });
  });
}

}  // namespace

void extent(const Groups& groups, double* largest, uint64_t* zeros, uint64_t* live) {
  for_each_slab(groups, [&](const Groups& slab, size_t first) {
    extent_of_slab(slab, largest + first, zeros + first, live + first);
  });
}

void extent(const Histogram& histogram, double* largest, uint64_t* zeros) {
  *zeros = histogram.counts[0];
  *largest = __builtin_nan("");
  for (size_t code = histogram.counts.size(); code-- > 0;) {
    if (histogram.counts[code] == 0) continue;
    *largest = key_value(histogram.dtype, code);
    break;
  }
}

}  // namespace pqi::cpu
