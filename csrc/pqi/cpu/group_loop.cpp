#include "group_loop.hpp"

#include <algorithm>

#include "isa.hpp"

namespace pqi::cpu {

std::vector<uint64_t> count_live(const Groups& groups) {
  std::vector<uint64_t> live(groups.count(), groups.size());
  if (!groups.masked()) return live;
  if (groups.count() != 1) {
    for_each_group(groups, kernels(), [&](size_t begin, size_t end, Reader& reader) {
      for (size_t g = begin; g < end; ++g) {
        reader.select(g);
        live[g] = reader.count_live(0, groups.size());
      }
    });
    return live;
  }
  const size_t blocks = (groups.size() + block_size - 1) / block_size;
  std::vector<uint64_t> partial(blocks);
  parallel_for(blocks, num_threads(), [&](size_t block, int) {
    Reader reader(groups, kernels());
    partial[block] = reader.count_live(block * block_size, std::min((block + 1) * block_size, groups.size()));
  });
  live.assign(1, 0);
  for (uint64_t part : partial) live[0] += part;
  return live;
}

}  // namespace pqi::cpu
