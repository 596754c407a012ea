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

// The pivot: the first finite non-zero magnitude.
template <class T>
std::optional<int> binade_of_first(const T* x, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (x[i] != T(0) && x[i] - x[i] == T(0)) return binade(std::fabs(double(x[i])));
  return std::nullopt;
}

template <class T>
int pivot_binade(Reader& reader, size_t size) {
  for (size_t begin = 0; begin < size; begin += chunk_size) {
    const size_t n = std::min(chunk_size, size - begin);
    if (const auto found = binade_of_first(reader.read<T>(begin, n), n)) return *found;
  }
  return 0;
}

// Adds one chunk's sums to the group's or block's.
class ChunkSummer {
 public:
  ChunkSummer(const Kernels& kernels, const Plan& plan)
      : kernels_(kernels), plan_(plan), scratch_(plan.exponents.size()) {}

  void add(const float* x, size_t n, int pivot, PowerSum* sums) {
    if (plan_.special != 0) special_float(x, n, pivot, sums);
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
      merge_special(out, scale, sums);
    }
    for (size_t e : plan_.general) general_double(x, n, pivot, e, sums);
  }

 private:
  int largest_binade(const double* x, size_t n) const {
    const uint64_t bits = kernels_.largest_double(x, n);
    return bits == 0 ? 0 : binade(bits_as<double>(bits));
  }

  void special_float(const float* x, size_t n, int pivot, PowerSum* sums) {
    double out[3] = {};
    int scale = scale_of(0.0f, pivot);
    kernels_.special_float(plan_.special, x, n, float(exact_power_of_two(-scale)), out);
    if (!float_sums_hold(out)) {
      float largest = 0.0f;
      for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
      scale = scale_of(0.0f, binade(double(largest)));
      kernels_.special_float(plan_.special, x, n, float(exact_power_of_two(-scale)), out);
    }
    merge_special(out, scale, sums);
  }

  void merge_special(const double out[3], int scale, PowerSum* sums) const {
    for (size_t e = 0; e < plan_.exponents.size(); ++e) {
      const PowerKind kind = power_kind(plan_.exponents[e]);
      if (kind != PowerKind::general) sums[e].merge({{out[int(kind)], 0.0}, scale}, plan_.exponents[e]);
    }
  }

  void general_double(const double* x, size_t n, int pivot, size_t e, PowerSum* sums) const {
    const double r = plan_.exponents[e];
    const int scale = chunk_scale(largest_binade(x, n), pivot, r);
    sums[e].merge({{kernels_.general_double(x, n, r, double(scale)), 0.0}, scale}, r);
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
  Buffer<double> wide_;
};

// Adds the chunks of [begin, end), the first of which begins there, in order.
template <class T>
void sum_block(Reader& reader, ChunkSummer& summer, size_t begin, size_t end, int pivot, PowerSum* sums) {
  for (; begin < end; begin += chunk_size) {
    const size_t n = std::min(chunk_size, end - begin);
    summer.add(reader.read<T>(begin, n), n, pivot, sums);
  }
}

}  // namespace pqi::cpu
