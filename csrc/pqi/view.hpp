// A strided view of an array in memory, and its elements by flat (C-order) index.
#pragma once

#include "dtype.hpp"

namespace pqi {

inline constexpr int max_dims = 64;

struct View {
  const char* data = nullptr;
  DType dtype = DType::f64;
  int ndim = 0;
  int64_t shape[max_dims];    // only the first ndim of each are set
  int64_t strides[max_dims];  // in bytes; zero and negative are fine

  View() = default;
  View(const View& other) { *this = other; }
  View& operator=(const View& other) {
    data = other.data;
    dtype = other.dtype;
    ndim = other.ndim;
    for (int i = 0; i < ndim; ++i) {
      shape[i] = other.shape[i];
      strides[i] = other.strides[i];
    }
    return *this;
  }

  PQI_HD size_t size() const {
    size_t n = 1;
    for (int i = 0; i < ndim; ++i) n *= size_t(shape[i]);
    return n;
  }

  PQI_HD void push(int64_t extent, int64_t stride) {
    shape[ndim] = extent;
    strides[ndim] = stride;
    ++ndim;
  }

  // The dimensions i for which chosen(i) holds.
  template <class F>
  View dimensions(F chosen) const {
    View out;
    out.data = data;
    out.dtype = dtype;
    for (int i = 0; i < ndim; ++i)
      if (chosen(i)) out.push(shape[i], strides[i]);
    return out;
  }

  // The same elements in the same order with the fewest dimensions; a contiguous array becomes one dimension.
  View coalesced() const {
    View out;
    out.data = data;
    out.dtype = dtype;
    for (int i = 0; i < ndim; ++i) {
      if (shape[i] == 1) continue;
      const int last = out.ndim - 1;
      if (last >= 0 && out.strides[last] == shape[i] * strides[i]) {
        out.shape[last] *= shape[i];
        out.strides[last] = strides[i];
      } else {
        out.push(shape[i], strides[i]);
      }
    }
    return out;
  }

  // The elements' bytes lie in [low, high), beyond `data`; both zero if there are none.
  PQI_HD void reach(int64_t* low, int64_t* high) const {
    *low = *high = 0;
    if (size() == 0) return;
    *high = int64_t(item_size(dtype));
    for (int i = 0; i < ndim; ++i) (strides[i] < 0 ? *low : *high) += (shape[i] - 1) * strides[i];
  }

  // Every stride steps over all that smaller strides reach, so no two elements share memory.
  PQI_HD bool distinct() const {
    const auto magnitude = [this](int i) { return strides[i] < 0 ? -strides[i] : strides[i]; };
    for (int i = 0; i < ndim; ++i) {
      if (shape[i] < 2) continue;
      int64_t inside = int64_t(item_size(dtype));
      for (int j = 0; j < ndim; ++j)
        if (magnitude(j) < magnitude(i) || (magnitude(j) == magnitude(i) && j < i))
          inside += (shape[j] - 1) * magnitude(j);
      if (magnitude(i) < inside) return size() == 0;
    }
    return true;
  }

  // Of a coalesced view: elements lie one behind the other.
  PQI_HD bool contiguous() const { return ndim == 0 || (ndim == 1 && strides[0] == int64_t(item_size(dtype))); }

  // Byte offset of the element with this flat index.
  PQI_HD int64_t offset(size_t flat) const {
    int64_t bytes = 0;
    for (int i = ndim - 1; i > 0; --i) {
      bytes += int64_t(flat % size_t(shape[i])) * strides[i];
      flat /= size_t(shape[i]);
    }
    return ndim > 0 ? bytes + int64_t(flat) * strides[0] : bytes;
  }
};

}  // namespace pqi
