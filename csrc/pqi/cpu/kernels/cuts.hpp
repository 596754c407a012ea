// Top-k of many rows at once, a lane each. Short rows are sorted in the columns of a tile. Of longer ones the keys
// above a guess of its own for every lane are counted at two operations a row of the tile, and a few guesses find where
// each column is to be cut. Included by kernels.cpp alone.
#pragma once

#include <type_traits>

#include "../kernels.hpp"
#include "row_tile.hpp"

namespace pqi::cpu {
namespace {

constexpr int cut_bytes = register_bytes < 32 ? register_bytes : 32;

// Keys as signed numbers in the same order: comparisons that every instruction set has.
template <class Signed>
constexpr Signed lowest_order = Signed(std::make_unsigned_t<Signed>(1) << (sizeof(Signed) * 8 - 1));

template <class K, class Signed>
void to_order(const K* bits, size_t n, KeyRule<K> rule, Signed* out) {
  using Wide = std::make_unsigned_t<Signed>;
#pragma omp simd
  for (size_t i = 0; i < n; ++i) out[i] = Signed(Wide(rule(bits[i])) ^ Wide(lowest_order<Signed>));
}

// The keys of OrderedRows.
template <class Signed>
struct OrderedKeys {
  Signed mask, cap, lowest;

  template <class Keys>
  inline __attribute__((always_inline)) Keys operator()(Keys bits) const {
    const Keys key = bits & mask, most = Keys{} + cap;
    return key < most ? key : most;
  }
};

// Where the columns of a tile are cut. Every key from `low` on, `from` of them, belongs to the top k unless from > k,
// when low = high and k − above of the keys equal to it do.
template <class Signed>
struct CutSearch {
  using Real = std::conditional_t<sizeof(Signed) == 4, float, double>;
  using Wide = std::make_unsigned_t<Signed>;
  typedef Signed Keys __attribute__((vector_size(cut_bytes)));
  typedef Wide Bits __attribute__((vector_size(cut_bytes)));
  typedef Real Reals __attribute__((vector_size(cut_bytes)));
  static constexpr int size = cut_bytes / int(sizeof(Signed)), registers = lanes / size;
  static constexpr Real most = sizeof(Signed) == 4 ? Real(0x1.fffffep30) : Real(0x1.fffffffffffffp62);

  Signed lowest, cap;
  Keys k[registers], low[registers], high[registers], from[registers], above[registers];
  Keys raised[registers], lowered[registers];  // whether a guess was at or below the cut, or above it: all bits or none
  Keys guess[registers], count[registers], over[registers], under[registers];
  Reals stride[registers];  // how far neighbouring ranks lie apart, halved

  static constexpr int sign_bit = int(sizeof(Signed)) * 8 - 1;

  // Without comparisons, whose results take a detour through mask registers where there are any.
  static inline __attribute__((always_inline)) Keys choose(Keys which, Keys a, Keys b) {
    return (a & which) | (b & ~which);
  }
  static inline __attribute__((always_inline)) Keys larger(Keys a, Keys b) { return a > b ? a : b; }

  static inline __attribute__((always_inline)) Keys smaller(Keys a, Keys b) { return a < b ? a : b; }
  static inline __attribute__((always_inline)) Keys load(const Signed* row, int r) {
    return load_register<Keys>(row + r * size);
  }

  static bool some(Keys x) {
    uint64_t words[sizeof x / 8], any = 0;
    __builtin_memcpy(words, &x, sizeof x);
    for (uint64_t word : words) any |= word;
    return any != 0;
  }

  void start(size_t width, const Signed* wanted, const OrderedKeys<Signed>& keys, const CutHint<Signed>& hint) {
    lowest = keys.lowest;
    cap = keys.cap;
    for (int r = 0; r < registers; ++r) {
      k[r] = load(wanted, r);
      low[r] = Keys{} + lowest;
      high[r] = Keys{} + cap;
      from[r] = Keys{} + Signed(width);
      above[r] = raised[r] = lowered[r] = Keys{};
      guess[r] = Keys{} + (hint.known ? hint.guess : lowest);
      stride[r] = Reals{} + Real(hint.stride);
    }
  }

  // How many keys of each column exceed its guess.
  void count_above(const Signed* tile, size_t width) {
    Keys than[registers], above_it[registers] = {};
    for (int r = 0; r < registers; ++r) than[r] = guess[r];
#pragma GCC unroll 4
    for (size_t i = 0; i < width; ++i, tile += lanes)
      for (int r = 0; r < registers; ++r) above_it[r] -= Keys(load(tile, r) > than[r]);
    for (int r = 0; r < registers; ++r) {
      count[r] = above_it[r];
      over[r] = Keys(Bits(guess[r]) + 1);
      under[r] = guess[r];
    }
  }

