// Sums of the exponents ½, 1, 2, in the order of reduction.hpp. Included by kernels.cpp alone.
#pragma once

#include <type_traits>

#include "chunk_lanes.hpp"

namespace pqi::cpu {
namespace {

typedef double Four __attribute__((vector_size(32), aligned(8), may_alias));

// four[0 … 3] of fold().
inline __attribute__((always_inline)) void half_fold(const double* row, Four& out) {
  const Four* const part = reinterpret_cast<const Four*>(row);
  out = (part[0] + part[2]) + (part[1] + part[3]);
}

// The two terms that are left, of two rows.
inline __attribute__((always_inline)) void half_fold_two(const double row[][lanes], Four& out) {
  Four a, b;
  half_fold(row[0], a);
  half_fold(row[1], b);
  out = __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
}

// out[i] = fold(row[i]), of four rows at a time.
inline __attribute__((always_inline)) void fold_rows(const double row[][lanes], size_t count, double* out) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    Four a, b;
    half_fold_two(row + i, a);
    half_fold_two(row + i + 2, b);
    const Four sums = __builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7);
    *reinterpret_cast<Four*>(out + i) = __builtin_shufflevector(sums, sums, 0, 2, 1, 3);
  }
  for (; i < count; ++i) out[i] = fold(row[i]);
}

// Folds the first `count` rows to out(power).
template <unsigned which, class T, class Out>
inline __attribute__((always_inline)) void fold_all(Unfolded<T>& rows, size_t count, Out out) {
  if constexpr (which & sum_half) {
    for (size_t i = 0; i < count; ++i) {
      T left[lanes];  // by itself: compared as doubles it would take twice as long
#pragma omp simd
      for (int j = 0; j < lanes; ++j) left[j] = left_aside(rows.low[i][j]);
#pragma omp simd
      for (int j = 0; j < lanes; ++j) rows.sum[0][i][j] += double(left[j]);
    }
  }
  for (int power = 0; power < 3; ++power)
    if ((which >> power & 1) != 0) fold_rows(rows.sum[power], count, out(power));
}

// Calls f with `which` as a constant.
template <class F>
inline __attribute__((always_inline)) void with_constant(unsigned which, F f) {
  switch (which) {
    case sum_half:
      return f(std::integral_constant<unsigned, sum_half>());
    case sum_one:
      return f(std::integral_constant<unsigned, sum_one>());
    case sum_two:
      return f(std::integral_constant<unsigned, sum_two>());
    case sum_half | sum_one:
      return f(std::integral_constant<unsigned, sum_half | sum_one>());
    case sum_half | sum_two:
      return f(std::integral_constant<unsigned, sum_half | sum_two>());
    case sum_one | sum_two:
      return f(std::integral_constant<unsigned, sum_one | sum_two>());
    default:
      return f(std::integral_constant<unsigned, sum_half | sum_one | sum_two>());
  }
}

// Calls f with Floats, Halves or Bfloats.
template <class F>
inline __attribute__((always_inline)) void with_elements(DType t, F f) {
  switch (t) {
    case DType::f16:
      return f(Halves());
    case DType::bf16:
      return f(Bfloats());
    default:
      return f(Floats());
  }
}

void special_double(unsigned which, const double* x, size_t n, double factor, double out[3]) {
  with_constant(which, [&](auto constant) {
    Unfolded<double> row;
    add_chunks<constant, false, Doubles>(1, row, [&](size_t) { return Chunk<Doubles>{x, nullptr, n, factor}; });
    fold_all<constant>(row, 1, [&](int power) { return out + power; });
  });
}

template <class Elements>
inline __attribute__((always_inline)) float magnitude_at(const RowTile& rows, size_t i, size_t k) {
  const auto* x = static_cast<const typename Elements::Stored*>(rows.row[i]);
  return rows.live[i] == nullptr || rows.live[i][k] != 0 ? magnitude(Elements::number(x[k])) : 0.0f;
}

