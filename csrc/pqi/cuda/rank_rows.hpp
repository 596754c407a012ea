// The Gini index of rows: a row is sorted by a bitonic network in shared memory, by a warp or, if long, by a block, and
// its ranked sums are added in double-double, which holds them exactly (see ../gini.hpp).
#pragma once

#include "../gini.hpp"
#include "source.hpp"

namespace pqi::cuda {

template <class T, class K>
struct RankRows {
  static constexpr int threads = 128;
  static constexpr uint64_t widest = 4096, widest_of_warp = 512;

  Source source;
  uint64_t width;  // a row's, up to a power of two
  int team;        // threads to a row
  double* out;

  static void launch(const Queue& queue, const Groups& groups, double* out) {
    uint64_t width = warp_size;
    while (width < groups.size()) width *= 2;
    const int team = width <= widest_of_warp ? warp_size : threads;
    const uint64_t rows = uint64_t(threads / team);
    queue.launch((groups.count() + rows - 1) / rows, RankRows{groups.source(), width, team, out},
                 rows * width * sizeof(K) + threads / warp_size * 2 * sizeof(DoubleDouble));
  }

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t row = block.index() * uint64_t(threads / team) + uint64_t(block.thread() / team);
    if (row >= source.count) return;  // all of the team
    const int me = block.thread() % team;
    K* const keys = block.shared<K>(size_t(block.thread() / team) * width * sizeof(K));
    const uint64_t live = load(block, row, me, keys);
    sort(block, me, keys);
    DoubleDouble ranked, sum;
    add_stretch(me, keys, double(live), ranked, sum);
    reduce(block, me, ranked, sum);
    if (me != 0) return;
    const K largest = keys[width - 1];
    out[row] = double(bits_as<T>(largest)) < infinity ? gini_quotient(ranked, sum, double(live)) : __builtin_nan("");
  }

 private:
  PQI_DEVICE void sync(Block& block) const {
    if (team == warp_size) {
      block.sync_lanes();
    } else {
      block.sync();
    }
  }

  PQI_DEVICE uint64_t sum_of_team(Block& block, int me, uint64_t value) const {
    for (int mask = warp_size / 2; mask > 0; mask /= 2) value += block.shuffle_xor(value, mask);
    if (team == warp_size) return value;
    auto* const parts = block.shared<uint64_t>(tail(block));
    if (me % warp_size == 0) parts[me / warp_size] = value;
    block.sync();
    value = 0;
    for (int w = 0; w < threads / warp_size; ++w) value += parts[w];
    block.sync();
    return value;
  }

  // Behind the keys.
  PQI_DEVICE size_t tail(Block&) const { return size_t(threads / team) * width * sizeof(K); }

  // Dead and missing elements are zeros, which come first and add nothing. Returns the live ones.
  PQI_DEVICE uint64_t load(Block& block, uint64_t row, int me, K* keys) const {
    Cursor cursor(source, row);
    uint64_t live = 0;
    for (uint64_t i = uint64_t(me); i < width; i += uint64_t(team)) {
      const bool alive = i < source.size && cursor.live(i);
      keys[i] = alive ? bits_as<K>(magnitude(cursor.number<T>(i))) : K(0);
      live += alive;
    }
    sync(block);
    return sum_of_team(block, me, live);
  }

  PQI_DEVICE void sort(Block& block, int me, K* keys) const {
    for (uint64_t size = 2; size <= width; size *= 2) {
      for (uint64_t step = size / 2; step > 0; step /= 2) {
        for (uint64_t t = uint64_t(me); t < width / 2; t += uint64_t(team)) {
          const uint64_t i = (t & ~(step - 1)) << 1 | (t & (step - 1));
          const K a = keys[i], b = keys[i + step];
          if (((i & size) == 0) == (a > b)) {
            keys[i] = b;
            keys[i + step] = a;
          }
        }
        sync(block);
      }
    }
  }

  PQI_DEVICE void add_stretch(int me, const K* keys, double live, DoubleDouble& ranked, DoubleDouble& sum) const {
    const K largest = keys[width - 1];
    const double factor =
        sizeof(T) == 4 ? 1.0 : exact_power_of_two(-scale_of(0.0, binade(double(bits_as<T>(largest)))));
    const uint64_t share = width / uint64_t(team), begin = uint64_t(me) * share;
    for (uint64_t i = begin; i < begin + share; ++i) {
      const double value = double(bits_as<T>(keys[i])) * factor;
      const double weight = 2.0 * (double(i) + 1.0 - double(width)) - 1.0 + live;
      sum.add(value);
      // The weight has few bits, so its products with the halves of a double are exact.
      const double upper = bits_as<double>(bits_as<uint64_t>(value) & 0xfffffffff8000000ull);
      ranked.add(weight * upper);
      if (sizeof(T) == 8) ranked.add(weight * (value - upper));
    }
  }

  PQI_DEVICE static DoubleDouble below(Block& block, const DoubleDouble& x, int delta) {
    return {block.shuffle_down(x.hi, delta), block.shuffle_down(x.lo, delta)};
  }

  // The sums of the team, on its first thread.
  PQI_DEVICE void reduce(Block& block, int me, DoubleDouble& ranked, DoubleDouble& sum) const {
    for (int delta = warp_size / 2; delta > 0; delta /= 2) {
      ranked.add(below(block, ranked, delta));
      sum.add(below(block, sum, delta));
    }
    if (team == warp_size) return;
    auto* const parts = block.shared<DoubleDouble>(tail(block));
    if (me % warp_size == 0) {
      parts[me / warp_size * 2] = ranked;
      parts[me / warp_size * 2 + 1] = sum;
    }
    block.sync();
    for (int w = 1; me == 0 && w < threads / warp_size; ++w) {
      ranked.add(parts[w * 2]);
      sum.add(parts[w * 2 + 1]);
    }
  }
};

}  // namespace pqi::cuda
