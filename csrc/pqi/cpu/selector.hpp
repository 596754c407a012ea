// Top-k of one large group.
//
// One read: a sample brackets the threshold, one pass writes the mask outside the bracket and stashes the candidates
// inside it, and the candidates decide the rest. Where the bracket misses or holds too much (discrete data), a radix
// select finds the threshold first and the pass runs again with a bracket of that one value, whose ties need counts
// only. The sample's positions depend on the size alone, and the result on nothing but the data.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <numeric>

#include "bracket.hpp"
#include "group_loop.hpp"
#include "isa.hpp"
#include "mask_writer.hpp"

namespace pqi::cpu {

template <class K>
struct Candidate {
  uint32_t place;  // within its block
  K key;
};

// What the pass found in one block; its candidates are a stretch of its thread's stash.
struct BlockCount {
  uint64_t above = 0, between = 0;
  int thread = 0;
  size_t first = 0, candidates = 0;
};

template <class K>
auto classify_of(const Kernels& table) {
  if constexpr (sizeof(K) == 2) return table.classify16;
  if constexpr (sizeof(K) == 4) return table.classify32;
  if constexpr (sizeof(K) == 8) return table.classify64;
}

// Selects in one group after another; `threads` share the blocks of each.
template <class K>
class Selector {
 public:
  Selector(const Groups& groups, const Groups* masks, int threads)
      : groups_(groups), table_(kernels()), rule_(key_rule<K>(groups.dtype())), threads_(threads) {
    for (int t = 0; t < threads; ++t) readers_.emplace_back(groups, table_);
    stashes_.resize(size_t(threads));
    if (masks != nullptr) writer_ = std::make_unique<MaskWriter>(*masks);
    buffers_.resize(size_t(threads) * chunk_size);
  }

  // Returns the threshold's key and writes the mask if there is one to write; 1 ≤ k.
  K select(size_t group, uint64_t live, uint64_t k) {
    start(group);
    Bracket<K> bracket = sample_bracket<K>(groups_, group, readers_, live, k);
    if (pass(bracket, k)) return resolve(bracket, k);
    // A value that fills the bracket and is not the threshold leaves it on one side of itself.
    if (bracket.is_exact()) {
      bracket = above_ >= k ? bracket.over() : bracket.under();
      if (!bracket.empty() && pass(bracket, k)) return resolve(bracket, k);
    }
    bracket = exact(radix_select<K>(groups_, group, readers_, k));
    pass(bracket, k);
    return resolve(bracket, k);
  }

  void write_all(size_t group, bool value) {
    start(group);
    for_each_chunk([&](size_t begin, size_t n, int thread, size_t) {
      const uint8_t* live = value ? readers_[size_t(thread)].live(begin, n) : nullptr;
      if (live == nullptr) return writer_->fill(begin, n, value);
      uint8_t* const out = &buffers_[size_t(thread) * chunk_size];
      for (size_t i = 0; i < n; ++i) out[i] = live[i] != 0;
      writer_->store(begin, n, out);
    });
  }

 private:
  void start(size_t group) {
    size_ = groups_.size(group);
    for (Reader& reader : readers_) reader.select(group);
    if (writer_) writer_->select(group);
  }

  size_t blocks() const { return blocks_of(size_); }

  // Calls f(begin, n, thread, block) for all chunks; the chunks of a block in order on one thread.
  template <class F>
  void for_each_chunk(F f) {
    parallel_for(blocks(), threads_, [&](size_t block, int thread) {
      const size_t end = std::min((block + 1) * block_size, size_);
      for (size_t begin = block * block_size; begin < end; begin += chunk_size)
        f(begin, std::min(chunk_size, end - begin), thread, block);
    });
  }