// The scale about the first finite magnitude of row i that is not zero.
template <class Elements>
int scale_of_first(const RowTile& rows, size_t i) {
  for (size_t k = 0; k < rows.size[i]; ++k) {
    const float number = magnitude_at<Elements>(rows, i, k);
    if (number != 0.0f && number < float(infinity)) return scale_of(0.0f, binade(double(number)));
  }
  return scale_of(0.0f, 0);
}

// The same: a normal number is most often the first, and its exponent the binade.
template <class Elements>
inline __attribute__((always_inline)) int scale_of_row(const RowTile& rows, size_t i) {
  const int exponent = rows.size[i] == 0 ? 0 : int(bits_as<uint32_t>(magnitude_at<Elements>(rows, i, 0)) >> 23);
  return 0 < exponent && exponent < 255 ? scale_of(0.0f, exponent - 127) : scale_of_first<Elements>(rows, i);
}

// One loop for the elements and one for the ends: what the ends of rows wait for, other rows' ends fill.
template <unsigned which, bool masked, class Elements>
void sum_rows(const RowTile& rows, LaneSums* const sums[3]) {
  using Stored = typename Elements::Stored;
  Unfolded<float> unfolded;
  add_chunks<which, masked, Elements>(rows.count, unfolded, [&](size_t i) __attribute__((always_inline)) {
    const int pivot = rows.pivot[i];
    const int scale = pivot == unknown_pivot ? scale_of_row<Elements>(rows, i) : scale_of(0.0f, pivot);
    for (int power = 0; power < 3; ++power)
      if ((which >> power & 1) != 0) sums[power]->scale[i] = scale;
    const float factor = bits_as<float>(uint32_t(127 - scale) << 23);
    return Chunk<Elements>{static_cast<const Stored*>(rows.row[i]), rows.live[i], rows.size[i], factor};
  });
  fold_all<which>(unfolded, rows.count, [&](int power) { return sums[power]->value; });
}

// Row i of a tile alone, with its largest magnitude for a pivot.
template <class Elements>
RowTile about_largest(const RowTile& rows, size_t i) {
  float largest = 0.0f;
  for (size_t k = 0; k < rows.size[i]; ++k) {
    const float number = magnitude_at<Elements>(rows, i, k);
    largest = largest < number ? number : largest;
  }
  return {rows.dtype, 1, {rows.row[i]}, {rows.live[i]}, {rows.size[i]}, {binade(double(largest))}};
}

template <unsigned which>
inline __attribute__((always_inline)) bool sums_hold(LaneSums* const sums[3], size_t i) {
  double row[3] = {};
  for (int power = 0; power < 3; ++power)
    if ((which >> power & 1) != 0) row[power] = sums[power]->value[i];
  return float_sums_hold(row);
}

template <unsigned which, bool masked, class Elements>
void sum_rows_that_hold(const RowTile& rows, LaneSums* const sums[3]) {
  sum_rows<which, masked, Elements>(rows, sums);
  int64_t failed = 0;
  for (size_t i = 0; i < rows.count; ++i) failed += sums_hold<which>(sums, i) ? 0 : 1;
  for (size_t i = 0; failed != 0 && i < rows.count; ++i) {
    if (sums_hold<which>(sums, i)) continue;
    LaneSums again[3];
    LaneSums* const place[3] = {again, again + 1, again + 2};
    sum_rows<which, masked, Elements>(about_largest<Elements>(rows, i), place);
    for (int power = 0; power < 3; ++power) {
      if ((which >> power & 1) == 0) continue;
      sums[power]->value[i] = again[power].value[0];
      sums[power]->scale[i] = again[power].scale[0];
    }
  }
}

void special_rows(unsigned which, const RowTile& rows, LaneSums* const sums[3]) {
  with_elements(rows.dtype, [&](auto elements) {
    using Elements = decltype(elements);
    with_constant(which, [&](auto constant) {
      rows.live[0] == nullptr ? sum_rows_that_hold<constant, false, Elements>(rows, sums)
                              : sum_rows_that_hold<constant, true, Elements>(rows, sums);
    });
  });
}

}  // namespace
}  // namespace pqi::cpu
