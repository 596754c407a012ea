// What a measure is computed of: groups of elements, each one vector by flat index, wherever its pieces lie in memory.
//
// A group is a list of whole arrays (a pooled list: one group), or what the reduced axes of one array span (many groups
// of one size), or a stretch of a one-dimensional array (segments: many groups of any sizes). Every group is cut into
// chunks from its own first element on, so it has the bits of its elements alone. A Reader hands out consecutive
// elements in the stream form an algorithm works on, straight from memory where they lie contiguous in that form, else
// gathered, converted and masked chunk by chunk.
#pragma once

#include <memory>
#include <vector>

#include "../view.hpp"
#include "kernels.hpp"
#include "workspace.hpp"

namespace pqi::cpu {

// One array's share of a group: its reduced dimensions, and the mask over them (`mask.data` null: all live).
struct Piece {
  View data;
  View mask;
  size_t begin = 0;  // flat index of its first element in the group
  size_t size = 0;
};

// In which form the elements travel; see dtype.hpp.
enum class Stream { bits16, bits32, bits64, float32, float64 };

// Where segments begin, and at last where the last one ends; non-decreasing, within the array.
using Offsets = std::vector<uint64_t>;

class Groups {
 public:
  // Each array with its mask (or none). `axes` lists the reduced dimensions of a single array; null: all of each.
  Groups(const std::vector<View>& arrays, const std::vector<View>& masks, const std::vector<int>* axes);
  // Group g is what lies at [offsets[g], offsets[g + 1]) of one one-dimensional array.
  Groups(const View& array, const std::vector<View>& masks, Offsets offsets);

  size_t count() const { return count_; }
  size_t size(size_t group) const { return offsets_ ? size_t((*offsets_)[group + 1] - (*offsets_)[group]) : widest_; }
  // The largest group's size; every group's unless they are segments.
  size_t widest() const { return widest_; }
  const Offsets* offsets() const { return offsets_.get(); }
  // Where a group begins among the elements of its pieces.
  size_t first(size_t group) const { return offsets_ ? size_t((*offsets_)[group]) : 0; }
  bool masked() const { return masked_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  // The kept dimensions of an array and of its mask, coalesced.
  const View& outer_data() const { return outer_data_; }
  const View& outer_mask() const { return outer_mask_; }
  // In bytes, beyond the pieces' addresses.
  int64_t data_offset(size_t group) const { return outer_data_.offset(group); }
  int64_t mask_offset(size_t group) const { return outer_mask_.offset(group); }

  // Whether the elements of every group lie one behind the other as the common type, and their masks too if there are
  // any; `locate` and `locate_masks` then tell where, for the groups [begin, begin + count).
  bool contiguous() const;
  // Whether all elements of contiguous groups are at multiples of their size.
  bool aligned() const;
  void locate(size_t begin, size_t count, const void** where) const;
  void locate_masks(size_t begin, size_t count, const uint8_t** where) const;

  // The common element type: that of all pieces, else float32 where it holds them all exactly, else float64 (or an
  // unsigned integer where all are integers).
  DType dtype() const { return dtype_; }
  bool homogeneous() const { return homogeneous_; }

  // For sums: float32 or float64.
  Stream number_stream() const;
  // For keys: the bits of `dtype()` at their width.
  Stream key_stream() const;

 private:
  template <class T>
  void locate(const View& inner, const View& outer, size_t begin, size_t count, const T** where) const;

  std::vector<Piece> pieces_;
  View outer_data_, outer_mask_;
  std::shared_ptr<const Offsets> offsets_;
  size_t count_ = 1, widest_ = 0;
  bool masked_ = false, homogeneous_ = true;
  DType dtype_ = DType::f64;
};

// Consecutive elements of a type that Kernels::special_rows takes, and which of them live (null: all).
struct FloatChunk {
  const void* data;
  DType dtype;
  const uint8_t* live;
};

// Whether it takes this type, from addresses that are multiples of the type's size.
inline bool is_float_chunk(DType t) { return t == DType::f32 || t == DType::f16 || t == DType::bf16; }

// Reads a group's elements; one per thread, since it owns buffers.
class Reader {
 public:
  Reader(const Groups& groups, const Kernels& kernels);

  Reader& select(size_t group);

  // Elements [begin, begin + n) of the group as T, n ≤ chunk_size; valid until the next call. Masked-out ones are zero.
  template <class T>
  const T* read(size_t begin, size_t n);

  // As read<float>, but with their mask, and as they lie in memory where special_rows can take them from there.
  FloatChunk read_floats(size_t begin, size_t n);

  // As read, but masked-out elements too are what they are in memory.
  template <class T>
  const T* read_all(size_t begin, size_t n);

  // As read, but only the live elements; their number replaces n.
  template <class T>
  const T* read_live(size_t begin, size_t& n);

  // Liveness of [begin, begin + n), one byte each; null where nothing is masked. Where they lie in one piece, they are
  // the caller's own; valid until the next call that reads.
  const uint8_t* live(size_t begin, size_t n);

  // Live elements in [begin, end).
  size_t count_live(size_t begin, size_t end);

 private:
  template <class T>
  T* chunk() {
    if (work_.empty()) work_.resize(chunk_size);
    return reinterpret_cast<T*>(work_.data());
  }
  char* native() {
    if (native_.empty()) native_.resize(chunk_size * 8);
    return native_.data();
  }
  template <class T>
  void convert(DType from, const void* in, size_t n, T* out) const;
  template <class F>
  void for_each_span(size_t begin, size_t n, F f) const;

  const Groups& groups_;
  const Kernels& kernels_;
  int64_t data_offset_ = 0, mask_offset_ = 0;
  size_t first_ = 0;
  // Each is there once it is needed.
  Buffer<char> native_;
  Buffer<uint64_t> work_;
  Buffer<uint8_t> mask_;
};

}  // namespace pqi::cpu