  // As count_above; also the smallest key above the guess and the largest that is not.
  void count_and_snap(const Signed* tile, size_t width) {
    Keys than[registers], above_it[registers] = {}, up[registers], down[registers];
    for (int r = 0; r < registers; ++r) {
      than[r] = guess[r];
      down[r] = Keys{} + lowest;
      up[r] = Keys{} + cap;
    }
    for (size_t i = 0; i < width; ++i, tile += lanes)
      for (int r = 0; r < registers; ++r) {
        const Keys row = load(tile, r), exceeds = row > than[r];
        above_it[r] -= exceeds;
        up[r] = smaller(up[r], exceeds ? row : up[r]);
        down[r] = larger(down[r], exceeds ? down[r] : row);
      }
    for (int r = 0; r < registers; ++r) {
      count[r] = above_it[r];
      over[r] = up[r];
      under[r] = down[r];
    }
  }

  void finish(const Signed* tile, size_t width, Cuts<Signed>* out) const {
    __builtin_memcpy(out->low, low, sizeof low);
    Keys tied = {};
    for (int r = 0; r < registers; ++r) tied |= from[r] != k[r];
    for (int j = 0; j < lanes; ++j) out->end[j] = uint32_t(width);
    if (some(tied)) find_ends(tile, width, out->end);
  }

  // The next tile starts from the mean of these cuts; columns without one leave it alone.
  void teach(CutHint<Signed>* hint) const {
    double cuts = 0, guesses = 0, keys = 0, distance = 0;
    for (int r = 0; r < registers; ++r)
      for (int j = 0; j < size; ++j) {
        if (low[r][j] == lowest) continue;
        cuts += 1;
        guesses += double(low[r][j]);
        if (high[r][j] == cap || low[r][j] == high[r][j]) continue;
        keys += double(from[r][j] - above[r][j]);
        distance += double(Wide(high[r][j]) - Wide(low[r][j])) + 1;
      }
    if (cuts > 0) {
      hint->guess = Signed(guesses / cuts);
      hint->known = true;
    }
    if (keys > 0) hint->stride = distance / keys / 2;
  }

  // Takes the counts of the guesses in; false once every column is cut. Columns that are stay so whatever comes in.
  bool learn() {
    Keys open = {};
    for (int r = 0; r < registers; ++r) {
      const Keys few = (count[r] - k[r]) >> sign_bit, raise = ~few;
      low[r] = choose(few, low[r], over[r]);
      from[r] = choose(few, from[r], count[r]);
      high[r] = choose(few, larger(under[r], low[r]), high[r]);
      above[r] = choose(few, count[r], above[r]);
      raised[r] |= raise;
      lowered[r] |= few;
      const Bits surplus = Bits(from[r] - k[r]), distance = Bits(high[r]) - Bits(low[r]);
      open |= Keys(surplus < distance ? surplus : distance);
    }
    return some(open);
  }

  // Where the cut would lie if keys were spread evenly between low and high; halfway at times, since they may not be.
  // While either is unknown, as far from the other as the missing rank suggests, and farther each time.
  void aim(bool halve) {
    for (int r = 0; r < registers; ++r) {
      const Keys both = raised[r] & lowered[r];
      // Distances are halved, so that they are signed.
      const Reals half = __builtin_convertvector(Keys((Bits(high[r]) - Bits(low[r])) >> 1), Reals);
      const Reals width = half < most ? half : Reals{} + most;
      const Reals below = __builtin_convertvector(from[r] - k[r], Reals) + Real(0.5);
      const Reals inside = __builtin_convertvector(from[r] - above[r], Reals) + Real(1);
      const Reals even = halve ? width * Real(0.5) : width * (below / inside);
      const Reals up = stride[r] * below, down = width - stride[r] * (inside - below);
      Reals step = Reals(choose(both, Keys(even), choose(raised[r], Keys(up), Keys(down))));
      stride[r] = Reals(choose(both, Keys(stride[r]), Keys(stride[r] * Real(3))));
      step = step < width ? step : width;
      step = step > Real(0) ? step : Reals{};
      const Keys last = larger(low[r], Keys(Bits(high[r]) - 1)),
                 to = Keys(Bits(low[r]) + 2 * Bits(__builtin_convertvector(step, Keys)));
      // Beyond the last, or so far that it wrapped.
      guess[r] = to < low[r] ? last : (to < last ? to : last);
    }
  }

