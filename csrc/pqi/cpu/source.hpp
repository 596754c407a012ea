// What a measure is computed of: groups of elements, each one vector by flat index, wherever its pieces lie in memory.
//
// A group is either a list of whole arrays (a pooled list: one group) or what the reduced axes of one array span (many
// groups). A Reader hands out consecutive elements in the stream form an algorithm works on, straight from memory where
// they lie contiguous in that form, else gathered, converted and masked chunk by chunk.
#pragma once

#include <memory>
#include <vector>

#include "../view.hpp"
#include "kernels.hpp"

namespace pqi::cpu {

// One array's share of a group: its reduced dimensions, and the mask over them (`mask.data` null: all live).
struct Piece {
  View data;
  View mask;
  size_t begin = 0;  // flat index of its first element in the group
  size_t size = 0;
  bool direct = false;  // contiguous and unmasked
};

// In which form the elements travel; see dtype.hpp.
enum class Stream { bits16, bits32, bits64, float32, float64 };

class Groups {
 public:
  // Each array with its mask (or none). `axes` lists the reduced dimensions of a single array; null: all of each.
  Groups(const std::vector<View>& arrays, const std::vector<View>& masks, const std::vector<int>* axes);

  size_t count() const { return count_; }
  size_t size() const { return size_; }
  bool masked() const { return masked_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  int64_t data_offset(size_t group) const { return outer_data_.offset(group); }
  int64_t mask_offset(size_t group) const { return outer_mask_.offset(group); }

  // The common element type: that of all pieces, else float32 where it holds them all exactly, else float64 (or an
  // unsigned integer where all are integers).
  DType dtype() const { return dtype_; }
  bool homogeneous() const { return homogeneous_; }

  // For sums: float32 or float64.
  Stream number_stream() const;
  // For keys: the bits of `dtype()` at their width.
  Stream key_stream() const;

 private:
  std::vector<Piece> pieces_;
  View outer_data_, outer_mask_;
  size_t count_ = 1, size_ = 0;
  bool masked_ = false, homogeneous_ = true;
  DType dtype_ = DType::f64;
};

// Reads a group's elements; one per thread, since it owns buffers.
class Reader {
 public:
  Reader(const Groups& groups, const Kernels& kernels);

  Reader& select(size_t group);

  // Elements [begin, begin + n) of the group as T, n ≤ chunk_size; valid until the next call. Masked-out ones are zero.
  template <class T>
  const T* read(size_t begin, size_t n);

  // As read, but only the live elements; their number replaces n.
  template <class T>
  const T* read_live(size_t begin, size_t& n);

  // Liveness of [begin, begin + n), one byte each; null where nothing is masked.
  const uint8_t* live(size_t begin, size_t n);

  // Live elements in [begin, end).
  size_t count_live(size_t begin, size_t end);

 private:
  template <class T>
  void convert(DType from, const void* in, size_t n, T* out) const;
  template <class F>
  void for_each_span(size_t begin, size_t n, F f) const;

  const Groups& groups_;
  const Kernels& kernels_;
  int64_t data_offset_ = 0, mask_offset_ = 0;
  std::unique_ptr<char[]> native_;
  std::unique_ptr<uint64_t[]> work_;
  std::unique_ptr<uint8_t[]> mask_;
};

}  // namespace pqi::cpu
