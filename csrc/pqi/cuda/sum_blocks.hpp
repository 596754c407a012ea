// Chunk sums merged into block sums and group sums, in the order of ../reduction.hpp. Included by sum_floats.cu and
// sum_doubles.cu, one file an element type so that neither takes long to compile.
#pragma once

#include <vector>

#include "pivot.hpp"
#include "power_sums.hpp"

namespace pqi::cuda {

// A chunk's sum of one exponent, waiting to be merged.
struct ChunkSum {
  double value;
  int64_t scale;
};

// Sums every chunk and merges those of a block of 64 (see ../reduction.hpp), or of as many whole groups as 64 chunks
// hold. Sums go to sums[group][block][exponent]. The exponents are all of one kind.
enum class Kind { special, quick, guarded };  // ½, 1, 2; others up to widest_float_exponent, of float32; any

template <class T, Kind kind>
struct SumBlocks {
  static constexpr int threads = int(block_chunks) * quad;

  Source source;
  Plan plan;
  const uint64_t* first;  // each group's first finite non-zero element, for groups of several chunks
  PowerSum* sums;

  PQI_DEVICE uint64_t chunks() const { return (source.size + chunk_size - 1) / chunk_size; }
  static uint64_t blocks(const Source& s) {
    const uint64_t chunks = (s.size + chunk_size - 1) / chunk_size;
    if (chunks > block_chunks) return s.count * ((chunks + block_chunks - 1) / block_chunks);
    const uint64_t groups = block_chunks / chunks;
    return (s.count + groups - 1) / groups;
  }
  static size_t shared_bytes(const Plan& plan) { return block_chunks * size_t(plan.count) * sizeof(ChunkSum); }

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t per_group = chunks(), parts = (per_group + block_chunks - 1) / block_chunks;
    const uint64_t here = per_group < block_chunks ? per_group : block_chunks;  // chunks of a group in this block
    const auto slot = uint64_t(block.thread() / quad);
    const uint64_t first_group = parts > 1 ? block.index() / parts : block.index() * (block_chunks / here);
    const uint64_t group = first_group + slot / here;
    const uint64_t chunk = (parts > 1 ? block.index() % parts * block_chunks : 0) + slot % here;
    ChunkSum* const found = block.shared<ChunkSum>() + slot * uint64_t(plan.count);
    if (slot / here < block_chunks / here && group < source.count && chunk < per_group)
      sum_chunk(block, group, chunk * chunk_size, found);
    block.sync();
    for (uint64_t i = uint64_t(block.thread()); i < block_chunks / here * uint64_t(plan.count); i += threads) {
      const uint64_t g = i / uint64_t(plan.count), e = i % uint64_t(plan.count);
      if (first_group + g >= source.count) continue;
      const uint64_t begin = parts > 1 ? block.index() % parts * block_chunks : 0;
      const uint64_t n = per_group - begin < here ? per_group - begin : here;
      PowerSum sum;
      for (uint64_t c = 0; c < n; ++c) {
        const ChunkSum part = block.shared<ChunkSum>()[(g * here + c) * uint64_t(plan.count) + e];
        PowerSum other;
        other.total.hi = part.value;
        other.scale = part.scale;
        sum.merge(other, plan.r[e]);
      }
      sums[((first_group + g) * parts + begin / block_chunks) * uint64_t(plan.count) + e] = sum;
    }
  }

 private:
  PQI_DEVICE void sum_chunk(Block& block, uint64_t group, uint64_t begin, ChunkSum* found) const {
    Cursor cursor(source, group);
    const uint64_t rest = source.size - begin;
    Chunk<T> chunk(block, cursor, begin, rest < chunk_size ? rest : chunk_size);
    const int pivot =
        source.size <= chunk_size ? pivot_of_chunk(block, chunk) : pivot_of_element<T>(cursor, first[group]);
    if constexpr (kind == Kind::special) sum_special(block, chunk, pivot, found);
    if constexpr (kind == Kind::quick) sum_quickly(block, chunk, pivot, found);
    if constexpr (kind == Kind::guarded)
      for (int e = 0; e < plan.count; ++e) sum_guarded(block, chunk, pivot, e, found);
  }

  PQI_DEVICE void put(Block& block, ChunkSum* found, int e, double value, int scale) const {
    if (block.thread() % quad == 0) found[e] = {value, scale};
  }

  PQI_DEVICE void sum_special(Block& block, Chunk<T>& chunk, int pivot, ChunkSum* found) const {
    double out[3];
    int scale = scale_of(T(0), pivot);
    for (bool settled = false; !settled;) {
      const T largest = special_sums(block, chunk, plan.which, scale, out);
      const int wanted = wanted_scale(block, largest, scale, pivot, out);
      settled = wanted == scale;
      scale = wanted;
    }
    for (int e = 0; e < plan.count; ++e) put(block, found, e, out[int(power_kind(plan.r[e]))], scale);
  }

