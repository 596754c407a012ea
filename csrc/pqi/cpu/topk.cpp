#include "topk.hpp"

#include <algorithm>

#include "group_loop.hpp"
#include "isa.hpp"
#include "selector.hpp"
#include "tile_selector.hpp"

namespace pqi::cpu {
namespace {

// Groups are selected many at a time while they are short, side by side while they are many, else one after another.
bool selects_in_tiles(const Groups& groups) {
  constexpr size_t widest_tile = 1024, fewest_groups = 4;
  static_assert(widest_tile <= chunk_size);
  return groups.size() <= widest_tile && groups.count() >= fewest_groups;
}

// Runs f(selector, group) for every group.
template <class K, class F>
void for_each_selection(const Groups& groups, const Groups* masks, F f) {
  if (groups.size() > block_size && groups.count() < size_t(4 * num_threads())) {
    Selector<K> selector(groups, masks, threads_for((groups.size() + block_size - 1) / block_size));
    for (size_t g = 0; g < groups.count(); ++g) f(selector, g);
    return;
  }
  for_each_group(groups, kernels(), [&](size_t begin, size_t end, Reader&) {
    Selector<K> selector(groups, masks, 1);
    for (size_t g = begin; g < end; ++g) f(selector, g);
  });
}

// Runs f(selector, reader, first group, how many) for every tile.
template <class K, class F>
void for_each_tile(const Groups& groups, F f) {
  const Kernels& table = kernels();
  for_each_group(groups, table, [&](size_t begin, size_t end, Reader& reader) {
    TileSelector<K> selector(groups, table);
    for (; begin < end; begin += lanes) f(selector, reader, begin, std::min(end - begin, size_t(lanes)));
  });
}

template <class K>
void mask_tiles(const Groups& groups, const std::vector<uint64_t>& k, const Groups& masks) {
  for_each_tile<K>(groups, [&](TileSelector<K>& selector, Reader& reader, size_t begin, size_t count) {
    MaskWriter writer(masks);
    selector.find(reader, begin, count, k);
    for (size_t lane = 0; lane < count; ++lane) {
      writer.select(begin + lane);
      if (k[begin + lane] > 0) {
        selector.write(reader, writer, begin + lane, selector.found(lane));
      } else {
        writer.fill(0, groups.size(), 0);
      }
    }
  });
}

}  // namespace

void topk_mask(const Groups& groups, const std::vector<uint64_t>& k, const Groups& masks) {
  if (groups.size() == 0) return;
  with_key_type(groups, [&](auto key) {
    using K = decltype(key);
    if (selects_in_tiles(groups)) return mask_tiles<K>(groups, k, masks);
    const std::vector<uint64_t> live = count_live(groups);
    for_each_selection<K>(groups, &masks, [&](Selector<K>& selector, size_t g) {
      if (k[g] == 0 || k[g] >= live[g]) {
        selector.write_all(g, k[g] > 0);
      } else {
        selector.select(g, live[g], k[g]);
      }
    });
  });
}

void topk_threshold(const Groups& groups, const std::vector<uint64_t>& k, double* out) {
  std::fill(out, out + groups.count(), __builtin_nan(""));
  if (groups.size() == 0) return;
  with_key_type(groups, [&](auto key) {
    using K = decltype(key);
    const auto put = [&](size_t g, uint64_t threshold) { out[g] = key_value(groups.dtype(), threshold); };
    if (selects_in_tiles(groups)) {
      for_each_tile<K>(groups, [&](TileSelector<K>& selector, Reader& reader, size_t begin, size_t count) {
        selector.find(reader, begin, count, k);
        for (size_t lane = 0; lane < count; ++lane)
          if (k[begin + lane] > 0) put(begin + lane, selector.found(lane).threshold);
      });
      return;
    }
    const std::vector<uint64_t> live = count_live(groups);
    for_each_selection<K>(groups, nullptr, [&](Selector<K>& selector, size_t g) {
      if (k[g] > 0) put(g, selector.select(g, live[g], k[g]));
    });
  });
}

}  // namespace pqi::cpu
