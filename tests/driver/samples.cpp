#include "samples.hpp"

#include <utility>

using namespace pqi;

namespace {

struct Random {
  uint64_t state;

  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
};

template <class T, class F>
Sample make(std::string name, DType dtype, size_t size, F element) {
  Sample out{std::move(name), dtype, size, std::vector<char>(size * sizeof(T))};
  Random random{uint64_t(dtype) + 1};
  for (size_t i = 0; i < size; ++i) {
    const T value = element(random.next(), i);
    std::memcpy(out.bytes.data() + i * sizeof value, &value, sizeof value);
  }
  return out;
}

// Bell-shaped around zero: eight bytes added up.
float bell(uint64_t r) {
  int sum = -1020;
  for (; r != 0; r >>= 8) sum += int(r & 0xff);
  return float(sum) * 0x1p-8f;
}

// Sign, mantissa and one of `exponents` exponents from `first` on, all alike.
float spread(uint64_t r, uint32_t first, uint32_t exponents) {
  return bits_as<float>((uint32_t(r) & 0x807fffffu) | (first + uint32_t(r >> 32) % exponents) << 23);
}

// Random bits of a floating type whose exponent is never all ones.
template <class T>
T finite_bits(uint64_t r, T exponent_mask, T exponent_bit) {
  const T bits = T(r);
  return (bits & exponent_mask) == exponent_mask ? T(bits ^ exponent_bit) : bits;
}

void add_float32(std::vector<Sample>& out, size_t n) {
  const auto add = [&](const char* name, auto f) { out.push_back(make<float>(name, DType::f32, n, f)); };
  add("bell", [](uint64_t r, size_t) { return bell(r); });
  add("spread", [](uint64_t r, size_t) { return spread(r, 100, 50); });
  add("all exponents", [](uint64_t r, size_t) { return spread(r, 0, 255); });
  add("subnormal", [](uint64_t r, size_t) { return spread(r, 0, 1); });
  add("constant", [](uint64_t, size_t) { return 0.1f; });
  add("int4", [](uint64_t r, size_t) { return float(int(r % 16) - 8) * 0.037f; });
  add("half zero", [](uint64_t r, size_t) { return r >> 63 ? bell(r) : 0.0f; });
  add("one hot", [n](uint64_t, size_t i) { return i == n / 3 ? -0.37f : 0.0f; });
  add("one infinity", [n](uint64_t r, size_t i) { return i == n / 2 ? bits_as<float>(0xff800000u) : bell(r); });
  add("one NaN", [n](uint64_t r, size_t i) { return i == n / 2 ? bits_as<float>(0x7fc00000u) : bell(r); });
}

void add_floats(std::vector<Sample>& out, size_t n) {
  const auto wide = [](uint64_t r, size_t) { return double(bell(r)) * bell(r) * bell(r); };
  out.push_back(make<double>("cubes", DType::f64, n, wide));
  out.push_back(make<uint64_t>("all exponents", DType::f64, n, [](uint64_t r, size_t) {
    return finite_bits<uint64_t>(r, 0x7ff0000000000000ull, 0x4000000000000000ull);
  }));
  out.push_back(make<uint16_t>("bits", DType::f16, n,
                               [](uint64_t r, size_t) { return finite_bits<uint16_t>(r, 0x7c00, 0x4000); }));
  out.push_back(make<uint16_t>("bits", DType::bf16, n,
                               [](uint64_t r, size_t) { return finite_bits<uint16_t>(r, 0x7f80, 0x4000); }));
  out.push_back(
      make<uint8_t>("bits", DType::e5m2, n, [](uint64_t r, size_t) { return finite_bits<uint8_t>(r, 0x7c, 0x40); }));
  out.push_back(
      make<uint8_t>("bits", DType::e4m3, n, [](uint64_t r, size_t) { return finite_bits<uint8_t>(r, 0x7f, 0x40); }));
}

void add_integers(std::vector<Sample>& out, size_t n) {
  const auto bits = [](uint64_t r, size_t) { return r; };
  for (DType t : {DType::i8, DType::u8}) out.push_back(make<uint8_t>("bits", t, n, bits));
  for (DType t : {DType::i16, DType::u16}) out.push_back(make<uint16_t>("bits", t, n, bits));
  for (DType t : {DType::i32, DType::u32}) out.push_back(make<uint32_t>("bits", t, n, bits));
  for (DType t : {DType::i64, DType::u64}) out.push_back(make<uint64_t>("bits", t, n, bits));
  out.push_back(make<uint8_t>("bits", DType::boolean, n, [](uint64_t r, size_t) { return uint8_t(r & 1); }));
}

}  // namespace

View Sample::view(size_t width) const {
  View out;
  out.data = bytes.data();
  out.dtype = dtype;
  const int64_t item = int64_t(item_size(dtype));
  if (width != 0) out.push(int64_t(size / width), int64_t(width) * item);
  out.push(int64_t(width != 0 ? width : size), item);
  return out;
}

View Sample::reversed(size_t step) const {
  View out;
  const int64_t item = int64_t(item_size(dtype));
  out.data = bytes.data() + (size - 1) * size_t(item);
  out.dtype = dtype;
  out.push(int64_t((size + step - 1) / step), -int64_t(step) * item);
  return out;
}

std::vector<Sample> samples(size_t small, size_t large) {
  std::vector<Sample> out;
  add_float32(out, small);
  add_floats(out, small);
  add_integers(out, small);
  out.push_back(make<float>("large bell", DType::f32, large, [](uint64_t r, size_t) { return bell(r); }));
  out.push_back(make<uint16_t>("large bits", DType::bf16, large,
                               [](uint64_t r, size_t) { return finite_bits<uint16_t>(r, 0x7f80, 0x4000); }));
  out.push_back(make<uint8_t>("large bits", DType::i8, large, [](uint64_t r, size_t) { return r; }));
  return out;
}

Sample mask_of(size_t size) {
  return make<uint8_t>("mask", DType::boolean, size, [](uint64_t, size_t i) { return uint8_t(i % 3 != 0); });
}