  // Writes the mask with 2 for keys inside the bracket and stashes those unless low = high. False if the k-th largest
  // lies outside, or if the stash would grow beyond an eighth of the elements.
  bool pass(Bracket<K> bracket, uint64_t k) {
    counts_.assign(blocks(), {});
    for (auto& stash : stashes_) stash.clear();
    const auto classify = classify_of<K>(table_);
    const bool stash = !bracket.is_exact();
    std::atomic<uint64_t> stashed{0};
    const uint64_t room = size_ / 8 + 1024;
    for_each_chunk([&](size_t begin, size_t n, int thread, size_t block) {
      if (stashed.load(std::memory_order_relaxed) > room) return;
      const K* bits = readers_[thread].template read_all<K>(begin, n);
      uint8_t* const direct = writer_ ? writer_->direct(begin, n) : nullptr;
      uint8_t* const out = direct != nullptr ? direct : &buffers_[size_t(thread) * chunk_size];
      uint64_t between = 0;
      uint64_t above = classify(bits, n, rule_, bracket.low, bracket.high, out, &between);
      if (groups_.masked()) {
        between = 0;
        above = table_.drop_dead(readers_[thread].live(begin, n), n, out, &between);
      }
      BlockCount& count = counts_[block];
      count.above += above;
      count.between += between;
      if (stash && between > 0) {
        auto& found = stashes_[size_t(thread)];
        if (count.candidates == 0) {
          count.thread = thread;
          count.first = found.size();
        }
        collect(bits, uint32_t(begin % block_size), n, out, between, found);
        count.candidates = found.size() - count.first;
        stashed.fetch_add(between, std::memory_order_relaxed);
      }
      if (writer_ && direct == nullptr) writer_->store(begin, n, out);
    });
    if (stashed.load() > room) return false;
    uint64_t above = 0, between = 0;
    for (const auto& count : counts_) {
      above += count.above;
      between += count.between;
    }
    above_ = above;
    return above < k && k <= above + between;
  }

  // Appends the `expected` keys marked 2, no more of them should the caller change the mask meanwhile. Which of a
  // hundred elements is one cannot be predicted, so the words that hold any are listed first, without a branch.
  void collect(const K* bits, uint32_t begin, size_t n, const uint8_t* out, size_t expected,
               Buffer<Candidate<K>>& to) const {
    const auto marked = [out](size_t at) {
      uint64_t word;
      std::memcpy(&word, out + at, 8);
      return word & 0x0202020202020202ull;
    };
    const size_t last = to.size() + expected, whole = n / 8 * 8;
    const auto add = [&](size_t i) {
      if (to.size() < last) to.push_back({begin + uint32_t(i), rule_(bits[i])});
    };
    uint16_t words[chunk_size / 8 + 1];
    size_t count = 0;
    for (size_t i = 0; i < whole; i += 8) {
      words[count] = uint16_t(i);
      count += marked(i) != 0;
    }
    if (last > to.capacity()) to.reserve(2 * last);
    for (size_t w = 0; w < count; ++w)
      for (uint64_t word = marked(words[w]); word != 0; word &= word - 1)
        add(words[w] + size_t(__builtin_ctzll(word)) / 8);
    for (size_t i = whole; i < n; ++i)
      if (out[i] == 2) add(i);
  }

  // Calls f(candidate, block, thread) for all candidates, those of a block in order on one thread.
  template <class F>
  void for_each_candidate(F f) {
    parallel_for(counts_.size(), threads_, [&](size_t block, int thread) {
      const BlockCount& count = counts_[block];
      const Candidate<K>* found = stashes_[size_t(count.thread)].data() + count.first;
      for (size_t i = 0; i < count.candidates; ++i) f(found[i], block, thread);
    });
  }

  // The key of rank `rank` among the candidates, whose number above it is taken off the rank. One pass over them finds
  // which of a thousand equal parts of the bracket it lies in, so that few are left to select from.
  K select_candidate(Bracket<K> bracket, uint64_t& rank) {
    constexpr int parts_bits = 10;
    int shift = 0;
    while ((uint64_t(bracket.high - bracket.low) >> shift) >> parts_bits != 0) ++shift;
    // Bounded because the caller may have changed a key since it was found inside the bracket.
    const auto part = [=](K key) {
      return std::min(uint64_t(K(key - bracket.low)) >> shift, (uint64_t(1) << parts_bits) - 1);
    };
    std::vector<std::vector<uint64_t>> parts(size_t(threads_), std::vector<uint64_t>(size_t(1) << parts_bits));
    for_each_candidate(
        [&](const Candidate<K>& candidate, size_t, int thread) { ++parts[size_t(thread)][part(candidate.key)]; });
    for (int t = 1; t < threads_; ++t)
      for (size_t i = 0; i < parts[0].size(); ++i) parts[0][i] += parts[size_t(t)][i];
    SelectState state{0, rank};
    state.descend(parts[0].data(), parts[0].size(), parts_bits);
    keys_.clear();
    for (const auto& stash : stashes_)
      for (const auto& candidate : stash)
        if (part(candidate.key) == state.prefix) keys_.push_back(candidate.key);
    // Fewer than were counted, should the caller have changed a mask since.
    if (keys_.empty()) return bracket.low;
    state.remaining = std::min(state.remaining, uint64_t(keys_.size()));
    const auto found = keys_.begin() + std::ptrdiff_t(state.remaining - 1);
    std::nth_element(keys_.begin(), found, keys_.end(), std::greater<K>());
    rank = state.remaining - uint64_t(std::count_if(keys_.begin(), found, [&](K key) { return key > *found; }));
    return *found;
  }

