// Power sums of one chunk: which kernel sums which exponent, and at which scale (see ../reduction.hpp).
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "kernels.hpp"
#include "source.hpp"

namespace pqi::cpu {

// Which kernel sums which exponent.
struct Plan {
  const std::vector<double>& exponents;
  unsigned special = 0;                // SpecialPowers
  std::vector<size_t> general;         // places of the other exponents in `exponents`
  std::vector<double> general_values;  // their values
  std::vector<size_t> wide;            // places of exponents that float32 elements must be widened for

  bool has_general() const { return !general.empty() || !wide.empty(); }

  explicit Plan(const std::vector<double>& r, bool as_float) : exponents(r) {
    for (size_t e = 0; e < r.size(); ++e) {
      const PowerKind kind = power_kind(r[e]);
      if (kind != PowerKind::general) special |= 1u << int(kind);
      if (kind != PowerKind::general) continue;
      if (as_float && r[e] > widest_float_exponent) {
        wide.push_back(e);
      } else {
        general.push_back(e);
        general_values.push_back(r[e]);
      }
    }
  }
};

// Calls f(place, PowerKind) for the exponents ½, 1 and 2.
template <class F>
void for_each_special(const Plan& plan, F f) {
  for (size_t e = 0; e < plan.exponents.size(); ++e)
    if (const PowerKind kind = power_kind(plan.exponents[e]); kind != PowerKind::general) f(e, int(kind));
}

// The pivot: the first finite non-zero magnitude.
template <class T, class Number>
std::optional<int> binade_of_first(const T* x, const uint8_t* live, size_t n, Number number) {
  for (size_t i = 0; i < n; ++i)
    if (const auto value = number(x[i]); value != 0 && value - value == 0 && (live == nullptr || live[i] != 0))
      return binade(std::fabs(double(value)));
  return std::nullopt;
}

inline std::optional<int> binade_of_first(const double* x, size_t n) {
  return binade_of_first(x, nullptr, n, [](double number) { return number; });
}

inline std::optional<int> binade_of_first(FloatChunk chunk, size_t n) {
  switch (chunk.dtype) {
    case DType::f16:
      return binade_of_first(static_cast<const uint16_t*>(chunk.data), chunk.live, n,
                             [](uint16_t bits) { return half_to_float(bits); });
    case DType::bf16:
      return binade_of_first(static_cast<const uint16_t*>(chunk.data), chunk.live, n,
                             [](uint16_t bits) { return bfloat_to_float(bits); });
    default:
      return binade_of_first(static_cast<const float*>(chunk.data), chunk.live, n, [](float number) { return number; });
  }
}

// Elements in the form that a ChunkSummer takes.
template <class T>
auto read_chunk(Reader& reader, size_t begin, size_t n) {
  if constexpr (std::is_same_v<T, float>) return reader.read_floats(begin, n);
  if constexpr (std::is_same_v<T, double>) return reader.read<double>(begin, n);
}

template <class T>
std::optional<int> pivot_binade(Reader& reader, size_t size) {
  for (size_t begin = 0; begin < size; begin += chunk_size) {
    const size_t n = std::min(chunk_size, size - begin);
    if (const auto found = binade_of_first(read_chunk<T>(reader, begin, n), n)) return found;
  }
  return std::nullopt;
}

// Adds one chunk's sums to the group's or block's.
class ChunkSummer {
 public:
  ChunkSummer(const Kernels& kernels, const Plan& plan)
      : kernels_(kernels), plan_(plan), scratch_(plan.exponents.size()) {}

  void add(FloatChunk chunk, size_t n, int pivot, PowerSum* sums) {
    if (plan_.special != 0) special_float(chunk, n, pivot, sums);
    if (plan_.has_general()) add_general(chunk, n, pivot, sums);
  }

  void add(const float* x, size_t n, int pivot, PowerSum* sums) {
    add(FloatChunk{x, DType::f32, nullptr}, n, pivot, sums);
  }