  // Past the last keys that belong to the top k, where the cuts' lows are known.
  void find_ends_of(const Signed* tile, size_t width, Cuts<Signed>* cuts) {
    __builtin_memcpy(low, cuts->low, sizeof low);
    __builtin_memcpy(guess, cuts->low, sizeof guess);
    count_above(tile, width);
    __builtin_memcpy(above, count, sizeof above);
    find_ends(tile, width, cuts->end);
  }

  // Past the last of the keys equal to `low` that belong to the top k.
  void find_ends(const Signed* tile, size_t width, uint32_t* ends) const {
    Keys last[registers], left[registers];
    for (int r = 0; r < registers; ++r) {
      last[r] = Keys{};
      left[r] = k[r] - above[r];
    }
    for (size_t i = 0; i < width; ++i, tile += lanes)
      for (int r = 0; r < registers; ++r) {
        const Keys taken = (load(tile, r) == low[r]) & (left[r] > 0);
        left[r] += taken;
        last[r] = taken ? Keys{} + Signed(i + 1) : last[r];
      }
    Signed found[lanes];
    __builtin_memcpy(found, last, sizeof found);
    for (int j = 0; j < lanes; ++j) ends[j] = uint32_t(found[j]);
  }
};

template <class Signed>
using OrderedBlocks = RowBlocks<Signed, OrderedKeys<Signed>>;

template <class Signed>
void cut_by_search(const OrderedBlocks<Signed>& blocks, const OrderedKeys<Signed>& keys, size_t width, const Signed* k,
                   Signed* tile, CutHint<Signed>* hint, Cuts<Signed>* out) {
  constexpr int counted_steps = 12;  // repeated keys want the neighbours of a guess, others only its count
  const size_t height = tile_rows(width);
  load_columns(blocks, height, tile);
  CutSearch<Signed> search;
  search.start(height, k, keys, *hint);
  for (int step = 0;; ++step) {
    step < counted_steps ? search.count_above(tile, height) : search.count_and_snap(tile, height);
    if (!search.learn()) break;
    search.aim(step % 4 == 3 && step > 4);
  }
  search.finish(tile, height, out);
  search.teach(hint);
}

// Sorted columns show the k-th largest key, and whether the next one equals it.
template <class Signed>
void cut_by_sorting(const OrderedBlocks<Signed>& blocks, const OrderedKeys<Signed>& keys, size_t width, const Signed* k,
                    Signed* tile, Cuts<Signed>* out) {
  const size_t height = tile_rows(width);
  load_sorted_columns(blocks, height, tile);
  bool tied = false;
  for (int j = 0; j < lanes; ++j) {
    const Signed* const cut = tile + (height - size_t(k[j])) * lanes + j;
    out->low[j] = *cut;
    out->end[j] = uint32_t(width);
    tied |= size_t(k[j]) < width && cut[-lanes] == *cut;
  }
  if (!tied) return;
  load_columns(blocks, height, tile);
  CutSearch<Signed> search;
  search.start(height, k, keys, {});
  search.find_ends_of(tile, height, out);
}

template <class Signed>
void cut_rows(const OrderedRows<Signed>& rows, size_t width, const Signed* k, Signed* tile, CutHint<Signed>* hint,
              Cuts<Signed>* out) {
  constexpr size_t sorted = 64;  // the widest rows whose keys are sorted sooner than their cuts are searched for
  const OrderedKeys<Signed> keys{rows.mask, rows.cap, rows.lowest};
  const OrderedBlocks<Signed> blocks(rows.row, width, keys);
  if (width <= sorted) return cut_by_sorting(blocks, keys, width, k, tile, out);
  cut_by_search(blocks, keys, width, k, tile, hint, out);
}

template <class Signed>
void mark_rows(const OrderedRows<Signed>& rows, const size_t* size, const Cuts<Signed>& cuts, uint8_t* const* out) {
  for (int j = 0; j < lanes; ++j) {
    if (out[j] == nullptr) continue;
    const auto* const x = static_cast<const Signed*>(rows.row[j]);
    uint8_t* const mask = out[j];
    const size_t n = size[j], end = cuts.end[j] < n ? cuts.end[j] : n;
    const Signed cut = cuts.low[j];
    const auto key = [&](size_t i) {
      Signed bits;
      __builtin_memcpy(&bits, x + i, sizeof bits);
      bits &= rows.mask;
      return bits < rows.cap ? bits : rows.cap;
    };
#pragma omp simd
    for (size_t i = 0; i < end; ++i) mask[i] = key(i) >= cut;
#pragma omp simd
    for (size_t i = end; i < n; ++i) mask[i] = key(i) > cut;
  }
}

}  // namespace
}  // namespace pqi::cpu
