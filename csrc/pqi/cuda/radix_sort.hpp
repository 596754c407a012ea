// Sorts the live keys of many groups at once, each within its own stretch of memory: least significant digit first,
// stable. `parts` blocks share a group, each a run of neighbouring tiles.
#pragma once

#include "source.hpp"

namespace pqi::cuda {

inline constexpr int sort_bits = 8, sort_digits = 1 << sort_bits;

// The keys that ranks are made of: 64-bit integers as float64.
template <class K>
PQI_DEVICE K rank_key(const Source& source, Cursor& cursor, uint64_t i) {
  if constexpr (sizeof(K) == 8) {
    const uint64_t bits =
        source.dtype == DType::f64 ? cursor.bits<uint64_t>(i) : bits_as<uint64_t>(cursor.number<double>(i));
    return key_rule<uint64_t>(DType::f64)(bits);
  } else {
    if (is_narrow(source.dtype)) return key_rule<uint16_t>(source.dtype)(cursor.bits<uint16_t>(i));
    return key_rule<uint32_t>(source.dtype)(cursor.bits<uint32_t>(i));
  }
}

// One pass: from the source (`in` null) or from the last pass's keys.
template <class K>
struct SortPass {
  Source source;
  uint64_t first_group, parts, share;  // elements of a part, a multiple of the tile
  const uint64_t* live;                // by group
  const K* in;
  K* out;
  int shift;
  uint64_t* places;  // [group of the batch][digit][part]

  static constexpr int threads = 256;
  static constexpr int rounds = 8;
  static constexpr uint64_t tile = threads * rounds;

  PQI_DEVICE int digit(K key) const { return int(key >> shift & (sort_digits - 1)); }
  PQI_DEVICE uint64_t* place(uint64_t group, uint64_t part) const {
    return places + group * sort_digits * parts + part;
  }
  // How many keys a group has to read: all elements, of which some may be dead, or the live ones.
  PQI_DEVICE uint64_t size(uint64_t group) const { return in != nullptr ? live[group] : source.size; }

  // Whether element i of the group is a key.
  PQI_DEVICE bool get(Cursor& cursor, uint64_t group, uint64_t i, K& key) const {
    if (in != nullptr) {
      key = in[group * source.size + i];
      return true;
    }
    if (!cursor.live(i)) return false;
    key = rank_key<K>(source, cursor, i);
    return true;
  }
};

template <class K>
struct CountSortDigits {
  static constexpr int threads = SortPass<K>::threads;

  SortPass<K> pass;

  PQI_DEVICE void operator()(Block& block) const {
    uint32_t* const mine = block.shared<uint32_t>();
    mine[block.thread()] = 0;
    block.sync();
    const uint64_t group = block.index() / pass.parts, part = block.index() % pass.parts, size = pass.size(group);
    Cursor cursor(pass.source, pass.first_group + group);
    for (uint64_t i = part * pass.share + uint64_t(block.thread()); i < (part + 1) * pass.share && i < size;
         i += threads) {
      K key;
      if (pass.get(cursor, group, i, key)) block.add(mine + pass.digit(key), 1u);
    }
    block.sync();
    pass.place(group, part)[uint64_t(block.thread()) * pass.parts] = mine[block.thread()];
  }
  static_assert(threads == sort_digits);
};

// Counts by digit and part become places. One block a group.
struct ScanSortDigits {
  static constexpr int threads = sort_digits;

  uint64_t parts;
  uint64_t* places;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t* const sums = block.shared<uint64_t>();
    uint64_t* const mine = places + (block.index() * sort_digits + uint64_t(block.thread())) * parts;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < parts; ++i) sum += mine[i];
    sums[block.thread()] = sum;
    block.sync();
    uint64_t before = 0;
    for (int d = 0; d < block.thread(); ++d) before += sums[d];
    for (uint64_t i = 0; i < parts; ++i) {
      const uint64_t here = mine[i];
      mine[i] = before;
      before += here;
    }
  }
};

// Moves keys to their places, a tile at a time: ranked within the tile, put in order in shared memory, written in runs.
template <class K>
struct Scatter {
  using Pass = SortPass<K>;
  static constexpr int threads = Pass::threads, warps = threads / warp_size, rounds = Pass::rounds;
  static constexpr size_t counts_at = sort_digits * sizeof(uint64_t);
  static constexpr size_t starts_at = counts_at + warps * sort_digits * sizeof(uint32_t);
  static constexpr size_t keys_at = starts_at + (sort_digits + warps) * sizeof(uint32_t);
  static constexpr size_t shared_bytes = keys_at + Pass::tile * sizeof(K);

