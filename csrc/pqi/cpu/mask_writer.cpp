#include "mask_writer.hpp"

#include <algorithm>

namespace pqi::cpu {

const Piece& MaskWriter::piece_of(size_t index) const {
  const auto& pieces = masks_.pieces();
  if (pieces.size() == 1) return pieces.front();
  return *std::upper_bound(pieces.begin(), pieces.end(), index,
                           [](size_t i, const Piece& piece) { return i < piece.begin + piece.size; });
}

uint8_t* MaskWriter::address(size_t index) const {
  index += first_;
  const Piece& piece = piece_of(index);
  const char* base = piece.data.data + offset_;
  const size_t within = index - piece.begin;
  return reinterpret_cast<uint8_t*>(
      const_cast<char*>(base + (piece.data.contiguous() ? int64_t(within) : piece.data.offset(within))));
}

void MaskWriter::locate(const size_t* groups, size_t count, const void** where) const {
  std::fill(where, where + count, nullptr);
  if (!masks_.contiguous()) return;
  if (masks_.offsets() == nullptr) return masks_.locate(groups[0], count, where);
  for (size_t i = 0; i < count; ++i) masks_.locate(groups[i], 1, where + i);
}

uint8_t* MaskWriter::direct(size_t begin, size_t n) const {
  const Piece& piece = piece_of(first_ + begin);
  return piece.data.contiguous() && first_ + begin + n <= piece.begin + piece.size ? address(begin) : nullptr;
}

void MaskWriter::load(size_t begin, size_t n, uint8_t* values) const {
  for (size_t i = 0; i < n; ++i) values[i] = *address(begin + i);
}

void MaskWriter::store(size_t begin, size_t n, const uint8_t* values) const {
  if (uint8_t* out = direct(begin, n)) {
    std::memcpy(out, values, n);
    return;
  }
  for (size_t i = 0; i < n; ++i) set(begin + i, values[i]);
}

void MaskWriter::fill(size_t begin, size_t n, uint8_t value) const {
  if (uint8_t* out = direct(begin, n)) {
    std::memset(out, value, n);
    return;
  }
  for (size_t i = 0; i < n; ++i) set(begin + i, value);
}

void MaskWriter::fill_uncovered(uint8_t value) {
  if (masks_.offsets() == nullptr) return;
  const size_t before = size_t(masks_.offsets()->front()), after = size_t(masks_.offsets()->back());
  first_ = 0;
  if (before > 0) fill(0, before, value);
  const size_t size = masks_.pieces().front().size;
  if (after < size) fill(after, size - after, value);
}

}  // namespace pqi::cpu
