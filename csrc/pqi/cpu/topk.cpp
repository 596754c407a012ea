#include "topk.hpp"

#include <algorithm>
#include <optional>

#include "columns.hpp"
#include "group_loop.hpp"
#include "isa.hpp"
#include "row_selector.hpp"
#include "selector.hpp"
#include "tile_selector.hpp"

namespace pqi::cpu {
namespace {

constexpr size_t selected_in_tiles = 512;  // groups up to this size are selected many at a time

size_t live_of(const Groups& groups, const uint64_t* live, size_t group) {
  return live != nullptr ? live[group] : groups.size(group);
}

const uint64_t* counts_from(const uint64_t* live, size_t first) { return live != nullptr ? live + first : nullptr; }

// Runs tile(selector, reader, groups of the tile, how many, the largest size) for tiles of short groups,
// row(selector, reader, group) for groups that fit a chunk, and alone(selector, group) for the others.
template <class K, class Tile, class Row, class Alone>
void for_each_selection(const Groups& groups, const Groups* masks, Tile tile, Row row, Alone alone) {
  const Kernels& table = kernels();
  std::optional<Selector<K>> shared;
  for_each_group(
      groups, table, [&](size_t size) { return shares_blocks(groups, size); },
      [&](size_t g) {
        if (!shared) shared.emplace(groups, masks, threads_for(blocks_of(groups.widest())));
        alone(*shared, g);
      },
      [&](size_t begin, size_t end, Reader& reader) {
        TileSelector<K> tiles(groups, table);
        RowSelector<K> rows(groups, table);
        std::optional<Selector<K>> selector;
        for_each_tile(
            groups, begin, end, selected_in_tiles,
            [&](const size_t* chosen, size_t count, size_t width) { tile(tiles, reader, chosen, count, width); },
            [&](size_t g) {
              if (groups.size(g) == 0) return;
              if (groups.size(g) <= chunk_size) return row(rows, reader, g);
              if (!selector) selector.emplace(groups, masks, 1);
              alone(*selector, g);
            });
      });
}

template <class K>
void mask_slab(const Groups& groups, const Wanted& k, const uint64_t* live, const Groups& masks) {
  for_each_selection<K>(
      groups, &masks,
      [&](TileSelector<K>& selector, Reader& reader, const size_t* chosen, size_t count, size_t width) {
        MaskWriter writer(masks);
        selector.find(reader, chosen, count, width, k);
        selector.write(reader, writer, chosen, count, k);
      },
      [&](RowSelector<K>& selector, Reader& reader, size_t g) {
        MaskWriter writer(masks);
        writer.select(g);
        if (k[g] > 0) {
          selector.select(reader, &writer, g, k[g]);
        } else {
          writer.fill(0, groups.size(g), 0);
        }
      },
      [&](Selector<K>& selector, size_t g) {
        const size_t alive = live_of(groups, live, g);
        if (k[g] == 0 || k[g] >= alive) {
          selector.write_all(g, k[g] > 0);
        } else {
          selector.select(g, alive, k[g]);
        }
      });
}

template <class K>
void threshold_slab(const Groups& groups, const Wanted& k, const uint64_t* live, double* out) {
  const auto put = [&](size_t g, uint64_t threshold) { out[g] = key_value(groups.dtype(), threshold); };
  for_each_selection<K>(
      groups, nullptr,
      [&](TileSelector<K>& selector, Reader& reader, const size_t* chosen, size_t count, size_t width) {
        selector.find(reader, chosen, count, width, k);
        for (size_t lane = 0; lane < count; ++lane)
          if (k[chosen[lane]] > 0) put(chosen[lane], selector.threshold(lane, chosen[lane]));
      },
      [&](RowSelector<K>& selector, Reader& reader, size_t g) {
        if (k[g] > 0) put(g, selector.select(reader, nullptr, g, k[g]));
      },
      [&](Selector<K>& selector, size_t g) {
        if (k[g] > 0) put(g, selector.select(g, live_of(groups, live, g), k[g]));
      });
}

}  // namespace

void topk_mask(const Groups& groups, const Wanted& k, const uint64_t* live, const Groups& masks) {
  MaskWriter(masks).fill_uncovered(0);
  with_key_type(groups, [&](auto key) {
    for_each_slab(groups, masks, [&](const Groups& slab, const Groups& slab_masks, size_t first) {
      mask_slab<decltype(key)>(slab, k.from(first), counts_from(live, first), slab_masks);
    });
  });
}

void topk_threshold(const Groups& groups, const Wanted& k, const uint64_t* live, double* out) {
  std::fill(out, out + groups.count(), __builtin_nan(""));
  with_key_type(groups, [&](auto key) {
    for_each_slab(groups, [&](const Groups& slab, size_t first) {
      threshold_slab<decltype(key)>(slab, k.from(first), counts_from(live, first), out + first);
    });
  });
}

}  // namespace pqi::cpu
