// The loops over groups that every measure shares.
#pragma once

#include <algorithm>
#include <numeric>

#include "parallel.hpp"
#include "source.hpp"

namespace pqi::cpu {

constexpr size_t blocks_of(size_t size) { return (size + block_size - 1) / block_size; }

// Live entries of each group.
std::vector<uint64_t> count_live(const Groups& groups);
// Live entries of one group, counted on all threads.
uint64_t count_live(const Groups& groups, size_t group);

// Whether the threads share the blocks of a group of this size: groups run side by side unless there are too few of
// them to keep the threads busy, or one segment may outweigh all others.
inline bool shares_blocks(const Groups& groups, size_t size) {
  return size > block_size && (groups.offsets() != nullptr || groups.count() < size_t(4 * num_threads()));
}

// Cuts groups into runs of neighbours with about equally many elements; whole tiles of `lanes` while they are short.
class Batches {
 public:
  explicit Batches(const Groups& groups);

  size_t count() const { return count_; }
  // The first group of a batch; of the batch past the last: the number of groups.
  size_t begin(size_t batch) const;

 private:
  static constexpr size_t elements = size_t(1) << 16;
  static constexpr size_t overhead = 16;  // a group costs as much as this many elements more

  const Groups& groups_;
  size_t groups_each_ = 0, count_ = 0;
};

// Calls wide(group) for the groups with is_wide(size), one after another, and narrow(first group, past the last,
// reader) for runs of the others on all threads, one batch a task.
template <class IsWide, class Wide, class Narrow>
void for_each_group(const Groups& groups, const Kernels& kernels, IsWide is_wide, Wide wide, Narrow narrow) {
  const bool some_wide = is_wide(groups.widest());
  const auto wide_at = [&](size_t g) { return some_wide && (groups.offsets() == nullptr || is_wide(groups.size(g))); };
  if (!some_wide || groups.offsets() != nullptr) {
    const Batches batches(groups);
    parallel_for(batches.count(), num_threads(), [&](size_t batch, int) {
      Reader reader(groups, kernels);
      const size_t end = batches.begin(batch + 1);
      for (size_t g = batches.begin(batch); g < end; ++g) {
        const size_t begin = g;
        if (!some_wide) g = end;  // none to look for, row by row
        while (g < end && !wide_at(g)) ++g;
        if (begin < g) narrow(begin, g, reader);
      }
    });
  }
  for (size_t g = 0; some_wide && g < groups.count(); ++g)
    if (wide_at(g)) wide(g);
}

// Calls body(first group, past the last, reader) for batches of groups on all threads.
template <class F>
void for_each_group(const Groups& groups, const Kernels& kernels, F body) {
  for_each_group(groups, kernels, [](size_t) { return false; }, [](size_t) {}, body);
}

// Cuts the groups [begin, end) into tiles of up to `lanes` groups no larger than `widest`, segments of similar sizes
// together: calls tile(groups of the tile, how many, the largest size), and alone(group) where less than a quarter of a
// tile would be filled.
template <class Tile, class Alone>
void for_each_tile(const Groups& groups, size_t begin, size_t end, size_t widest, Tile tile, Alone alone) {
  std::vector<size_t> order(end - begin);
  std::iota(order.begin(), order.end(), begin);
  const auto shorter = [&](size_t a, size_t b) { return groups.size(a) < groups.size(b); };
  if (groups.offsets() != nullptr && !std::is_sorted(order.begin(), order.end(), shorter))
    std::sort(order.begin(), order.end(), shorter);
  for (size_t i = 0; i < order.size(); i += lanes) {
    const size_t count = std::min(order.size() - i, size_t(lanes)), width = groups.size(order[i + count - 1]);
    size_t filled = 0;
    for (size_t lane = 0; lane < count; ++lane) filled += groups.size(order[i + lane]);
    if (filled > 0 && width <= widest && 4 * filled >= lanes * width) {
      tile(&order[i], count, width);
    } else {
      for (size_t lane = 0; lane < count; ++lane) alone(order[i + lane]);
    }
  }
}

// Calls f with a value of the unsigned type that holds the groups' keys.
template <class F>
void with_key_type(const Groups& groups, F f) {
  switch (groups.key_stream()) {
    case Stream::bits32:
      return f(uint32_t{});
    case Stream::bits64:
      return f(uint64_t{});
    default:
      return f(uint16_t{});
  }
}

}  // namespace pqi::cpu
