// Columns: groups whose elements lie far apart while neighbouring groups lie side by side, as those of a reduction over
// a leading axis do. Read one by one they would fetch a cache line once for every group in it. So slabs of neighbouring
// groups are copied into rows in the workspace, whole lines at a time, and measured there: the same elements in the
// same order, hence the same bits.
#pragma once

#include <algorithm>

#include "source.hpp"

namespace pqi::cpu {

// One array's groups as a matrix: reduced by kept dimensions, wherever its elements lie.
class Columns {
 public:
  Columns(const View& inner, const View& outer);

  // Whether neighbouring groups share cache lines that the elements of one group do not.
  bool interleaved() const;

  // An uninitialised row for each of `count` groups.
  View rows(size_t count, Buffer<char>& memory) const;
  // Fills rows with the groups from `first` on; or the groups with what the rows hold.
  void copy_slab(size_t first, const View& rows, bool gathering) const;

 private:
  View inner_, outer_;  // coalesced; `inner_.data` is where the first group begins
};

// Cuts groups into slabs.
class Slabs {
 public:
  // `masks` are the masks to be written, or null.
  Slabs(const Groups& groups, const Groups* masks);

  // Groups in a slab; 0 where the groups are best measured where they are.
  size_t most() const { return most_; }

  // The groups [first, first + count) as rows; they stay valid until the next call.
  Groups load(size_t first, size_t count);
  // The masks of the groups alone, as groups that they mask themselves.
  Groups load_live(size_t first, size_t count);
  // Rows for their masks to be written to, and the way back to the masks themselves.
  Groups mask_rows(size_t count);
  void store_masks(size_t first) const;

 private:
  const Groups& groups_;
  Columns data_, live_, masks_;
  size_t most_ = 0;
  Buffer<char> data_memory_, live_memory_, mask_memory_;
  View mask_rows_;
};

// Fewer neighbours are not worth a copy.
inline constexpr size_t fewest_columns = 4;

// Calls f(groups of a slab, number of the first) for all slabs, or once with all groups as they are.
template <class F>
void for_each_slab(const Groups& groups, F f) {
  if (groups.count() < fewest_columns) return f(groups, size_t(0));
  Slabs slabs(groups, nullptr);
  if (slabs.most() == 0) return f(groups, size_t(0));
  for (size_t first = 0; first < groups.count(); first += slabs.most())
    f(slabs.load(first, std::min(slabs.most(), groups.count() - first)), first);
}

// Calls f(groups of a slab, their masks, number of the first), and brings the masks back.
template <class F>
void for_each_slab(const Groups& groups, const Groups& masks, F f) {
  if (groups.count() < fewest_columns) return f(groups, masks, size_t(0));
  Slabs slabs(groups, &masks);
  if (slabs.most() == 0) return f(groups, masks, size_t(0));
  for (size_t first = 0; first < groups.count(); first += slabs.most()) {
    const size_t count = std::min(slabs.most(), groups.count() - first);
    f(slabs.load(first, count), slabs.mask_rows(count), first);
    slabs.store_masks(first);
  }
}

}  // namespace pqi::cpu
