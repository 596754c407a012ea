// What a measure is computed of, as a device sees it: groups of elements behind pieces of memory (see cpu/source.hpp
// for the same on the host). Few pieces travel with a program's arguments, many lie in device memory.
#pragma once

#include <memory>
#include <vector>

#include "../magnitude_key.hpp"
#include "../power.hpp"
#include "../view.hpp"
#include "block.hpp"
#include "workspace.hpp"

namespace pqi::cuda {

// One array's share of a group; `begin` is the flat index of its first element. Dimensions are pairs of extent and
// stride, `data_dims` words and `mask_dims` words into the table.
struct Piece {
  const char* data;
  const uint8_t* mask;  // null: all live
  uint64_t begin, size;
  uint32_t dtype, ndim, mask_ndim;
  uint32_t data_dims, mask_dims;
  uint32_t contiguous, mask_contiguous;
};

struct Source {
  static constexpr size_t words_at_hand = 64;

  uint64_t count, size;  // groups, and elements of each; of segments, the most that one has
  uint32_t pieces;
  DType dtype;    // the common type
  bool as_float;  // numbers travel as float32
  bool homogeneous, masked;
  uint32_t outer_ndim, outer_dims, outer_mask_ndim, outer_mask_dims;  // what tells groups apart
  uint64_t first_group;                                               // of all
  const uint64_t* chosen;                                             // or the groups' numbers among all
  const uint64_t* offsets;  // null, or where each stretch of the one piece begins and the last one ends
  const uint64_t* far;      // the table where it does not fit here
  uint64_t table[words_at_hand];

  PQI_DEVICE const uint64_t* words() const { return far != nullptr ? far : table; }
  PQI_DEVICE const Piece& piece(uint32_t i) const { return reinterpret_cast<const Piece*>(words())[i]; }

  PQI_DEVICE uint64_t number(uint64_t group) const { return chosen != nullptr ? chosen[group] : first_group + group; }
  // Elements of a group: the last ones of `size` that are not there are dead, and no place of a mask.
  PQI_DEVICE uint64_t size_of(uint64_t group) const {
    if (offsets == nullptr) return size;
    const uint64_t i = number(group);
    return offsets[i + 1] - offsets[i];
  }

  PQI_DEVICE int64_t offset(uint32_t dims, uint32_t ndim, uint64_t flat) const {
    const uint64_t* const dim = words() + dims;
    int64_t bytes = 0;
    for (uint32_t i = ndim; i-- > 0;) {
      const uint64_t extent = dim[2 * i];
      bytes += int64_t(i == 0 ? flat : flat % extent) * int64_t(dim[2 * i + 1]);
      flat /= extent;
    }
    return bytes;
  }
};

// A source and the memory behind it; keeps that until the queue has used it.
class Groups {
 public:
  Groups(const Queue& queue, const std::vector<View>& arrays, const std::vector<View>& masks,
         const std::vector<int>* axes);

  // Some of its groups: those with `count` numbers on the device, or neighbours; of segments (offsets on the device
  // too), of at most this size.
  Groups chosen(const uint64_t* numbers, uint64_t count) const;
  Groups stretch(uint64_t first, uint64_t count) const;
  Groups segments(const uint64_t* offsets, const uint64_t* numbers, uint64_t count, uint64_t size) const;

  const Source& source() const { return source_; }
  uint64_t count() const { return source_.count; }
  uint64_t size() const { return source_.size; }
  // Each group is one piece of unmasked memory that holds its elements as they travel, aligned for 16-byte loads.
  bool plain() const { return plain_; }
  // Whether some elements of groups may not count.
  bool ragged() const { return source_.masked || source_.offsets != nullptr; }

