// Keys of a group distributed over the values of their upper bits.
#pragma once

#include <utility>

#include "group_loop.hpp"
#include "isa.hpp"
#include "read_ahead.hpp"

namespace pqi::cpu {

// The magnitudes' bits of a group's elements, whatever their form in memory; 64-bit integers as float64. They order
// magnitudes as keys do, but NaNs lie anywhere above infinity.
template <class K>
class KeyReader {
 public:
  KeyReader(const Groups& groups, Reader& reader)
      : reader_(reader),
        as_double_(sizeof(K) == 8 && groups.dtype() != DType::f64),
        dtype_(as_double_ ? DType::f64 : groups.dtype()),
        mask_(key_rule<K>(dtype_).mask) {}

  DType dtype() const { return dtype_; }

  // Calls f(key) for the live elements of [begin, end) in order.
  template <class F>
  void for_each(size_t begin, size_t end, F f) {
    constexpr size_t step = 64 / sizeof(K);
    for (; begin < end; begin += chunk_size) {
      size_t n = std::min(chunk_size, end - begin), i = 0;
      const K* bits = read(begin, n);
      for (; i + step <= n; i += step) {
        read_ahead(bits + i);
        for (size_t j = i; j < i + step; ++j) f(K(bits[j] & mask_));
      }
      for (; i < n; ++i) f(K(bits[i] & mask_));
    }
  }

 private:
  const K* read(size_t begin, size_t& n) {
    if constexpr (sizeof(K) == 8) {
      if (as_double_) return reinterpret_cast<const K*>(reader_.read_live<double>(begin, n));
    }
    return reader_.read_live<K>(begin, n);
  }

  Reader& reader_;
  const bool as_double_;
  const DType dtype_;
  const K mask_;
};

// Distributes keys over the values of their upper bits; segment s of the group is read by task s both times.
template <class K, class Stored, int low_bits>
class Partition {
 public:
  static constexpr size_t buckets = size_t(1) << 16;

  Partition(const Groups& groups, size_t group)
      : elements_(groups.size(group)), tasks_(size_t(threads_for(blocks_of(elements_)))), counts_(tasks_) {
    std::vector<Reader> readers;
    for (size_t t = 0; t < tasks_; ++t) readers.emplace_back(groups, kernels()).select(group);
    dtype_ = KeyReader<K>(groups, readers[0]).dtype();
    const auto for_each_key = [&](size_t task, auto f) {
      KeyReader<K>(groups, readers[task]).for_each(segment(task), segment(task + 1), f);
    };
    parallel_for(tasks_, int(tasks_), [&](size_t task, int) {
      counts_[task].assign(buckets, 0);
      size_t* count = counts_[task].data();
      for_each_key(task, [=](K key) { ++count[key >> low_bits]; });
    });
    turn_into_places();
    if (!finite()) return;
    values_.resize(size());
    parallel_for(tasks_, int(tasks_), [&](size_t task, int) {
      size_t* place = counts_[task].data();
      Stored* values = values_.data();
      // Keys that another thread of the caller's changed since they were counted must not be written past the end.
      // Every bucket is a stream of its own, more than the hardware follows: whoever begins a line asks for the next
      // one.
      constexpr size_t line = 64 / sizeof(Stored);
      for_each_key(task, [=, end = size()](K key) {
        const size_t at = place[key >> low_bits];
        if (at < end) values[at] = Stored(key);
        place[key >> low_bits] = at + 1;
        if (at % line == 0) __builtin_prefetch(values + at + line);
      });
    });
  }

  DType dtype() const { return dtype_; }
  size_t size() const { return begin_[buckets]; }
  size_t begin(size_t bucket) const { return begin_[bucket]; }
  size_t count(size_t bucket) const { return begin_[bucket + 1] - begin_[bucket]; }
  Stored* values(size_t bucket) { return values_.data() + begin_[bucket]; }

  // Infinities and NaN fill the buckets from that of infinity's key on.
  bool finite() const {
    if (!is_floating(dtype_)) return true;
    const uint64_t infinite = dtype_ == DType::f32 ? 0x7f800000ull : 0x7ff0000000000000ull;
    return begin_[infinite >> low_bits] == size();
  }

 private:
  size_t segment(size_t task) const { return std::min(blocks_of(elements_) * task / tasks_ * block_size, elements_); }

  void turn_into_places() {
    begin_.resize(buckets + 1);
    size_t place = 0;
    for (size_t bucket = 0; bucket < buckets; ++bucket) {
      begin_[bucket] = place;
      for (auto& counts : counts_) place += std::exchange(counts[bucket], place);
    }
    begin_[buckets] = place;
  }

  size_t elements_, tasks_;
  DType dtype_ = DType::f64;
  std::vector<Buffer<size_t>> counts_;
  Buffer<size_t> begin_;
  Buffer<Stored> values_;
};

}  // namespace pqi::cpu
