// Elements of every type as numbers, magnitudes or key bits. Included by kernels.cpp alone.
#pragma once

#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

// `f` is a lambda: a function passed by its address would be a weak symbol of this object.
template <class In, class Out, class F>
inline void map(const void* in, size_t n, Out* out, F f) {
  const In* x = static_cast<const In*>(in);
  for (size_t i = 0; i < n; ++i) out[i] = Out(f(x[i]));
}

template <class Out>
void to_number(DType t, const void* in, size_t n, Out* out) {
  const auto same = [](auto x) { return Out(x); };
  switch (t) {
    case DType::f64:
      return map<double>(in, n, out, same);
    case DType::f32:
      return map<float>(in, n, out, same);
    case DType::f16:
      return map<uint16_t>(in, n, out, [](uint16_t x) { return half_to_float(x); });
    case DType::bf16:
      return map<uint16_t>(in, n, out, [](uint16_t x) { return bfloat_to_float(x); });
    case DType::e4m3:
      return map<uint8_t>(in, n, out, [](uint8_t x) { return e4m3_to_float(x); });
    case DType::e5m2:
      return map<uint8_t>(in, n, out, [](uint8_t x) { return e5m2_to_float(x); });
    case DType::i8:
      return map<int8_t>(in, n, out, same);
    case DType::i16:
      return map<int16_t>(in, n, out, same);
    case DType::i32:
      return map<int32_t>(in, n, out, same);
    case DType::i64:
      return map<int64_t>(in, n, out, same);
    case DType::u8:
      return map<uint8_t>(in, n, out, same);
    case DType::u16:
      return map<uint16_t>(in, n, out, same);
    case DType::u32:
      return map<uint32_t>(in, n, out, same);
    case DType::u64:
      return map<uint64_t>(in, n, out, same);
    case DType::boolean:
      return map<uint8_t>(in, n, out, [](uint8_t x) { return Out(x != 0); });
  }
}

template <class U>
void to_bits(DType t, const void* in, size_t n, U* out) {
  const auto same = [](auto x) { return U(x); };
  const auto magnitude = [](auto x) { return U(unsigned_magnitude<U>(x)); };
  switch (t) {
    case DType::i8:
      return map<int8_t>(in, n, out, magnitude);
    case DType::i16:
      return map<int16_t>(in, n, out, magnitude);
    case DType::i32:
      return map<int32_t>(in, n, out, magnitude);
    case DType::i64:
      return map<int64_t>(in, n, out, magnitude);
    case DType::boolean:
      return map<uint8_t>(in, n, out, [](uint8_t x) { return U(x != 0); });
    default:
      break;
  }
  switch (item_size(t)) {
    case 1:
      return map<uint8_t>(in, n, out, same);
    case 2:
      return map<uint16_t>(in, n, out, same);
    case 4:
      return map<uint32_t>(in, n, out, same);
    default:
      return map<uint64_t>(in, n, out, same);
  }
}

}  // namespace
}  // namespace pqi::cpu