 private:
  Source source_{};
  bool plain_ = false;
  std::shared_ptr<Scratch<uint64_t>> far_;
};

// Copies words into device memory, a few hundred with each launch, so that the host's copy is free at once and nothing
// waits; many are left to the driver, which puts them aside at once but may wait for its own memory.
void upload(const Queue& queue, const std::vector<uint64_t>& words, uint64_t* to);

#if defined(__CUDACC__) || defined(PQI_EXECUTOR)

template <class T>
PQI_DEVICE T stored(const char* at) {
  return *reinterpret_cast<const T*>(at);
}

template <class T>
PQI_DEVICE T number_at(DType t, const char* at) {
  switch (t) {
    case DType::f64:
      return T(stored<double>(at));
    case DType::f32:
      return T(stored<float>(at));
    case DType::f16:
      return T(half_to_float(stored<uint16_t>(at)));
    case DType::bf16:
      return T(bfloat_to_float(stored<uint16_t>(at)));
    case DType::e4m3:
      return T(e4m3_to_float(stored<uint8_t>(at)));
    case DType::e5m2:
      return T(e5m2_to_float(stored<uint8_t>(at)));
    case DType::i8:
      return T(stored<int8_t>(at));
    case DType::i16:
      return T(stored<int16_t>(at));
    case DType::i32:
      return T(stored<int32_t>(at));
    case DType::i64:
      return T(stored<int64_t>(at));
    case DType::u8:
      return T(stored<uint8_t>(at));
    case DType::u16:
      return T(stored<uint16_t>(at));
    case DType::u32:
      return T(stored<uint32_t>(at));
    case DType::u64:
      return T(stored<uint64_t>(at));
    default:
      return T(stored<uint8_t>(at) != 0);
  }
}

// Integers as unsigned magnitudes, anything else as its bits.
template <class U>
PQI_DEVICE U bits_at(DType t, const char* at) {
  switch (t) {
    case DType::i8:
      return unsigned_magnitude<U>(stored<int8_t>(at));
    case DType::i16:
      return unsigned_magnitude<U>(stored<int16_t>(at));
    case DType::i32:
      return unsigned_magnitude<U>(stored<int32_t>(at));
    case DType::i64:
      return unsigned_magnitude<U>(stored<int64_t>(at));
    case DType::boolean:
      return U(stored<uint8_t>(at) != 0);
    default:
      break;
  }
  switch (item_size(t)) {
    case 1:
      return U(stored<uint8_t>(at));
    case 2:
      return U(stored<uint16_t>(at));
    case 4:
      return U(stored<uint32_t>(at));
    default:
      return U(stored<uint64_t>(at));
  }
}

template <class K>
struct NumberOf;
template <>
struct NumberOf<uint32_t> {
  using Type = float;
};
template <>
struct NumberOf<uint64_t> {
  using Type = double;
};

// A thread's place in a group; fast when asked for neighbouring elements one after another.
class Cursor {
 public:
  PQI_DEVICE Cursor(const Source& source, uint64_t group) : source_(source), size_(source.size_of(group)) {
    if (source.offsets != nullptr) {
      if (source.pieces > 0) start_at(source.piece(0), source.offsets[source.number(group)]);
    } else if (source.outer_ndim > 0) {
      const uint64_t number = source.number(group);
      data_offset_ = source.offset(source.outer_dims, source.outer_ndim, number);
      if (source.masked) mask_offset_ = source.offset(source.outer_mask_dims, source.outer_mask_ndim, number);
    }
    begin_ = 0;
    end_ = 0;
  }

  // Masked-out elements are zero.
  template <class T>
  PQI_DEVICE T number(uint64_t i) {
    seek(i);
    return is_live(i) ? number_at<T>(dtype(), address(i)) : T(0);
  }

  // The bits of the common type, of which its key rule makes keys.
  template <class K>
  PQI_DEVICE K bits(uint64_t i) {
    seek(i);
    if constexpr (sizeof(K) > 2) {
      if (dtype() != source_.dtype && is_floating(source_.dtype))
        return bits_as<K>(number_at<typename NumberOf<K>::Type>(dtype(), address(i)));
    }
    return bits_at<K>(dtype(), address(i));
  }

  PQI_DEVICE bool live(uint64_t i) {
    if (!source_.masked) return i < size_;
    seek(i);
    return is_live(i);
  }

  // Bit j: whether element i + j is live, for n of them: a multiple of 4, up to 32.
  PQI_DEVICE uint32_t live_bits(uint64_t i, int n) {
    uint32_t result = 0;
    const uint64_t rest = i < size_ ? size_ - i : 0;
    if (!source_.masked) return rest == 0 ? 0 : ~uint32_t(0) >> (32 - (rest < uint64_t(n) ? int(rest) : n));
    seek(i);
    const uint8_t* const at = piece_->mask + mask_offset_ + int64_t(i - begin_);
    const bool words = piece_->mask_contiguous && i + uint64_t(n) <= end_ && uint64_t(n) <= rest &&
                       reinterpret_cast<uintptr_t>(at) % 4 == 0;
    for (int j = 0; j < n && words; j += 4) result |= bits_of_bytes(*reinterpret_cast<const uint32_t*>(at + j)) << j;
    for (int j = 0; j < n && !words; ++j) result |= uint32_t(live(i + uint64_t(j))) << j;
    return result;
  }

