// Keys of neighbouring elements, 32 bytes of keys at a time where memory is as it should be.
#pragma once

#include <type_traits>

#include "source.hpp"

namespace pqi::cuda {

template <class K>
class KeyReader {
 public:
  static constexpr int at_once = int(32 / sizeof(K));

  PQI_DEVICE KeyReader(const Source& source, uint64_t group)
      : size_(source.size_of(group)),
        dtype_(source.dtype),
        rule_(key_rule<K>(source.dtype)),
        whole_(sizeof(K) == 2 || item_size(source.dtype) == sizeof(K)),
        bytes_(item_size(source.dtype) == 1),
        integers_(is_signed_integer(source.dtype)),
        cursor_(source, group) {}

  // The keys of the at_once elements from i on that there are. Bit j of the result: whether element i + j is live.
  PQI_DEVICE uint32_t read(uint64_t i, K (&keys)[at_once]) {
    const uint64_t rest = i < size_ ? size_ - i : 0;
    if (whole_ && rest >= at_once) {
      const char* const at = cursor_.together(dtype_, i, at_once);
      if (at != nullptr && reinterpret_cast<uintptr_t>(at) % 16 == 0) {
        load(at, keys);
        return cursor_.live_bits(i, at_once);
      }
    }
    PQI_UNROLL for (int j = 0; j < at_once; ++j) keys[j] = 0;
    uint32_t live = 0;
    for (int j = 0; j < at_once && uint64_t(j) < rest; ++j) {
      if (!cursor_.live(i + uint64_t(j))) continue;
      live |= 1u << j;
      const K key = rule_(cursor_.template bits<K>(i + uint64_t(j)));
      PQI_UNROLL for (int t = 0; t < at_once; ++t) keys[t] = t == j ? key : keys[t];  // stays in registers
    }
    return live;
  }

 private:
  PQI_DEVICE void load(const char* at, K (&keys)[at_once]) const {
    if constexpr (sizeof(K) == 2) {
      if (bytes_) return load_bytes(at, keys);
    }
    struct alignas(16) Half {
      K x[at_once / 2];
    };
    const Half low = *reinterpret_cast<const Half*>(at), high = *reinterpret_cast<const Half*>(at + 16);
    PQI_UNROLL for (int j = 0; j < at_once / 2; ++j) {
      keys[j] = key_of<std::make_signed_t<K>>(low.x[j]);
      keys[at_once / 2 + j] = key_of<std::make_signed_t<K>>(high.x[j]);
    }
  }
  PQI_DEVICE void load_bytes(const char* at, K (&keys)[at_once]) const {
    struct alignas(16) Bytes {
      uint8_t x[at_once];
    };
    const Bytes bytes = *reinterpret_cast<const Bytes*>(at);
    PQI_UNROLL for (int j = 0; j < at_once; ++j) keys[j] =
        dtype_ == DType::boolean ? K(bytes.x[j] != 0) : key_of<int8_t>(bytes.x[j]);
  }
  template <class Signed>
  PQI_DEVICE K key_of(std::make_unsigned_t<Signed> bits) const {
    return rule_(integers_ ? unsigned_magnitude<K>(Signed(bits)) : K(bits));
  }

  const uint64_t size_;
  const DType dtype_;
  const KeyRule<K> rule_;
  const bool whole_, bytes_, integers_;
  Cursor cursor_;
};

// Counts in shared memory. Equal codes one after another are one addition, so constant data is no slower.
class Tally {
 public:
  PQI_DEVICE Tally(uint32_t* counts, uint32_t codes) : counts_(counts), codes_(codes) {}

  // Codes that there are no counts for are left out.
  PQI_DEVICE void add(Block& block, uint32_t code) {
    if (code == code_) {
      ++length_;
      return;
    }
    flush(block);
    code_ = code;
    length_ = 1;
  }
  PQI_DEVICE void flush(Block& block) {
    if (length_ > 0 && code_ < codes_) block.add(counts_ + code_, length_);
    length_ = 0;
  }

 private:
  uint32_t* const counts_;
  const uint32_t codes_;
  uint32_t code_ = ~uint32_t(0), length_ = 0;
};

}  // namespace pqi::cuda