  // Decides the elements inside the bracket.
  K resolve(Bracket<K> bracket, uint64_t k) {
    K threshold = bracket.low;
    uint64_t ties = k - above_;
    if (!bracket.is_exact()) {
      threshold = select_candidate(bracket, ties);
    }
    if (!writer_) return threshold;
    const std::vector<uint64_t> ties_here = ties_by_block(bracket, threshold);
    std::vector<uint64_t> ties_before(counts_.size());
    std::exclusive_scan(ties_here.begin(), ties_here.end(), ties_before.begin(), uint64_t(0));
    parallel_for(counts_.size(), threads_, [&](size_t block, int thread) {
      const uint64_t left = ties > ties_before[block] ? ties - ties_before[block] : 0;
      if (bracket.is_exact()) {
        cut_ties(block, left, thread);
      } else {
        settle(block, threshold, left);
      }
    });
    return threshold;
  }

  std::vector<uint64_t> ties_by_block(Bracket<K> bracket, K threshold) {
    std::vector<uint64_t> ties(counts_.size());
    if (bracket.is_exact()) {
      std::transform(counts_.begin(), counts_.end(), ties.begin(), [](const BlockCount& c) { return c.between; });
    } else {
      for_each_candidate([&](const Candidate<K>& c, size_t block, int) { ties[block] += c.key == threshold; });
    }
    return ties;
  }

  void settle(size_t block, K threshold, uint64_t ties) const {
    const BlockCount& count = counts_[block];
    const size_t begin = block * block_size, n = std::min(block_size, size_ - begin);
    const Candidate<K>* found = stashes_[size_t(count.thread)].data() + count.first;
    uint8_t* const direct = writer_->direct(begin, n);
    for (size_t i = 0; i < count.candidates; ++i) {
      const bool tied = found[i].key == threshold, keep = found[i].key > threshold || (tied && ties > 0);
      ties -= tied && ties > 0;
      if (direct != nullptr) {
        direct[found[i].place] = keep;
      } else {
        writer_->set(begin + found[i].place, keep);
      }
    }
  }

  // The first `ties` of a block's 2s become 1, the rest 0.
  void cut_ties(size_t block, uint64_t ties, int thread) {
    if (counts_[block].between == 0) return;
    const size_t end = std::min((block + 1) * block_size, size_);
    for (size_t begin = block * block_size; begin < end; begin += chunk_size) {
      const size_t n = std::min(chunk_size, end - begin);
      uint8_t* const direct = writer_->direct(begin, n);
      uint8_t* out = direct;
      if (direct == nullptr) {
        out = &buffers_[size_t(thread) * chunk_size];
        writer_->load(begin, n, out);
      }
      ties -= table_.settle_ties(out, n, ties);
      if (direct == nullptr) writer_->store(begin, n, out);
    }
  }

  const Groups& groups_;
  const Kernels& table_;
  const KeyRule<K> rule_;
  const int threads_;
  size_t size_ = 0;  // of the group at hand
  std::vector<Reader> readers_;
  std::unique_ptr<MaskWriter> writer_;
  Buffer<uint8_t> buffers_;
  Buffer<K> keys_;
  std::vector<BlockCount> counts_;
  std::vector<Buffer<Candidate<K>>> stashes_;
  uint64_t above_ = 0;
};

}  // namespace pqi::cpu
