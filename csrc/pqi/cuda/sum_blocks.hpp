// The power sums of all exponents of a launch in one read: chunk by chunk, merged into those of blocks of 64 chunks
// (see
// ../reduction.hpp).
#pragma once

#include "chunk_sums.hpp"
#include "pivot.hpp"

namespace pqi::cuda {

inline constexpr int most_exponents = 16;  // of one launch

// Which exponents a launch sums, those of ½, 1, 2 first.
struct Plan {
  unsigned which = 0;  // 1 << PowerKind for each of ½, 1, 2 that the whole call asks for
  int special = 0, count = 0;
  double r[most_exponents];
  uint32_t place[most_exponents];  // among the call's exponents
};

// A chunk's sum of one exponent, waiting to be merged.
struct ChunkSum {
  double value;
  int64_t scale;
};

// What a launch sums beside ½, 1, 2: nothing; exponents up to widest_float_exponent, of float32; any.
enum class Beside { nothing, quick, guarded };

// A block sums 64 chunks of a group, or as many whole groups as 64 chunks hold. With parts of groups the sums go to
// sums[group][block][exponent], else to sums[group][place]. `which` of ½, 1, 2 is known to the compiler where not zero.
template <class T, Beside beside, bool plain, unsigned which = 0>
struct SumBlocks {
  using General = GeneralSums<T, beside == Beside::quick>;
  static constexpr int threads = int(block_chunks) * quad;

  Source source;
  Plan plan;
  const uint64_t* first;  // each group's first finite non-zero element, for groups of several chunks
  uint64_t exponents;     // of the whole call
  PowerSum* sums;

  static uint64_t blocks(const Source& s) {
    const uint64_t chunks = (s.size + chunk_size - 1) / chunk_size;
    if (chunks > block_chunks) return s.count * ((chunks + block_chunks - 1) / block_chunks);
    const uint64_t groups = block_chunks / chunks;
    return (s.count + groups - 1) / groups;
  }
  PQI_HD static size_t chunk_sum_bytes(int count) { return block_chunks * size_t(count) * sizeof(ChunkSum); }
  static size_t shared_bytes(const Plan& plan) {
    return chunk_sum_bytes(plan.count) + size_t(plan.count - plan.special) * General::bytes(threads);
  }

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t per_group = (source.size + chunk_size - 1) / chunk_size;
    const uint64_t parts = (per_group + block_chunks - 1) / block_chunks;
    const uint64_t here = per_group < block_chunks ? per_group : block_chunks;  // chunks of a group in this block
    const auto slot = uint64_t(block.thread() / quad);
    const uint64_t part = parts > 1 ? block.index() % parts : 0, begin = part * block_chunks;
    const uint64_t first_group = parts > 1 ? block.index() / parts : block.index() * (block_chunks / here);
    const uint64_t group = first_group + slot / here, chunk = begin + slot % here;
    if (slot / here < block_chunks / here && group < source.count && chunk < per_group)
      sum_chunk(block, group, chunk * chunk_size, block.shared<ChunkSum>() + slot * uint64_t(plan.count));
    block.sync();
    const auto count = uint64_t(plan.count);
    for (uint64_t i = uint64_t(block.thread()); i < block_chunks / here * count; i += threads) {
      const uint64_t g = i / count, e = i % count;
      if (first_group + g >= source.count) continue;
      const uint64_t n = per_group - begin < here ? per_group - begin : here;
      const PowerSum sum = merged(block.shared<ChunkSum>() + g * here * count + e, n, plan.r[e]);
      sums[parts > 1 ? (first_group * parts + part) * count + e : (first_group + g) * exponents + plan.place[e]] = sum;
    }
  }

 private:
  // What one reading of a chunk sums: ½, 1, 2 at a scale, exponents [begin, end) at another.
  struct Pass {
    unsigned special;
    int scale, begin, end, shift;
  };

  PQI_DEVICE PowerSum merged(const ChunkSum* parts, uint64_t n, double r) const {
    PowerSum sum;
    for (uint64_t c = 0; c < n; ++c) {
      const ChunkSum part = parts[c * uint64_t(plan.count)];
      PowerSum other;
      other.total.hi = part.value;
      other.scale = part.scale;
      sum.merge(other, r);
    }
    return sum;
  }

