#include "source.hpp"

#include <algorithm>
#include <cstring>

namespace pqi::cuda {
namespace {

struct Store {
  static constexpr int threads = 128;
  static constexpr size_t words = 384;

  uint64_t* to;
  uint64_t count;
  uint64_t payload[words];

  PQI_DEVICE void operator()(Block& block) const {
    for (uint64_t i = uint64_t(block.thread()); i < count; i += threads) to[i] = payload[i];
  }
};

// Elements lie one behind the other in memory for 16-byte loads, wherever these outer dimensions lead.
bool is_aligned(const Piece& piece, const View& outer) {
  bool aligned = piece.contiguous && reinterpret_cast<uintptr_t>(piece.data) % 16 == 0;
  for (int i = 0; i < outer.ndim; ++i) aligned &= outer.strides[i] % 16 == 0;
  return aligned;
}

uint32_t push_dims(const View& view, std::vector<uint64_t>& table) {
  const auto place = uint32_t(table.size());
  for (int i = 0; i < view.ndim; ++i) {
    table.push_back(uint64_t(view.shape[i]));
    table.push_back(uint64_t(view.strides[i]));
  }
  return place;
}

}  // namespace

void upload(const Queue& queue, const std::vector<uint64_t>& words, uint64_t* to) {
  constexpr size_t launches = 32;
  if (words.size() > launches * Store::words) {
    queue.copy(words.data(), words.size() * sizeof(uint64_t), to);
    return;
  }
  for (size_t done = 0; done < words.size(); done += Store::words) {
    Store store{to + done, std::min(Store::words, words.size() - done), {}};
    std::copy_n(words.begin() + std::ptrdiff_t(done), store.count, store.payload);
    queue.launch(1, store);
  }
}

Groups::Groups(const Queue& queue, const std::vector<View>& arrays, const std::vector<View>& masks,
               const std::vector<int>* axes) {
  const auto reduced = [&](int i) {
    return axes == nullptr || std::find(axes->begin(), axes->end(), i) != axes->end();
  };
  const auto kept = [&](int i) { return !reduced(i); };
  constexpr size_t piece_words = sizeof(Piece) / sizeof(uint64_t);
  static_assert(sizeof(Piece) % sizeof(uint64_t) == 0);
  TypeJoin types;
  std::vector<Piece> pieces;
  std::vector<size_t> chosen;
  for (size_t i = 0; i < arrays.size(); ++i) {
    const size_t size = arrays[i].dimensions(reduced).size();
    types.add(arrays[i].dtype, size);
    if (size > 0) chosen.push_back(i);
  }
  std::vector<uint64_t> table(chosen.size() * piece_words);
  for (const size_t i : chosen) {
    const View data = arrays[i].dimensions(reduced).coalesced();
    Piece piece{};
    piece.data = data.data;
    piece.begin = source_.size;
    piece.size = data.size();
    piece.dtype = uint32_t(data.dtype);
    piece.ndim = uint32_t(data.ndim);
    piece.contiguous = data.contiguous();
    piece.data_dims = push_dims(data, table);
    if (!masks.empty()) {
      const View mask = masks[i].dimensions(reduced).coalesced();
      piece.mask = reinterpret_cast<const uint8_t*>(mask.data);
      piece.mask_ndim = uint32_t(mask.ndim);
      piece.mask_contiguous = mask.contiguous();
      piece.mask_dims = push_dims(mask, table);
    }
    source_.size += piece.size;
    pieces.push_back(piece);
  }
  source_.count = 1;
  View all;  // what tells groups apart
  if (axes != nullptr) {
    const View outer = arrays[0].dimensions(kept), coalesced = outer.coalesced();
    source_.count = outer.size();
    all = coalesced;
    source_.outer_ndim = uint32_t(coalesced.ndim);
    source_.outer_dims = push_dims(coalesced, table);
    if (!masks.empty()) {
      const View outer_mask = masks[0].dimensions(kept).coalesced();
      source_.outer_mask_ndim = uint32_t(outer_mask.ndim);
      source_.outer_mask_dims = push_dims(outer_mask, table);
    }
  }
  source_.pieces = uint32_t(pieces.size());
  source_.dtype = types.common();
  source_.as_float = types.fits_float;
  source_.homogeneous = types.homogeneous;
  source_.masked = !masks.empty();
  const DType travels = source_.as_float ? DType::f32 : DType::f64;
  plain_ = masks.empty() && pieces.size() == 1 && DType(pieces[0].dtype) == travels && is_aligned(pieces[0], all);
  if (!pieces.empty()) std::memcpy(table.data(), pieces.data(), pieces.size() * sizeof(Piece));
  if (table.size() <= Source::words_at_hand) {
    std::copy(table.begin(), table.end(), source_.table);
  } else {
    far_ = std::make_shared<Scratch<uint64_t>>(queue, table.size());
    upload(queue, table, far_->get());
    source_.far = far_->get();
  }
}

Groups Groups::chosen(const uint64_t* numbers, uint64_t count) const {
  Groups some = *this;
  some.source_.chosen = numbers;
  some.source_.count = count;
  return some;
}

Groups Groups::stretch(uint64_t first, uint64_t count) const {
  Groups some = *this;
  if (some.source_.chosen != nullptr) {
    some.source_.chosen += first;
  } else {
    some.source_.first_group += first;
  }
  some.source_.count = count;
  return some;
}

Groups Groups::segments(const uint64_t* offsets, const uint64_t* numbers, uint64_t count, uint64_t size) const {
  Groups some = chosen(numbers, count);
  some.source_.offsets = offsets;
  some.source_.size = size;
  some.plain_ = false;
  return some;
}

}  // namespace pqi::cuda