  // The sums of other exponents than ½, 1, 2.
  void add_general(FloatChunk chunk, size_t n, int pivot, PowerSum* sums) {
    const float* const x = as_floats(chunk, n);
    bool widened = false;
    if (!plan_.general.empty()) {
      const auto& r = plan_.general_values;
      if (kernels_.general_float(x, n, r.data(), double(pivot), r.size(), scratch_.data())) {
        for (size_t i = 0; i < r.size(); ++i) sums[plan_.general[i]].merge({{scratch_[i], 0.0}, pivot}, r[i]);
      } else {
        widen(x, n, widened);
        for (size_t e : plan_.general) general_double(wide_.data(), n, pivot, e, sums);
      }
    }
    for (size_t e : plan_.wide) {
      widen(x, n, widened);
      general_double(wide_.data(), n, pivot, e, sums);
    }
  }

  void add(const double* x, size_t n, int pivot, PowerSum* sums) {
    if (plan_.special != 0) {
      const int largest = largest_binade(x, n);
      const int scale = scale_of(0.0, chunk_scale(largest, pivot, 2.0));
      double out[3];
      kernels_.special_double(plan_.special, x, n, exact_power_of_two(-scale), out);
      for_each_special(plan_,
                       [&](size_t e, int kind) { sums[e].merge({{out[kind], 0.0}, scale}, plan_.exponents[e]); });
    }
    for (size_t e : plan_.general) general_double(x, n, pivot, e, sums);
  }

 private:
  int largest_binade(const double* x, size_t n) const {
    const uint64_t bits = kernels_.largest_double(x, n);
    return bits == 0 ? 0 : binade(bits_as<double>(bits));
  }

  void special_float(FloatChunk chunk, size_t n, int pivot, PowerSum* sums) {
    RowTile tile;
    tile.dtype = chunk.dtype;
    tile.count = 1;
    tile.row[0] = chunk.data;
    tile.live[0] = chunk.live;
    tile.size[0] = n;
    tile.pivot[0] = pivot;
    LaneSums lane[3];
    LaneSums* const out[3] = {lane, lane + 1, lane + 2};
    kernels_.special_rows(plan_.special, tile, out);
    for_each_special(plan_, [&](size_t e, int kind) {
      sums[e].merge({{lane[kind].value[0], 0.0}, lane[kind].scale[0]}, plan_.exponents[e]);
    });
  }

  void general_double(const double* x, size_t n, int pivot, size_t e, PowerSum* sums) const {
    const double r = plan_.exponents[e];
    const int scale = chunk_scale(largest_binade(x, n), pivot, r);
    sums[e].merge({{kernels_.general_double(x, n, r, double(scale)), 0.0}, scale}, r);
  }

  const float* as_floats(FloatChunk chunk, size_t n) {
    const auto* floats = static_cast<const float*>(chunk.data);
    if (chunk.dtype != DType::f32) {
      floats_.resize(chunk_size);
      kernels_.to_float(chunk.dtype, chunk.data, n, floats_.data());
      floats = floats_.data();
    }
    if (chunk.live == nullptr) return floats;
    floats_.resize(chunk_size);
    kernels_.clear_dead32(reinterpret_cast<const uint32_t*>(floats), chunk.live, n,
                          reinterpret_cast<uint32_t*>(floats_.data()));
    return floats_.data();
  }

  void widen(const float* x, size_t n, bool& done) {
    if (done) return;
    wide_.resize(chunk_size);
    kernels_.to_double(DType::f32, x, n, wide_.data());
    done = true;
  }

  const Kernels& kernels_;
  const Plan& plan_;
  std::vector<double> scratch_;
  Buffer<float> floats_;
  Buffer<double> wide_;
};

// Adds the chunks of [begin, end), the first of which begins there, in order. Returns how many elements live.
template <class T>
uint64_t sum_block(Reader& reader, ChunkSummer& summer, size_t begin, size_t end, int pivot, PowerSum* sums) {
  uint64_t live = 0;
  for (; begin < end; begin += chunk_size) {
    const size_t n = std::min(chunk_size, end - begin);
    summer.add(read_chunk<T>(reader, begin, n), n, pivot, sums);
    live += reader.count_live(begin, begin + n);  // while the mask is in the cache
  }
  return live;
}

}  // namespace pqi::cpu
