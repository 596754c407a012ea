#include "source.hpp"

#include <algorithm>

namespace pqi::cpu {
namespace {

// Copies elements [begin, begin + n) of a coalesced view into consecutive memory.
template <size_t width>
void gather_width(const View& view, const char* base, size_t begin, size_t n, char* out) {
  const int inner = view.ndim - 1;
  int64_t index[max_dims];
  size_t rest = begin;
  for (int i = inner; i >= 0; --i) {
    index[i] = int64_t(rest % size_t(view.shape[i]));
    rest /= size_t(view.shape[i]);
  }
  while (n > 0) {
    const char* from = base;
    for (int i = 0; i <= inner; ++i) from += index[i] * view.strides[i];
    const size_t run = std::min(n, size_t(view.shape[inner] - index[inner]));
    const int64_t stride = view.strides[inner];
    if (stride == int64_t(width)) {
      std::memcpy(out, from, run * width);
    } else {
      for (size_t i = 0; i < run; ++i) std::memcpy(out + i * width, from + int64_t(i) * stride, width);
    }
    out += run * width;
    n -= run;
    index[inner] += int64_t(run);
    for (int i = inner; i > 0 && index[i] == view.shape[i]; --i) {
      index[i] = 0;
      ++index[i - 1];
    }
  }
}

void gather(const View& view, const char* base, size_t begin, size_t n, char* out) {
  const size_t width = item_size(view.dtype);
  if (view.contiguous()) {
    std::memcpy(out, base + begin * width, n * width);
    return;
  }
  switch (width) {
    case 1:
      return gather_width<1>(view, base, begin, n, out);
    case 2:
      return gather_width<2>(view, base, begin, n, out);
    case 4:
      return gather_width<4>(view, base, begin, n, out);
    default:
      return gather_width<8>(view, base, begin, n, out);
  }
}

// The reduced and the kept dimensions of an array as two views.
void split(const View& array, const std::vector<int>* axes, View& inner, View& outer) {
  const auto reduced = [&](int i) {
    return axes == nullptr || std::find(axes->begin(), axes->end(), i) != axes->end();
  };
  inner = array.dimensions(reduced).coalesced();
  outer = array.dimensions([&](int i) { return !reduced(i); }).coalesced();
}

template <class T>
constexpr DType dtype_of() {
  return sizeof(T) == 4 ? DType::f32 : DType::f64;
}

}  // namespace

Groups::Groups(const std::vector<View>& arrays, const std::vector<View>& masks, const std::vector<int>* axes) {
  TypeJoin types;
  for (size_t i = 0; i < arrays.size(); ++i) {
    Piece piece;
    split(arrays[i], axes, piece.data, outer_data_);
    if (!masks.empty()) split(masks[i], axes, piece.mask, outer_mask_);
    piece.size = piece.data.size();
    piece.begin = widest_;
    widest_ += piece.size;
    types.add(piece.data.dtype, piece.size);
    if (piece.size > 0 || arrays.size() == 1) pieces_.push_back(piece);
  }
  masked_ = !masks.empty();
  if (axes != nullptr) count_ = outer_data_.size();
  dtype_ = types.common();
  homogeneous_ = types.homogeneous;
}

Groups::Groups(const View& array, const std::vector<View>& masks, Offsets offsets)
    : Groups(std::vector<View>{array}, masks, nullptr) {
  offsets_ = std::make_shared<const Offsets>(std::move(offsets));
  count_ = offsets_->size() - 1;
  widest_ = 0;
  for (size_t g = 0; g < count_; ++g) widest_ = std::max(widest_, size(g));
}

bool Groups::contiguous() const {
  if (pieces_.size() != 1) return false;
  const Piece& piece = pieces_.front();  // that empty pieces of another type may have joined
  return piece.data.dtype == dtype_ && piece.data.contiguous() && (!masked_ || piece.mask.contiguous());
}

bool Groups::aligned() const {
  const View& data = pieces_.front().data;
  const auto size = uint64_t(item_size(data.dtype));
  uint64_t distances = reinterpret_cast<uintptr_t>(data.data);
  for (int i = 0; i < outer_data_.ndim; ++i) distances |= uint64_t(outer_data_.strides[i]);
  return distances % size == 0;
}

template <class T>
void Groups::locate(const View& inner, const View& outer, size_t begin, size_t count, const T** where) const {
  const auto put = [&](size_t i, int64_t offset) { where[i] = reinterpret_cast<const T*>(inner.data + offset); };
  if (offsets_) {
    for (size_t i = 0; i < count; ++i) put(i, int64_t(first(begin + i) * item_size(inner.dtype)));
  } else if (outer.ndim <= 1) {
    const int64_t stride = outer.ndim == 1 ? outer.strides[0] : 0;
    for (size_t i = 0; i < count; ++i) put(i, int64_t(begin + i) * stride);
  } else {
    for (size_t i = 0; i < count; ++i) put(i, outer.offset(begin + i));
  }
}

void Groups::locate(size_t begin, size_t count, const void** where) const {
  locate(pieces_.front().data, outer_data_, begin, count, where);
}

void Groups::locate_masks(size_t begin, size_t count, const uint8_t** where) const {
  locate(pieces_.front().mask, outer_mask_, begin, count, where);
}

Stream Groups::number_stream() const {
  for (const Piece& piece : pieces_)
    if (!is_narrow(piece.data.dtype) && piece.data.dtype != DType::f32) return Stream::float64;
  return Stream::float32;
}

Stream Groups::key_stream() const {
  switch (item_size(dtype_)) {
    case 4:
      return Stream::bits32;
    case 8:
      return Stream::bits64;
    default:
      return Stream::bits16;
  }
}

Reader::Reader(const Groups& groups, const Kernels& kernels) : groups_(groups), kernels_(kernels) { select(0); }

Reader& Reader::select(size_t group) {
  if (group >= groups_.count()) return *this;
  first_ = groups_.first(group);
  data_offset_ = groups_.data_offset(group);
  if (groups_.masked()) mask_offset_ = groups_.mask_offset(group);
  return *this;
}

// Calls f(piece, first element within it, position in the span, how many) for every piece that the span touches.
template <class F>
void Reader::for_each_span(size_t begin, size_t n, F f) const {
  begin += first_;
  const auto& pieces = groups_.pieces();
  auto piece = std::upper_bound(pieces.begin(), pieces.end(), begin,
                                [](size_t index, const Piece& p) { return index < p.begin + p.size; });
  for (size_t done = 0; done < n; ++piece) {
    const size_t first = begin + done - piece->begin, run = std::min(n - done, piece->size - first);
    f(*piece, first, done, run);
    done += run;
  }
}

template <class T>
void Reader::convert(DType from, const void* in, size_t n, T* out) const {
  if constexpr (std::is_same_v<T, float>) {
    kernels_.to_float(from, in, n, out);
  } else if constexpr (std::is_same_v<T, double>) {
    kernels_.to_double(from, in, n, out);
  } else if constexpr (std::is_same_v<T, uint16_t>) {
    kernels_.to_bits16(from, in, n, out);
  } else if (from != groups_.dtype() && is_floating(groups_.dtype())) {
    // Floating types of several widths in one pool: the bits of the common type.
    if constexpr (sizeof(T) == 4) kernels_.to_float(from, in, n, reinterpret_cast<float*>(out));
    if constexpr (sizeof(T) == 8) kernels_.to_double(from, in, n, reinterpret_cast<double*>(out));
  } else {
    if constexpr (sizeof(T) == 4) kernels_.to_bits32(from, in, n, out);
    if constexpr (sizeof(T) == 8) kernels_.to_bits64(from, in, n, out);
  }
}

template <class T>
bool travels_as(DType t) {
  if constexpr (std::is_floating_point_v<T>) return t == dtype_of<T>();
  return item_size(t) == sizeof(T) && !is_signed_integer(t);
}

template <class T>
const T* Reader::read_all(size_t begin, size_t n) {
  T* work = nullptr;
  const T* result = nullptr;
  for_each_span(begin, n, [&](const Piece& piece, size_t first, size_t at, size_t run) {
    const char* base = piece.data.data + data_offset_;
    const DType t = piece.data.dtype;
    const bool as_is = travels_as<T>(t) && (t == groups_.dtype() || is_floating(t) || !is_floating(groups_.dtype()));
    if (piece.data.contiguous()) {
      const char* in = base + first * item_size(t);
      // Arrays may be unaligned (a field of a packed record); those are copied.
      if (as_is && run == n && reinterpret_cast<uintptr_t>(in) % alignof(T) == 0) {
        result = reinterpret_cast<const T*>(in);
        return;
      }
      result = work = chunk<T>();
      if (reinterpret_cast<uintptr_t>(in) % item_size(t) == 0) {
        convert(t, in, run, work + at);
      } else {
        std::memcpy(native(), in, run * item_size(t));
        convert(t, native(), run, work + at);
      }
      return;
    }
    result = work = chunk<T>();
    if (as_is) {
      gather(piece.data, base, first, run, reinterpret_cast<char*>(work + at));
    } else {
      gather(piece.data, base, first, run, native());
      convert(t, native(), run, work + at);
    }
  });
  return result;
}

// Calls f(elements, out) with both as bits.
template <class T, class F>
void with_bits(const T* elements, T* out, F f) {
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
  f(reinterpret_cast<const Bits*>(elements), reinterpret_cast<Bits*>(out));
}

template <class T>
const T* Reader::read(size_t begin, size_t n) {
  const T* elements = read_all<T>(begin, n);
  const uint8_t* alive = live(begin, n);
  if (alive == nullptr) return elements;
  T* const work = chunk<T>();
  with_bits(elements, work, [&](const auto* bits, auto* out) {
    if constexpr (sizeof(T) == 2) kernels_.clear_dead16(bits, alive, n, out);
    if constexpr (sizeof(T) == 4) kernels_.clear_dead32(bits, alive, n, out);
    if constexpr (sizeof(T) == 8) kernels_.clear_dead64(bits, alive, n, out);
  });
  return work;
}

FloatChunk Reader::read_floats(size_t begin, size_t n) {
  FloatChunk found{nullptr, DType::f32, live(begin, n)};
  for_each_span(begin, n, [&](const Piece& piece, size_t first, size_t, size_t run) {
    const DType t = piece.data.dtype;
    const char* const in = piece.data.data + data_offset_ + first * item_size(t);
    const bool aligned = reinterpret_cast<uintptr_t>(in) % item_size(t) == 0;
    if (run != n || !piece.data.contiguous() || !is_float_chunk(t) || !aligned) return;
    found.data = in;
    found.dtype = t;
  });
  if (found.data == nullptr) found.data = read_all<float>(begin, n);
  return found;
}

template <class T>
const T* Reader::read_live(size_t begin, size_t& n) {
  const T* elements = read_all<T>(begin, n);
  const uint8_t* alive = live(begin, n);
  if (alive == nullptr) return elements;
  T* const work = chunk<T>();
  with_bits(elements, work, [&](const auto* bits, auto* out) {
    if constexpr (sizeof(T) == 2) n = kernels_.pick_live16(bits, alive, n, out);
    if constexpr (sizeof(T) == 4) n = kernels_.pick_live32(bits, alive, n, out);
    if constexpr (sizeof(T) == 8) n = kernels_.pick_live64(bits, alive, n, out);
  });
  return work;
}

const uint8_t* Reader::live(size_t begin, size_t n) {
  if (!groups_.masked()) return nullptr;
  const uint8_t* result = nullptr;
  for_each_span(begin, n, [&](const Piece& piece, size_t first, size_t at, size_t run) {
    const char* const base = piece.mask.data + mask_offset_;
    if (run == n && piece.mask.contiguous()) {
      result = reinterpret_cast<const uint8_t*>(base + first);
    } else {
      if (mask_.empty()) mask_.resize(chunk_size);
      gather(piece.mask, base, first, run, reinterpret_cast<char*>(mask_.data() + at));
      result = mask_.data();
    }
  });
  return result;
}

size_t Reader::count_live(size_t begin, size_t end) {
  if (!groups_.masked()) return end - begin;
  size_t count = 0;
  for (; begin < end; begin += chunk_size) {
    const size_t n = std::min(chunk_size, end - begin);
    count += kernels_.count_true(live(begin, n), n);
  }
  return count;
}

#define PQI_READ(T)                                      \
  template const T* Reader::read<T>(size_t, size_t);     \
  template const T* Reader::read_all<T>(size_t, size_t); \
  template const T* Reader::read_live<T>(size_t, size_t&);
PQI_READ(float)
PQI_READ(double)
PQI_READ(uint16_t)
PQI_READ(uint32_t)
PQI_READ(uint64_t)
#undef PQI_READ

}  // namespace pqi::cpu
