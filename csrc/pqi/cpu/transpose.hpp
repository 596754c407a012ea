// Transposes matrices of plain elements in square tiles with cache lines for sides, so that a line is fetched once on
// either side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace pqi::cpu {

// A matrix in memory: `lines` of `length` elements each; strides in bytes.
struct Matrix {
  char* address;
  int64_t line_stride, element_stride;
};

namespace transposing {
inline constexpr size_t line = 64;

template <class T>
using Vector __attribute__((vector_size(16))) = T;

// Half of the elements of a and b, taken in turn.
template <bool upper, class T, int... i>
Vector<T> zip(Vector<T> a, Vector<T> b, std::integer_sequence<int, i...>) {
  constexpr int n = int(sizeof...(i)), first = upper ? n / 2 : 0;
  return __builtin_shufflevector(a, b, (first + i / 2 + (i % 2) * n)...);
}

// A square of 16 bytes a side whose lines are contiguous. Zipping line i with line i + n/2 for all i turns the bits of
// an element's place by one; after log2 n rounds line and column have changed places.
template <class T>
void square(const char* in, int64_t in_stride, char* out, int64_t out_stride) {
  constexpr int n = 16 / int(sizeof(T));
  constexpr auto places = std::make_integer_sequence<int, n>();
  Vector<T> x[n], y[n];
  for (int i = 0; i < n; ++i) std::memcpy(&x[i], in + i * in_stride, 16);
  for (int round = 1; round < n; round *= 2) {
    for (int i = 0; i < n / 2; ++i) {
      y[2 * i] = zip<false, T>(x[i], x[i + n / 2], places);
      y[2 * i + 1] = zip<true, T>(x[i], x[i + n / 2], places);
    }
    std::copy(y, y + n, x);
  }
  for (int i = 0; i < n; ++i) std::memcpy(out + i * out_stride, &x[i], 16);
}

// Part of a tile: elements j of lines i, one by one.
template <class T>
void part(const Matrix& in, const Matrix& out, size_t lines, size_t length) {
  for (size_t i = 0; i < lines; ++i)
    for (size_t j = 0; j < length; ++j)
      std::memcpy(out.address + int64_t(j) * out.line_stride + int64_t(i) * out.element_stride,
                  in.address + int64_t(i) * in.line_stride + int64_t(j) * in.element_stride, sizeof(T));
}

template <class T>
void tile(const Matrix& in, const Matrix& out, size_t lines, size_t length) {
  constexpr size_t edge = line / sizeof(T), side = 16 / sizeof(T);
  const bool contiguous = in.element_stride == int64_t(sizeof(T)) && out.element_stride == int64_t(sizeof(T));
  if (lines < edge || length < edge || !contiguous) return part<T>(in, out, lines, length);
  for (size_t j = 0; j < edge; j += side)
    for (size_t i = 0; i < edge; i += side)
      square<T>(in.address + int64_t(i) * in.line_stride + j * sizeof(T), in.line_stride,
                out.address + int64_t(j) * out.line_stride + i * sizeof(T), out.line_stride);
}
}  // namespace transposing

// Element j of line i of `in` becomes element i of line j of `out`. Tiles along the lines of `in` come one after
// another, or along those of `out`: whichever matrix is out of the cache should be walked so.
template <class T>
void transpose(const Matrix& in, const Matrix& out, size_t lines, size_t length, bool along_in) {
  constexpr size_t edge = transposing::line / sizeof(T);
  const auto tile = [&](size_t i, size_t j) {
    transposing::tile<T>(
        {in.address + int64_t(i) * in.line_stride + int64_t(j) * in.element_stride, in.line_stride, in.element_stride},
        {out.address + int64_t(j) * out.line_stride + int64_t(i) * out.element_stride, out.line_stride,
         out.element_stride},
        std::min(edge, lines - i), std::min(edge, length - j));
  };
  const size_t outer = along_in ? lines : length, inner = along_in ? length : lines;
  for (size_t a = 0; a < outer; a += edge)
    for (size_t b = 0; b < inner; b += edge) along_in ? tile(a, b) : tile(b, a);
}

}  // namespace pqi::cpu