  Pass pass;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index() / pass.parts, part = block.index() % pass.parts, size = pass.size(group);
    block.shared<uint64_t>()[block.thread()] = pass.place(group, part)[uint64_t(block.thread()) * pass.parts];
    Cursor cursor(pass.source, pass.first_group + group);
    for (uint64_t begin = part * pass.share; begin < (part + 1) * pass.share && begin < size; begin += Pass::tile)
      move_tile(block, cursor, group, begin, size);
  }

 private:
  PQI_DEVICE void move_tile(Block& block, Cursor& cursor, uint64_t group, uint64_t begin, uint64_t size) const {
    uint64_t* const places = block.shared<uint64_t>();           // where each digit goes on
    uint32_t* const counts = block.shared<uint32_t>(counts_at);  // [warp][digit]
    uint32_t* const starts = block.shared<uint32_t>(starts_at);  // of each digit in the tile
    K* const sorted = block.shared<K>(keys_at);
    for (int i = block.thread(); i < warps * sort_digits; i += threads) counts[i] = 0;
    block.sync();
    K key[rounds];
    uint32_t rank[rounds];
    PQI_UNROLL for (int r = 0; r < rounds; ++r) {
      const uint64_t i = begin + uint64_t((block.warp() * rounds + r) * warp_size + block.lane());
      key[r] = 0;
      const bool here = i < size && pass.get(cursor, group, i, key[r]);
      rank[r] = rank_in_warp(block, counts + block.warp() * sort_digits, here, pass.digit(key[r]));
    }
    block.sync();
    const uint32_t total = scan(block, counts, starts);
    PQI_UNROLL for (int r = 0; r < rounds; ++r) {
      const int digit = pass.digit(key[r]);
      if (rank[r] != none) sorted[starts[digit] + counts[block.warp() * sort_digits + digit] + rank[r]] = key[r];
    }
    block.sync();
    K* const out = pass.out + group * pass.source.size;
    for (uint32_t i = uint32_t(block.thread()); i < total; i += threads) {
      const int digit = pass.digit(sorted[i]);
      out[places[digit] + i - starts[digit]] = sorted[i];
    }
    block.sync();
    const uint32_t next = block.thread() + 1 < sort_digits ? starts[block.thread() + 1] : total;
    places[block.thread()] += next - starts[block.thread()];
    block.sync();
  }

  static constexpr uint32_t none = ~uint32_t(0);

  // How many keys before this one in the warp's stretch have its digit; advances the warp's counts.
  PQI_DEVICE static uint32_t rank_in_warp(Block& block, uint32_t* counts, bool here, int digit) {
    const uint32_t same = block.match(here ? uint32_t(digit) : uint32_t(sort_digits));
    const uint32_t before = here ? counts[digit] : 0;
    block.sync_lanes();
    const uint32_t below = same & ((1u << block.lane()) - 1);
    if (here && below == 0) counts[digit] = before + uint32_t(count_ones(same));
    block.sync_lanes();
    return here ? before + uint32_t(count_ones(below)) : none;
  }

  // counts[warp][digit] become the keys of lower warps with that digit, starts[digit] those of lower digits.
  PQI_DEVICE static uint32_t scan(Block& block, uint32_t* counts, uint32_t* starts) {
    uint32_t sum = 0;
    for (int w = 0; w < warps; ++w) {
      const uint32_t here = counts[w * sort_digits + block.thread()];
      counts[w * sort_digits + block.thread()] = sum;
      sum += here;
    }
    uint32_t inclusive = sum;
    for (int delta = 1; delta < warp_size; delta *= 2) {
      const uint32_t other = block.broadcast(inclusive, block.lane() >= delta ? block.lane() - delta : block.lane());
      if (block.lane() >= delta) inclusive += other;
    }
    uint32_t* const of_warp = starts + sort_digits;
    if (block.lane() == warp_size - 1) of_warp[block.warp()] = inclusive;
    block.sync();
    uint32_t before = 0, total = 0;
    for (int w = 0; w < warps; ++w) {
      if (w < block.warp()) before += of_warp[w];
      total += of_warp[w];
    }
    starts[block.thread()] = before + inclusive - sum;
    block.sync();
    return total;
  }
};

}  // namespace pqi::cuda
