// Which of the elements that equal the threshold belong to the top k: the first ones by flat index. They are counted by
// tiles; only in the tile where the last one is taken are they looked at in order.
#pragma once

#include "candidates.hpp"

namespace pqi::cuda {

inline constexpr uint64_t tie_tile = 8192;  // elements

// Ties in tiles before `tile` are taken, and the first `left` of its own.
struct Cut {
  uint64_t tile, left;
};

// ties[group][tile]: elements that equal the threshold.
template <class K>
struct CountTies {
  static constexpr int threads = Candidates<K>::threads;
  static constexpr int at_once = Candidates<K>::at_once;
  static_assert(tie_tile % Candidates<K>::stretch == 0);

  Candidates<K> candidates;
  uint64_t tiles;
  uint32_t* ties;

  PQI_DEVICE void operator()(Block& block) const {
    const SelectState state = candidates.state(block);
    if (state.remaining == 0) return;
    const auto threshold = K(state.prefix);
    uint32_t* const mine = ties + candidates.group(block) * tiles;
    if (candidates.collected(block))
      return candidates.for_each_collected(block, [&](uint64_t i, K key) {
        if (key == threshold) block.add(mine + i / tie_tile, 1u);
      });
    candidates.for_each_stretch(block, [&](uint64_t i, const K(&read)[at_once], uint32_t live) {
      uint32_t count = 0;
      PQI_UNROLL for (int j = 0; j < at_once; ++j) count += (live >> j & 1) != 0 && read[j] == threshold;
      for (int mask = warp_size / 2; mask > 0; mask /= 2) count += block.shuffle_xor(count, mask);
      if (block.lane() == 0 && count > 0) block.add(mine + i / tie_tile, count);
    });
  }
};

// Finds where the ties are cut: narrows the tiles to the share of one warp again and again. One block a group.
struct FindCut {
  static constexpr int threads = 512;
  static constexpr uint64_t warps = threads / warp_size;
  static constexpr size_t shared_bytes = warps * sizeof(uint64_t);

  const SelectState* states;
  uint64_t tiles;
  const uint32_t* ties;
  Cut* cuts;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t* const sums = block.shared<uint64_t>();
    const uint32_t* const mine = ties + block.index() * tiles;
    const uint64_t wanted = states[block.index()].remaining;
    uint64_t begin = 0, end = tiles, before = 0;
    while (wanted > 0 && end - begin > 1) {
      const uint64_t share = (end - begin + warps - 1) / warps, low = begin + uint64_t(block.warp()) * share;
      uint64_t sum = 0;
      for (uint64_t i = low + uint64_t(block.lane()); i < low + share && i < end; i += warp_size) sum += mine[i];
      for (int mask = warp_size / 2; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
      if (block.lane() == 0) sums[block.warp()] = sum;
      block.sync();
      uint64_t chosen = 0;
      while (chosen + 1 < warps && before + sums[chosen] < wanted) before += sums[chosen++];
      block.sync();
      begin += chosen * share;
      end = begin + share < end ? begin + share : end;
    }
    if (block.thread() > 0) return;
    const uint64_t left = wanted - before;
    cuts[block.index()] = wanted > 0 && left < mine[begin] ? Cut{begin, left} : Cut{begin + 1, 0};
  }
};

// Writes the mask of the candidates; of the ties in the tile of the cut only for CutTile to write them again.
template <class K>
struct Decide {
  static constexpr int threads = Candidates<K>::threads;
  static constexpr int at_once = Candidates<K>::at_once;

  Candidates<K> candidates;
  Source masks;
  const Cut* cuts;

  PQI_DEVICE void operator()(Block& block) const {
    const SelectState state = candidates.state(block);
    if (state.remaining == 0) return;
    const auto threshold = K(state.prefix);
    const uint64_t group = candidates.group(block), tile = cuts[group].tile;
    MaskWriter mask(masks, candidates.first + group);
    const auto kept = [&](uint64_t i, K key) { return key == threshold ? i / tie_tile < tile : key > threshold; };
    if (candidates.collected(block))
      return candidates.for_each_collected(block, [&](uint64_t i, K key) { mask.write(i, kept(i, key)); });
    candidates.for_each_stretch(block, [&](uint64_t i, const K(&read)[at_once], uint32_t live) {
      uint32_t keep = 0;
      PQI_UNROLL for (int j = 0; j < at_once; ++j) keep |= uint32_t(kept(i, read[j])) << j;
      mask.write(i, at_once, keep & live);
    });
  }
};

// Writes the ties of the tile of the cut in order. One block a group.
template <class K>
struct CutTile {
  static constexpr int threads = 512;
  static constexpr size_t shared_bytes = (threads / warp_size) * sizeof(uint64_t);

  Source source, masks;
  uint64_t first_group;
  const SelectState* states;
  const Cut* cuts;

  PQI_DEVICE void operator()(Block& block) const {
    const Cut cut = cuts[block.index()];
    if (cut.left == 0) return;
    uint64_t* const of_warp = block.shared<uint64_t>();
    const uint64_t group = first_group + block.index(), begin = cut.tile * tie_tile;
    const uint64_t end = source.size - begin < tie_tile ? source.size : begin + tie_tile;
    Cursor cursor(source, group);
    MaskWriter mask(masks, group);
    const auto rule = key_rule<K>(source.dtype);
    const auto threshold = K(states[block.index()].prefix);
    uint64_t left = cut.left;
    for (uint64_t first = begin; first < end; first += threads) {
      const uint64_t i = first + uint64_t(block.thread());
      const bool tied = i < end && cursor.live(i) && rule(cursor.bits<K>(i)) == threshold;
      const uint32_t who = block.ballot(tied);
      if (block.lane() == 0) of_warp[block.warp()] = uint64_t(count_ones(who));
      block.sync();
      uint64_t rank = uint64_t(count_ones(who & ((1u << block.lane()) - 1))), all = 0;
      for (int w = 0; w < threads / warp_size; ++w) {
        if (w < block.warp()) rank += of_warp[w];
        all += of_warp[w];
      }
      if (tied) mask.write(i, rank < left);
      left = left > all ? left - all : 0;
      block.sync();
    }
  }
};

}  // namespace pqi::cuda
