// Power sums of neighbouring groups, a tile of up to 16 at a time, on one thread.
#pragma once

#include "chunk_summer.hpp"

namespace pqi::cpu {

inline void put_lane(LaneSums& to, size_t lane, const PowerSum& sum) {
  to.value[lane] = sum.total.value();
  to.scale[lane] = sum.scale;
}

template <class T>
class RowSummer {
 public:
  RowSummer(const Groups& groups, const Kernels& kernels, const Plan& plan, Reader& reader)
      : groups_(groups),
        kernels_(kernels),
        plan_(plan),
        reader_(reader),
        summer_(kernels, plan),
        one_(plan.exponents.size()),
        sums_(plan.exponents.size()),
        in_place_(is_float_chunk(groups.dtype()) && groups.contiguous() && groups.aligned() &&
                  (groups.offsets() != nullptr || groups.widest() <= chunk_size)) {
    tile_.dtype = groups.dtype();
    for (size_t lane = 0; lane < lanes; ++lane) {
      tile_.live[lane] = nullptr;
      tile_.pivot[lane] = unknown_pivot;
      set_size(lane, groups.widest());
    }
  }

  // Sums the groups [begin, begin + count), count ≤ lanes.
  void sum(size_t begin, size_t count) {
    sizes_.count = count;
    const bool together = plan_.special != 0 && fill_tile(begin, count);
    if (together) {
      LaneSums* first[3] = {};
      for_each_special(plan_,
                       [&](size_t e, int kind) { first[kind] = first[kind] == nullptr ? &sums_[e] : first[kind]; });
      kernels_.special_rows(plan_.special, tile_, first);
      for_each_special(plan_, [&](size_t e, int kind) {
        if (&sums_[e] != first[kind]) sums_[e] = *first[kind];
      });
      for (size_t lane = 0; groups_.masked() && lane < count; ++lane)
        sizes_.d[lane] = double(kernels_.count_true(tile_.live[lane], tile_.size[lane]));
    }
    if (together && !plan_.has_general()) return;
    for (size_t lane = 0; lane < count; ++lane) sum_lane(begin + lane, lane, together);
  }

  // Of the groups summed last: their live entries, and their sums in the exponents' order.
  const LaneSizes& sizes() const { return sizes_; }
  const LaneSums* sums() const { return sums_.data(); }

 private:
  // Fills the tile with the groups if the kernel can read all of them where they lie.
  bool fill_tile(size_t begin, size_t count) {
    if (!in_place_) return false;
    tile_.count = count;
    groups_.locate(begin, count, tile_.row);
    if (groups_.masked()) groups_.locate_masks(begin, count, tile_.live);
    if (groups_.offsets() == nullptr) return true;
    for (size_t lane = 0; lane < count; ++lane) set_size(lane, groups_.size(begin + lane));
    return *std::max_element(tile_.size, tile_.size + count) <= chunk_size;
  }

  void set_size(size_t lane, size_t size) {
    tile_.size[lane] = size;
    sizes_.d[lane] = double(size);
  }

  void sum_lane(size_t group, size_t lane, bool together) {
    const size_t size = groups_.size(group);
    std::fill(one_.begin(), one_.end(), PowerSum{});
    if (together) {
      const FloatChunk chunk{tile_.row[lane], tile_.dtype, tile_.live[lane]};
      summer_.add_general(chunk, size, binade_of_first(chunk, size).value_or(0), one_.data());
    } else {
      reader_.select(group);
      sizes_.d[lane] = double(sum_group(size));
    }
    for (size_t e = 0; e < one_.size(); ++e)
      if (!together || power_kind(plan_.exponents[e]) == PowerKind::general) put_lane(sums_[e], lane, one_[e]);
  }

  // The group that the reader has selected, into `one_`. Returns how many elements live.
  uint64_t sum_group(size_t size) {
    if (size <= chunk_size) {
      const auto chunk = read_chunk<T>(reader_, 0, size);
      summer_.add(chunk, size, binade_of_first(chunk, size).value_or(0), one_.data());
      return reader_.count_live(0, size);
    }
    const int pivot = pivot_binade<T>(reader_, size).value_or(0);
    if (size <= block_size) return sum_block<T>(reader_, summer_, 0, size, pivot, one_.data());
    std::vector<PowerSum> block(one_.size());
    uint64_t live = 0;
    for (size_t begin = 0; begin < size; begin += block_size) {
      std::fill(block.begin(), block.end(), PowerSum{});
      live += sum_block<T>(reader_, summer_, begin, std::min(begin + block_size, size), pivot, block.data());
      for (size_t e = 0; e < one_.size(); ++e) one_[e].merge(block[e], plan_.exponents[e]);
    }
    return live;
  }

  const Groups& groups_;
  const Kernels& kernels_;
  const Plan& plan_;
  Reader& reader_;
  ChunkSummer summer_;
  std::vector<PowerSum> one_;   // one group's
  std::vector<LaneSums> sums_;  // lanes without a group hold what they held before, which the last steps compute with
  LaneSizes sizes_{};
  RowTile tile_;
  bool in_place_;  // whether the kernel can read groups, of segments those of at most a chunk, where they lie
};

}  // namespace pqi::cpu