  PQI_DEVICE int wanted_scale(Block& block, float largest, int scale, int, const double out[3]) const {
    const float all = largest_of_quad(block, largest);
    return float_sums_hold(out) ? scale : scale_of(0.0f, binade(double(all)));
  }
  PQI_DEVICE int wanted_scale(Block& block, double largest, int, int pivot, const double*) const {
    const uint64_t key = largest_of_quad(block, bits_as<uint64_t>(largest));
    return scale_of(0.0, chunk_scale(binade_of_key(key), pivot, 2.0));
  }

  // Two exponents at a time. With an infinite or NaN element a sum is that, at the scale of a guarded sum.
  PQI_DEVICE void sum_quickly(Block& block, Chunk<float>& chunk, int pivot, ChunkSum* found) const {
    for (int e = 0; e < plan.count; e += 2) {
      const int n = plan.count - e < 2 ? 1 : 2;
      const double r[2] = {plan.r[e], n == 2 ? plan.r[e + 1] : 1.0};
      double out[2];
      const uint32_t largest = general_sums<2>(block, chunk, r, double(pivot), out);
      const bool finite = largest < 0x7f800000u;
      const double special = largest == 0x7f800000u ? infinity : __builtin_nan("");
      for (int i = 0; i < n; ++i)
        put(block, found, e + i, finite ? out[i] : special, finite ? pivot : chunk_scale(1024, pivot, r[i]));
    }
  }

  PQI_DEVICE void sum_guarded(Block& block, Chunk<T>& chunk, int pivot, int e, ChunkSum* found) const {
    double sum;
    int scale = pivot;
    for (bool settled = false; !settled;) {
      const uint64_t largest = guarded_sum(block, chunk, plan.r[e], scale, &sum);
      const int wanted = chunk_scale(binade_of_key(largest), pivot, plan.r[e]);
      settled = wanted == scale;
      scale = wanted;
    }
    put(block, found, e, sum, scale);
  }
};

// sums[group][place] of each exponent from the blocks' sums, in their order.
struct MergeBlocks {
  static constexpr int threads = 128;

  Plan plan;
  uint64_t groups, blocks, stride;
  const PowerSum* parts;
  PowerSum* sums;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t i = block.index() * threads + uint64_t(block.thread());
    if (i >= groups * uint64_t(plan.count)) return;
    const uint64_t group = i / uint64_t(plan.count), e = i % uint64_t(plan.count);
    PowerSum sum = parts[group * blocks * uint64_t(plan.count) + e];
    for (uint64_t b = 1; b < blocks; ++b) sum.merge(parts[(group * blocks + b) * uint64_t(plan.count) + e], plan.r[e]);
    sums[group * stride + plan.place[e]] = sum;
  }
};

// Sums the exponents of a plan in one read.
template <class T, Kind kind>
void sum_plan(const Queue& queue, const Groups& groups, const Plan& plan, size_t exponents, const uint64_t* first,
              PowerSum* sums) {
  if (plan.count == 0) return;
  const uint64_t blocks = (groups.size() + block_size - 1) / block_size;
  const Scratch<PowerSum> parts(queue, groups.count() * blocks * size_t(plan.count));
  const SumBlocks<T, kind> program{groups.source(), plan, first, parts.get()};
  queue.launch(program.blocks(groups.source()), program, program.shared_bytes(plan));
  const uint64_t values = groups.count() * uint64_t(plan.count);
  queue.launch((values + MergeBlocks::threads - 1) / MergeBlocks::threads,
               MergeBlocks{plan, groups.count(), blocks, exponents, parts.get(), sums});
}

template <class T>
void sum_all(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums) {
  const Scratch<uint64_t> first(queue, groups.count());
  if (groups.size() > chunk_size) find_pivots<T>(queue, groups, first);
  unsigned which = 0;
  for (const double r : exponents)
    if (power_kind(r) != PowerKind::general) which |= 1u << int(power_kind(r));
  Plan plans[3];
  const auto sum = [&](Kind kind) {
    Plan& plan = plans[int(kind)];
    if (kind == Kind::special) sum_plan<T, Kind::special>(queue, groups, plan, exponents.size(), first.get(), sums);
    if constexpr (sizeof(T) == 4)
      if (kind == Kind::quick) sum_plan<T, Kind::quick>(queue, groups, plan, exponents.size(), first.get(), sums);
    if (kind == Kind::guarded) sum_plan<T, Kind::guarded>(queue, groups, plan, exponents.size(), first.get(), sums);
    plan.count = 0;
  };
  for (size_t e = 0; e < exponents.size(); ++e) {
    const double r = exponents[e];
    const Kind kind = power_kind(r) != PowerKind::general            ? Kind::special
                      : sizeof(T) == 4 && r <= widest_float_exponent ? Kind::quick
                                                                     : Kind::guarded;
    Plan& plan = plans[int(kind)];
    plan.which = which;
    plan.r[plan.count] = r;
    plan.place[plan.count++] = uint32_t(e);
    if (plan.count == most_exponents) sum(kind);
  }
  for (const Kind kind : {Kind::special, Kind::quick, Kind::guarded}) sum(kind);
}

}  // namespace pqi::cuda
