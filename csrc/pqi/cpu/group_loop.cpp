#include "group_loop.hpp"

#include "columns.hpp"
#include "isa.hpp"

namespace pqi::cpu {

Batches::Batches(const Groups& groups) : groups_(groups) {
  if (const Offsets* offsets = groups.offsets()) {
    count_ = (size_t(offsets->back() - offsets->front()) + overhead * groups.count() + elements - 1) / elements;
    return;
  }
  const size_t few = elements / (groups.widest() + 1) + 1;
  groups_each_ = groups.widest() > chunk_size ? few : (few + lanes - 1) / lanes * lanes;
  count_ = (groups.count() + groups_each_ - 1) / groups_each_;
}

size_t Batches::begin(size_t batch) const {
  if (batch == count_) return groups_.count();
  if (groups_.offsets() == nullptr) return batch * groups_each_;
  // The first group that has this many batches' worth of elements before it.
  size_t low = 0, high = groups_.count();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const bool enough = groups_.first(middle) - groups_.first(0) + overhead * middle >= batch * elements;
    (enough ? high : low) = enough ? middle : middle + 1;
  }
  return low;
}

uint64_t count_live(const Groups& groups, size_t group) {
  const size_t size = groups.size(group), blocks = blocks_of(size);
  if (!groups.masked()) return size;
  std::vector<uint64_t> partial(blocks);
  parallel_for(blocks, num_threads(), [&](size_t block, int) {
    Reader reader(groups, kernels());
    partial[block] = reader.select(group).count_live(block * block_size, std::min((block + 1) * block_size, size));
  });
  return std::accumulate(partial.begin(), partial.end(), uint64_t(0));
}

std::vector<uint64_t> count_live(const Groups& groups) {
  std::vector<uint64_t> live(groups.count());
  const auto count = [&](const Groups& slab, size_t first) {
    for_each_group(
        slab, kernels(), [&](size_t size) { return shares_blocks(slab, size); },
        [&](size_t g) { live[first + g] = count_live(slab, g); },
        [&](size_t begin, size_t end, Reader& reader) {
          for (size_t g = begin; g < end; ++g) live[first + g] = reader.select(g).count_live(0, slab.size(g));
        });
  };
  if (!groups.masked() || groups.count() < fewest_columns) {
    count(groups, 0);
    return live;
  }
  Slabs slabs(groups, nullptr);
  if (slabs.most() == 0) {
    count(groups, 0);
    return live;
  }
  for (size_t first = 0; first < groups.count(); first += slabs.most())
    count(slabs.load_live(first, std::min(slabs.most(), groups.count() - first)), first);
  return live;
}

}  // namespace pqi::cpu