  // All at the pivot's scale; what that does not suit is summed again.
  PQI_DEVICE void sum_chunk(Block& block, uint64_t group, uint64_t begin, ChunkSum* found) const {
    Cursor cursor(source, group);
    const uint64_t size = source.size_of(group), rest = begin < size ? size - begin : 0;
    Chunk<T, plain> chunk(block, cursor, begin, rest < chunk_size ? rest : chunk_size);
    const int pivot =
        source.size <= chunk_size ? pivot_of_chunk(block, chunk) : pivot_of_element<T>(cursor, first[group]);
    Pass pass{plan.special > 0 ? plan.which : 0, scale_of(T(0), pivot), plan.special, plan.count, pivot};
    int settled = plan.special;
    uint64_t largest = 0;
    for (bool more = true; more;) {
      const int wanted = run(block, chunk, pass, pivot, found, largest);
      more = pass.special != 0 && wanted != pass.scale;
      pass.begin = pass.end = plan.count;
      pass.scale = wanted;
      if (more || beside != Beside::guarded) continue;
      pass.special = 0;
      for (; !more && settled < plan.count; ++settled) {
        pass.shift = chunk_scale(binade_of_key(largest), pivot, plan.r[settled]);
        more = pass.shift != pivot;
        if (more) pass.begin = settled, pass.end = settled + 1;
      }
    }
  }

  // Returns the scale that ½, 1, 2 should have had.
  PQI_DEVICE int run(Block& block, Chunk<T, plain>& chunk, const Pass& pass, int pivot, ChunkSum* found,
                     uint64_t& largest) const {
    const unsigned asked = which != 0 ? which : pass.special;
    const int others = beside == Beside::nothing ? 0 : pass.end - pass.begin;
    const T factor = T(exact_power_of_two(-pass.scale));
    SpecialSums<T> special;
    General general{block.shared<double>(chunk_sum_bytes(plan.count)) + block.thread(), threads};
    general.clear(others);
    chunk.for_each_row_pair([&](const Row<T>& a, const Row<T>& b) {
      if (asked != 0) special.add(asked, factor, a, b);
      if (others > 0) general.add(plan.r + pass.begin, others, double(pass.shift), a, b);
    });
    if (others > 0) {
      const uint64_t key = general.largest_key(block);
      if (largest == 0) largest = key;
      for (int e = 0; e < others; ++e) put_general(block, found, pass, e, general.fold(block, e), pivot, key);
    }
    if (asked == 0) return pass.scale;
    double out[3];
    special.fold(block, out);
    for (int e = 0; e < plan.special; ++e) {
      const PowerKind kind = power_kind(plan.r[e]);
      put(block, found, e, kind == PowerKind::half ? out[0] : kind == PowerKind::one ? out[1] : out[2], pass.scale);
    }
    return wanted_scale(block, special.largest, pass.scale, pivot, out);
  }

  PQI_DEVICE void put(Block& block, ChunkSum* found, int e, double value, int scale) const {
    if (block.thread() % quad == 0) found[e] = {value, scale};
  }

  // On the quick path the sum with an infinite or NaN element is that, at the scale of a guarded sum.
  PQI_DEVICE void put_general(Block& block, ChunkSum* found, const Pass& pass, int i, double sum, int pivot,
                              uint64_t largest) const {
    constexpr uint64_t infinite = 0x7ff0000000000000ull;
    const int e = pass.begin + i;
    if (beside == Beside::quick && largest >= infinite) {
      put(block, found, e, largest == infinite ? infinity : __builtin_nan(""), chunk_scale(1024, pivot, plan.r[e]));
    } else {
      put(block, found, e, sum, pass.shift);
    }
  }

  PQI_DEVICE int wanted_scale(Block& block, float largest, int scale, int, const double out[3]) const {
    const float all = largest_of_quad(block, largest);
    return float_sums_hold(out) ? scale : scale_of(0.0f, binade(double(all)));
  }
  PQI_DEVICE int wanted_scale(Block& block, double largest, int, int pivot, const double*) const {
    const uint64_t key = largest_of_quad(block, bits_as<uint64_t>(largest));
    return scale_of(0.0, chunk_scale(binade_of_key(key), pivot, 2.0));
  }
};

}  // namespace pqi::cuda