  // n elements from i on; their loads do not wait for one another where memory is contiguous.
  template <class T, int n>
  PQI_DEVICE void numbers(uint64_t i, T (&x)[n]) {
    seek(i);
    if (!piece_->contiguous || i + n > end_ || i + n > size_) {
      PQI_UNROLL for (int j = 0; j < n; ++j) x[j] = number<T>(i + uint64_t(j));
      return;
    }
    const char* const at = address(i);
    const DType t = dtype();
    if (t == (sizeof(T) == 4 ? DType::f32 : DType::f64)) {
      PQI_UNROLL for (int j = 0; j < n; ++j) x[j] = reinterpret_cast<const T*>(at)[j];
    } else if (t == DType::f16 || t == DType::bf16) {
      uint16_t half[n];
      PQI_UNROLL for (int j = 0; j < n; ++j) half[j] = reinterpret_cast<const uint16_t*>(at)[j];
      PQI_UNROLL for (int j = 0; j < n; ++j) x[j] =
          T(t == DType::f16 ? half_to_float(half[j]) : bfloat_to_float(half[j]));
    } else {
      PQI_UNROLL for (int j = 0; j < n; ++j) x[j] = number_at<T>(t, at + uint64_t(j) * item_size(t));
    }
    const uint32_t live = live_bits(i, n);
    PQI_UNROLL for (int j = 0; j < n; ++j) x[j] = live >> j & 1 ? x[j] : T(0);
  }

  PQI_DEVICE char* address(uint64_t i) {
    seek(i);
    const uint64_t within = i - begin_;
    const int64_t offset = piece_->contiguous ? int64_t(within * item_size(dtype()))
                                              : source_.offset(piece_->data_dims, piece_->ndim, within);
    return const_cast<char*>(piece_->data + data_offset_ + offset);
  }

  // Where the elements [i, i + n) lie one behind the other as this type, masked out or not; else null.
  PQI_DEVICE char* together(DType as, uint64_t i, uint64_t n) {
    seek(i);
    return dtype() == as && piece_->contiguous && i + n <= end_ && i + n <= size_ ? address(i) : nullptr;
  }

  // The same where they are all live, and aligned for 16-byte loads.
  PQI_DEVICE const char* direct(DType as, uint64_t i, uint64_t n) {
    if (source_.masked || n == 0) return nullptr;
    const char* const at = together(as, i, n);
    return reinterpret_cast<uintptr_t>(at) % 16 == 0 ? at : nullptr;
  }

 private:
  PQI_DEVICE DType dtype() const { return DType(piece_->dtype); }

  PQI_DEVICE void start_at(const Piece& piece, uint64_t first) {
    data_offset_ = piece.contiguous ? int64_t(first * item_size(DType(piece.dtype)))
                                    : source_.offset(piece.data_dims, piece.ndim, first);
    if (source_.masked) mask_offset_ = source_.offset(piece.mask_dims, piece.mask_ndim, first);
  }

  // Bit j: whether byte j is not zero.
  PQI_DEVICE static uint32_t bits_of_bytes(uint32_t x) {
    x |= x >> 4;
    x |= x >> 2;
    x |= x >> 1;
    return (x & 0x01010101u) * 0x10204080u >> 28;
  }

  PQI_DEVICE bool is_live(uint64_t i) const {
    if (i >= size_) return false;
    if (!source_.masked) return true;
    return piece_->mask[mask_offset_ + source_.offset(piece_->mask_dims, piece_->mask_ndim, i - begin_)] != 0;
  }

  PQI_DEVICE void seek(uint64_t i) {
    if (i >= begin_ && i < end_) return;
    uint32_t low = 0, high = source_.pieces;  // the piece lies in [low, high)
    while (low + 1 < high) {
      const uint32_t middle = low + (high - low) / 2;
      (source_.piece(middle).begin <= i ? low : high) = middle;
    }
    piece_ = &source_.piece(low);
    begin_ = piece_->begin;
    end_ = begin_ + piece_->size;
  }

  const Source& source_;
  const uint64_t size_;
  const Piece* piece_ = nullptr;
  int64_t data_offset_ = 0, mask_offset_ = 0;
  uint64_t begin_, end_;
};

#endif

}  // namespace pqi::cuda
