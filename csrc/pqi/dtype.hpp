// Element types, and the three ways the algorithms look at an element: as a number, as its magnitude's bits, as a code.
//
// `stream` says in which form the elements of a type travel: types that float32 holds exactly are computed as float32,
// every other type as float64 (64-bit integers beyond 2^53 are rounded to the nearest float64).
#pragma once

#include "portable.hpp"

namespace pqi {

enum class DType : int { f64, f32, f16, bf16, e4m3, e5m2, i8, i16, i32, i64, u8, u16, u32, u64, boolean };
inline constexpr int dtype_count = 15;

PQI_HD constexpr size_t item_size(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64:
    case DType::u64:
      return 8;
    case DType::f32:
    case DType::i32:
    case DType::u32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
    case DType::u16:
      return 2;
    default:
      return 1;
  }
}

PQI_HD constexpr bool is_floating(DType t) { return t <= DType::e5m2; }

PQI_HD constexpr bool is_signed_integer(DType t) { return t >= DType::i8 && t <= DType::i64; }

// One- and two-byte types: at most 65,536 magnitudes, so a histogram of codes holds everything.
PQI_HD constexpr bool is_narrow(DType t) { return item_size(t) <= 2; }

// What arrays of several types have in common. Arrays without elements decide nothing but whether all types are one.
struct TypeJoin {
  DType first = DType::f64;
  bool any = false, homogeneous = true, floats = false, fits_float = true, fits_32 = true;

  PQI_HD void add(DType t, size_t elements) {
    if (!any) first = t;
    any = true;
    homogeneous &= t == first;
    if (elements == 0) return;
    floats |= is_floating(t);
    fits_float &= is_narrow(t) || t == DType::f32;
    fits_32 &= item_size(t) <= 4;
  }

  // That of all arrays, else float32 where it holds them all exactly, else float64; unsigned integers for integers.
  // Numbers travel as float32 where `fits_float`, else as float64.
  PQI_HD DType common() const {
    if (homogeneous) return first;
    if (floats) return fits_float ? DType::f32 : DType::f64;
    return fits_32 ? DType::u32 : DType::u64;
  }
};

// float16 bits to float32, branch-free so that it vectorises: shift the payload into place, then rescale by 2^112;
// the multiplication makes subnormals normal, and the largest exponent is set to inf/NaN by hand.
PQI_HD float half_to_float(uint16_t h) {
  const uint32_t magnitude = (uint32_t(h) & 0x7fffu) << 13;
  const float scaled = bits_as<float>(magnitude) * 0x1p112f;
  const uint32_t special = (uint32_t(h) & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
  return bits_as<float>(bits_as<uint32_t>(scaled) | special | (uint32_t(h) & 0x8000u) << 16);
}

PQI_HD float bfloat_to_float(uint16_t b) { return bits_as<float>(uint32_t(b) << 16); }

// float8 e5m2 is the upper byte of a float16.
PQI_HD float e5m2_to_float(uint8_t b) { return half_to_float(uint16_t(b) << 8); }

// float8 e4m3fn: bias 7, no infinity, NaN only where all magnitude bits are set.
PQI_HD float e4m3_to_float(uint8_t b) {
  const float scaled = bits_as<float>((uint32_t(b) & 0x7fu) << 20) * 0x1p120f;
  const uint32_t special = (b & 0x7f) == 0x7f ? 0x7fc00000u : 0u;
  return bits_as<float>(bits_as<uint32_t>(scaled) | special | (uint32_t(b) & 0x80u) << 24);
}

// |x| of a signed integer as an unsigned one of its width: |int8 −128| is 128.
template <class U, class S>
PQI_HD U unsigned_magnitude(S x) {
  return x < 0 ? U(U(0) - U(x)) : U(x);
}

}  // namespace pqi
