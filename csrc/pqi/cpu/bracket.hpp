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

// Keys at places that depend on the size alone, in runs of neighbours that share a cache line.
template <class K>
Buffer<K> sample_keys(const Groups& groups, size_t size, Reader& reader) {
  constexpr size_t run = 8;
  const auto rule = key_rule<K>(groups.dtype());
  const size_t runs = std::clamp(size / 1024, size_t(1024), size_t(65536)) / run;
  Buffer<K> keys;
  keys.reserve(runs * run);
  for (size_t i = 0; i < runs; ++i) {
    const size_t begin = size_t((unsigned __int128)(size - run) * (i * 2 + 1) / (2 * runs));
    size_t n = run;
    const K* bits = reader.read_live<K>(begin, n);
    for (size_t j = 0; j < n; ++j) keys.push_back(rule(bits[j]));
  }
  return keys;
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

// Keys that surround the k-th largest by 3.3 standard deviations of the sample's rank, which miss it once in a thousand
// times; the most frequent of them alone where the data is discrete, that is, where a few values fill so wide a bracket
// that counting their ties is cheaper.
template <class K>
Bracket<K> sample_bracket(const Groups& groups, size_t group, Reader& reader, uint64_t live, uint64_t k) {
  Buffer<K> keys = sample_keys<K>(groups, groups.size(group), reader);
  const double m = double(keys.size()), fraction = double(k) / double(live);
  const double rank = m * fraction, margin = 3.3 * std::sqrt(m * fraction * (1.0 - fraction)) + 2.0;
  auto end = keys.end();
  // Called for places in descending order: each selection leaves the larger keys for the next one.
  const auto at = [&](double place, K outside) {
    if (!(place >= 0.0) || !(place < m)) return outside;
    const auto found = keys.begin() + std::ptrdiff_t(place);
    if (found >= end) return *found;
    std::nth_element(keys.begin(), found, end, std::greater<K>());
    end = found;
    return *found;
  };
  const K low = at(rank + margin, K(0)), high = at(rank - margin, key_rule<K>(groups.dtype()).cap);
  const auto outside = std::partition(keys.begin(), keys.end(), [=](K key) { return low <= key && key <= high; });
  if (double(outside - keys.begin()) <= 2.0 * margin + m / 32.0) return {low, high};
  const K most = most_frequent(keys.begin(), outside);
  return {most, most, low, high};
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
