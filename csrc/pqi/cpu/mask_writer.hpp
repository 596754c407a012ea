// Writes a group's mask into arrays of any layout.
#pragma once

#include "source.hpp"

namespace pqi::cpu {

class MaskWriter {
 public:
  explicit MaskWriter(const Groups& masks) : masks_(masks) { select(0); }

  void select(size_t group) {
    if (group >= masks_.count()) return;
    offset_ = masks_.data_offset(group);
    first_ = masks_.first(group);
  }
  // Fills what no segment covers.
  void fill_uncovered(uint8_t value);

  // Where the masks of groups, neighbours unless they are segments, lie, if all of each side by side; else null.
  void locate(const size_t* groups, size_t count, const void** where) const;
  // Where elements [begin, begin + n) of the group lie, if they lie side by side; else null.
  uint8_t* direct(size_t begin, size_t n) const;
  void load(size_t begin, size_t n, uint8_t* values) const;
  void store(size_t begin, size_t n, const uint8_t* values) const;
  void fill(size_t begin, size_t n, uint8_t value) const;
  void set(size_t index, uint8_t value) const { *address(index) = value; }

 private:
  const Piece& piece_of(size_t index) const;
  uint8_t* address(size_t index) const;

  const Groups& masks_;
  int64_t offset_ = 0;
  size_t first_ = 0;
};

}  // namespace pqi::cpu
