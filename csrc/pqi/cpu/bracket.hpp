// Where the k-th largest key of a group lies: exactly, or between two keys that a sample suggests.
#pragma once

#include <algorithm>
#include <functional>

#include "../radix_select.hpp"
#include "group_loop.hpp"

namespace pqi::cpu {

// All keys from low to high: `reach_low` to `reach_high` are what the sample suggests where one value was picked of it.
template <class K>
struct Bracket {
  K low, high;
  K reach_low = low, reach_high = high;

  bool is_exact() const { return low == high; }
  bool empty() const { return low > high; }
  // What lies within reach over or under the one value; empty if nothing does.
  Bracket over() const { return high < reach_high ? Bracket{K(high + 1), reach_high} : Bracket{1, 0}; }
  Bracket under() const { return reach_low < low ? Bracket{reach_low, K(low - 1)} : Bracket{1, 0}; }
};

template <class K>
Bracket<K> exact(K key) {
  return {key, key};
}

// Calls f(keys of a run, how many) for runs [from, to) of a sample of `runs`, whose places depend on the size alone:
// runs of `run` neighbours, which share cache lines.
template <class K, class F>
void for_each_run(size_t size, size_t run, size_t runs, size_t from, size_t to, Reader& reader, F f) {
  for (size_t i = from; i < to; ++i) {
    const size_t begin = size_t((unsigned __int128)(size - run) * (i * 2 + 1) / (2 * runs));
    size_t n = run;
    const K* bits = reader.read_live<K>(begin, n);
    f(bits, n);
  }
}

// The key that occurs most often in a range, which is sorted for it.
template <class Iterator>
auto most_frequent(Iterator begin, Iterator end) {
  std::sort(begin, end);
  auto most = *begin;
  for (std::ptrdiff_t most_often = 0; begin != end;) {
    const auto next = std::upper_bound(begin, end, *begin);
    if (next - begin > most_often) {
      most_often = next - begin;
      most = *begin;
    }
    begin = next;
  }
  return most;
}

// Of a sample of `size` keys those inside a bracket, and how many lie above it. The number above the k-th largest key
// has this standard deviation.
template <class K>
struct Sample {
  Bracket<K> within;
  Buffer<K> keys;
  double size, above, deviation;
};

// Keys that surround the k-th largest, `fraction` of all, by 3.3 standard deviations of the sample's rank, which miss
// it once in a thousand times; the most frequent of them alone where the data is discrete, that is, where a few values
// fill so wide a bracket that counting their ties is cheaper.
template <class K>
Bracket<K> bracket_of(Sample<K>& sample, double fraction) {
  Buffer<K>& keys = sample.keys;
  const double rank = sample.size * fraction - sample.above, margin = 3.3 * sample.deviation + 2.0;
  auto end = keys.end();
  // Called for places in descending order: each selection leaves the larger keys for the next one.
  const auto at = [&](double place, K outside) {
    if (!(place >= 0.0) || !(place < double(keys.size()))) return outside;
    const auto found = keys.begin() + std::ptrdiff_t(place);
    if (found >= end) return *found;
    std::nth_element(keys.begin(), found, end, std::greater<K>());
    end = found;
    return *found;
  };
  const K low = at(rank + margin, sample.within.low), high = at(rank - margin, sample.within.high);
  const auto outside = std::partition(keys.begin(), keys.end(), [=](K key) { return low <= key && key <= high; });
  if (double(outside - keys.begin()) <= 2.0 * margin + sample.size / 32.0 || outside == keys.begin())
    return {low, high};
  const K most = most_frequent(keys.begin(), outside);
  return {most, most, low, high};
}

// A thousandth of the keys, but no more than can be selected from in no time.
template <class K>
Sample<K> first_sample(const Groups& groups, size_t size, Reader& reader, double fraction) {
  constexpr size_t run = 8;
  const auto rule = key_rule<K>(groups.dtype());
  const size_t runs = std::clamp(size / 1024, size_t(1024), size_t(16384)) / run;
  Sample<K> sample{{K(0), rule.cap}, {}, 0, 0, 0};
  sample.keys.reserve(runs * run);
  for_each_run<K>(size, run, runs, 0, runs, reader, [&](const K* bits, size_t n) {
    for (size_t j = 0; j < n; ++j) sample.keys.push_back(rule(bits[j]));
  });
  sample.size = double(sample.keys.size());
  sample.deviation = std::sqrt(sample.size * fraction * (1.0 - fraction));
  return sample;
}

// A larger sample, a sixty-fourth of the keys, of which those inside a bracket matter alone. How far runs differ tells
// how far neighbours are alike, which makes ranks less certain.
template <class K>
Sample<K> second_sample(const Groups& groups, size_t size, std::vector<Reader>& readers, Bracket<K> within) {
  constexpr size_t run = 32, tasks = 64;
  const auto rule = key_rule<K>(groups.dtype());
  // Two bytes are a bracket of few codes soon.
  const size_t runs = std::min(size / (sizeof(K) == 2 ? 256 : 64), size_t(1) << 20) / run;
  const K middle = K(within.low + (within.high - within.low) / 2);
  struct Found {
    Buffer<K> keys;
    uint64_t live = 0, above = 0, over_middle = 0, squares = 0;
  };
  std::vector<Found> found(readers.size());
  parallel_for(tasks, int(readers.size()), [&](size_t task, int thread) {
    Found& mine = found[size_t(thread)];
    Found sums;
    const auto look = [&](const K* bits, size_t n) {
      uint64_t over = 0;
      for (size_t j = 0; j < n; ++j) {
        const K key = rule(bits[j]);
        over += key > middle;
        sums.above += key > within.high;
        if (K(key - within.low) <= K(within.high - within.low)) mine.keys.push_back(key);
      }
      sums.live += n;
      sums.over_middle += over;
      sums.squares += over * over;
    };
    for_each_run<K>(size, run, runs, runs * task / tasks, runs * (task + 1) / tasks, readers[size_t(thread)], look);
    mine.live += sums.live;
    mine.above += sums.above;
    mine.over_middle += sums.over_middle;
    mine.squares += sums.squares;
  });
  for (size_t t = 1; t < found.size(); ++t) {
    found[0].keys.insert(found[0].keys.end(), found[t].keys.begin(), found[t].keys.end());
    found[0].live += found[t].live;
    found[0].above += found[t].above;
    found[0].over_middle += found[t].over_middle;
    found[0].squares += found[t].squares;
  }
  const double over = double(found[0].over_middle), live = double(found[0].live);
  const double alike = double(found[0].squares) - over * over / double(runs), independent = over * (1.0 - over / live);
  return {within, std::move(found[0].keys), live, double(found[0].above), std::sqrt(std::max(alike, independent))};
}

// Where the k-th largest key of a group probably lies; `readers` has one for each thread.
template <class K>
Bracket<K> sample_bracket(const Groups& groups, size_t group, std::vector<Reader>& readers, uint64_t live, uint64_t k) {
  constexpr size_t sampled_twice = size_t(1) << 17;
  const size_t size = groups.size(group);
  const double fraction = double(k) / double(live);
  Sample<K> sample = first_sample<K>(groups, size, readers[0], fraction);
  const Bracket<K> bracket = bracket_of(sample, fraction);
  if (size < sampled_twice || bracket.is_exact()) return bracket;
  sample = second_sample<K>(groups, size, readers, bracket);
  return bracket_of(sample, fraction);
}

// The k-th largest key by histograms of its digits, one read for each; `readers` has one for each thread.
template <class K>
K radix_select(const Groups& groups, size_t group, std::vector<Reader>& readers, uint64_t k) {
  constexpr int digit_bits = 11, key_bits = int(sizeof(K)) * 8;
  const auto rule = key_rule<K>(groups.dtype());
  const size_t size = groups.size(group), blocks = blocks_of(size);
  SelectState state{0, k};
  for (int done = 0; done < key_bits;) {
    const int width = std::min(digit_bits, key_bits - done), shift = key_bits - done - width;
    std::vector<Buffer<uint64_t>> counts(readers.size(), Buffer<uint64_t>(size_t(1) << width, 0));
    parallel_for(blocks, int(readers.size()), [&](size_t block, int thread) {
      uint64_t* count = counts[size_t(thread)].data();
      const uint64_t digit_mask = (uint64_t(1) << width) - 1;
      const size_t end = std::min((block + 1) * block_size, size);
      for (size_t begin = block * block_size; begin < end; begin += chunk_size) {
        size_t n = std::min(chunk_size, end - begin);
        const K* bits = readers[size_t(thread)].read_live<K>(begin, n);
        for (size_t i = 0; i < n; ++i) {
          const uint64_t key = rule(bits[i]);
          if (done == 0 || key >> (shift + width) == state.prefix) ++count[key >> shift & digit_mask];
        }
      }
    });
    for (size_t t = 1; t < counts.size(); ++t)
      for (size_t i = 0; i < counts[0].size(); ++i) counts[0][i] += counts[t][i];
    state.descend(counts[0].data(), counts[0].size(), width);
    done += width;
  }
  return K(state.prefix);
}

}  // namespace pqi::cpu
