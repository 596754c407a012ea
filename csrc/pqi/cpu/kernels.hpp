// The inner loops, compiled once per instruction set. One table per object is all that such an object exports.
#pragma once

#include <type_traits>

#include "../magnitude_key.hpp"
#include "../reduction.hpp"

namespace pqi::cpu {

// Which of the exponents ½, 1, 2 a fused pass sums; results stand in this order.
enum SpecialPowers : unsigned { sum_half = 1, sum_one = 2, sum_two = 4 };

// Up to `lanes` chunks of float32, float16 or bfloat16 elements, and the pivot's binade of each, or unknown_pivot: to
// be found in the chunk.
inline constexpr int unknown_pivot = 1 << 30;
struct RowTile {
  DType dtype;
  size_t count;
  const void* row[lanes];
  const uint8_t* live[lanes];  // zero for elements that count as zeros; all null where none does
  size_t size[lanes];
  int pivot[lanes];
};

// Σ|x|^r = value · 2^(r·scale) of up to `lanes` groups.
struct LaneSums {
  double value[lanes];
  int64_t scale[lanes];
};

// How many of the lanes are groups, and the entries of each.
struct LaneSizes {
  size_t count;
  double d[lanes];
};

// Ranked sums of `lanes` groups at once: Σ (2k − d − 1) w and Σ w in double-double, and the largest key of each.
struct RankedLanes {
  double ranked_hi[lanes], ranked_lo[lanes], sum_hi[lanes], sum_lo[lanes];
  uint64_t largest[lanes];
};

// How many values were counted, their sum, and the sum of all pairwise differences.
struct CountedValues {
  uint64_t count, sum, differences;
};

// Tiles whose columns are to be sorted have whole multiples of this many rows.
inline constexpr int network_rows = 16;
PQI_HD constexpr size_t tile_rows(size_t width) { return (width + network_rows - 1) / network_rows * network_rows; }

// Where rows are cut: the keys above `low` are a row's top k, and those equal to it as far as they come before `end`.
template <class Signed>
struct Cuts {
  Signed low[lanes];
  uint32_t end[lanes];
};

// What the cuts of one tile of rows tell about the next one's: a guess, and half of how far neighbouring ranks lie
// apart. It changes how long the search takes, and nothing else.
template <class Signed>
struct CutHint {
  bool known = false;
  Signed guess = 0;
  double stride = sizeof(Signed) == 4 ? 0x1p16 : 0x1p45;  // between close and far neighbours among float keys
};

// The keys of `lanes` rows, at any address, as signed numbers in their order: min(element & mask, cap), the least of
// them `lowest`.
template <class Signed>
struct OrderedRows {
  const void* row[lanes];
  Signed mask, cap, lowest;
};

// How many keys are told apart by comparing each with each.
inline constexpr size_t most_settled = 8;

// A sum over some of a chunk's elements, exactly: that of value·2^exponent over its terms.
struct ExactTerms {
  static constexpr size_t most = 7;

  size_t count;
  uint64_t value[most];
  int exponent[most];
};

// Codes are taken in stretches of so many, and kernels are called with whole turns of so many.
inline constexpr size_t code_stretch = 32, code_turn = 128;
inline constexpr int no_hint = -1;

// How a type's sums come about in the least time: from counts of its codes, by adding elements up, or by counting some
// of them while others are added up.
enum class CodeUse { counted, added, both };

struct Kernels {
  const char* name;

  // n elements of a type as float32 or float64 numbers, or as unsigned magnitudes / key bits of a width.
  void (*to_float)(DType, const void*, size_t n, float*);
  void (*to_double)(DType, const void*, size_t n, double*);
  void (*to_bits16)(DType, const void*, size_t n, uint16_t*);
  void (*to_bits32)(DType, const void*, size_t n, uint32_t*);
  void (*to_bits64)(DType, const void*, size_t n, uint64_t*);

  // out[i] = live[i] ? bits[i] : 0; in place or apart.
  void (*clear_dead16)(const uint16_t* bits, const uint8_t* live, size_t n, uint16_t* out);
  void (*clear_dead32)(const uint32_t* bits, const uint8_t* live, size_t n, uint32_t* out);
  void (*clear_dead64)(const uint64_t* bits, const uint8_t* live, size_t n, uint64_t* out);
  // The live elements one behind the other, in place or apart; returns how many. Up to n elements of `out` are written.
  size_t (*pick_live16)(const uint16_t* bits, const uint8_t* live, size_t n, uint16_t* out);
  size_t (*pick_live32)(const uint32_t* bits, const uint8_t* live, size_t n, uint32_t* out);
  size_t (*pick_live64)(const uint64_t* bits, const uint8_t* live, size_t n, uint64_t* out);

  // Chunk sums in the order of reduction.hpp, n ≤ chunk_size. Of floats: at the pivot's scale, or at that of the
  // largest magnitude where float_sums_hold does not; *out[i] for the SpecialPowers that `which` holds. `factor` is a
  // power of two applied to every element.
  void (*special_rows)(unsigned which, const RowTile&, LaneSums* const out[3]);
  void (*special_double)(unsigned which, const double*, size_t n, double factor, double out[3]);
  // out[e] = Σ|x|^r[e] · 2^(−r[e]·shift) for exponents up to widest_float_exponent; false, and no result, if an element
  // is infinite or NaN.
  bool (*general_float)(const float*, size_t n, const double* r, double shift, size_t exponents, double* out);
  // Σ|x|^r · 2^(−r·shift) for anything.
  double (*general_double)(const double*, size_t n, double r, double shift);
  // x[i] ← x[i]^r · 2^(−r·shift) for x ≥ 0.
  void (*powers)(double* x, size_t n, double r, double shift);

  // How sums of these SpecialPowers of a type come about; sum_codes is for those that are not counted alone.
  CodeUse (*code_use)(unsigned which, DType);
  // Exact sums of the elements' powers as histogram_sums.hpp defines them, out[i] of the i-th of the SpecialPowers that
  // `which` holds, over n ≤ chunk_size elements, at least one turn and whole ones. What cannot be added here is left
  // out: infinities, NaNs, subnormal numbers and others too far from most. `left`, room for n, takes the codes of these
  // and of neighbours that they take along, but for zeros perhaps; returns how many. Elements may be counted instead in
  // `counters`, one a code without its sign, unless they are null. What a chunk made of *hint helps with the next one;
  // no_hint at first, and after a chunk that it misled.
  size_t (*sum_codes)(unsigned which, DType, const uint16_t*, size_t n, int* hint, ExactTerms out[3], uint16_t* left,
                      uint32_t* counters);

  // Of every group what reduction.hpp makes of its sums: mean_of, index_of, retained_bound_of, highest_index.
  void (*means)(const LaneSums&, const LaneSizes&, double r, double* out);
  void (*indices)(const LaneSums& p_sums, const LaneSums& q_sums, const LaneSizes&, double p, double q,
                  const double* highest, double* out);
  void (*bounds)(const LaneSums& p_sums, const LaneSums& q_sums, const LaneSizes&, double p, double q, double eta,
                 double* out);
  void (*highest_indices)(const LaneSizes&, double p, double q, double* out);

  // The largest bits without their signs.
  uint32_t (*largest_float)(const uint32_t*, size_t n);
  uint64_t (*largest_double)(const double*, size_t n);
  // The largest key; adds to *zeros how many keys are zero.
  uint16_t (*extent16)(const uint16_t*, size_t n, KeyRule<uint16_t>, uint64_t* zeros);
  uint32_t (*extent32)(const uint32_t*, size_t n, KeyRule<uint32_t>, uint64_t* zeros);
  uint64_t (*extent64)(const uint64_t*, size_t n, KeyRule<uint64_t>, uint64_t* zeros);

  // The Gini indices of `lanes` rows of `width` float magnitudes, at any address, whose live[j] entries that count are
  // all but some zeros; nan where it is not defined. `tile` is room for tile_rows(width) · lanes keys. float64 sums are
  // scaled by the largest magnitude's binade.
  void (*rank_float_rows)(const void* const* rows, size_t width, const double* live, uint32_t* tile, double* gini);
  void (*rank_double_rows)(const void* const* rows, size_t width, const double* live, uint64_t* tile, double* gini);
  // Sorts a tile of network_rows · 2^k rows that one vector's magnitudes' bits fill in any order: the ranked sums are
  // those of all lanes together, its largest key is the last lane's.
  void (*rank_float_vector)(uint32_t* tile, size_t rows, double live, RankedLanes*);
  void (*rank_double_vector)(uint64_t* tile, size_t rows, double live, RankedLanes*);

  // Of fewer than 2^24 values of 16 bits: counts[t][l] is how often the value l·2048 + t occurs, so that each of 32
  // lanes walks a stretch of its own.
  CountedValues (*rank_counts)(const uint8_t* counts);

  uint64_t (*count_true)(const uint8_t*, size_t n);
  uint64_t (*read)(const void*, size_t bytes);  // the yardstick: every 64-bit word added up

  // Top-k: out[i] = (key > high) + 2·(low ≤ key ≤ high); returns how many keys exceed high and adds to *between.
  uint64_t (*classify16)(const uint16_t*, size_t n, KeyRule<uint16_t>, uint16_t low, uint16_t high, uint8_t* out,
                         uint64_t* between);
  uint64_t (*classify32)(const uint32_t*, size_t n, KeyRule<uint32_t>, uint32_t low, uint32_t high, uint8_t* out,
                         uint64_t* between);
  uint64_t (*classify64)(const uint64_t*, size_t n, KeyRule<uint64_t>, uint64_t low, uint64_t high, uint8_t* out,
                         uint64_t* between);
  // How many of the keys, bits & mask, exceed a threshold below every NaN's; n ≤ chunk_size.
  uint64_t (*count_above16)(const uint16_t*, size_t n, uint16_t mask, uint16_t threshold);
  uint64_t (*count_above32)(const uint32_t*, size_t n, uint32_t mask, uint32_t threshold);
  uint64_t (*count_above64)(const uint64_t*, size_t n, uint64_t mask, uint64_t threshold);
  // Clears a mask of 0, 1 and 2 where nothing lives; returns how many 1s are left and adds the 2s to *between.
  uint64_t (*drop_dead)(const uint8_t* live, size_t n, uint8_t* mask, uint64_t* between);
  // Turns the first `ties` 2s of a mask into 1 and the others into 0; returns how many became 1.
  uint64_t (*settle_ties)(uint8_t* mask, size_t n, uint64_t ties);
  // Of at most most_settled 2s those of the `wanted` largest keys, ties by lowest place, become 1 and the others 0;
  // returns the smallest key that became 1.
  uint16_t (*settle_largest16)(const uint16_t*, size_t n, KeyRule<uint16_t>, uint8_t* mask, uint64_t wanted);
  uint32_t (*settle_largest32)(const uint32_t*, size_t n, KeyRule<uint32_t>, uint8_t* mask, uint64_t wanted);
  uint64_t (*settle_largest64)(const uint64_t*, size_t n, KeyRule<uint64_t>, uint8_t* mask, uint64_t wanted);
  // Keys as signed numbers in the same order, which every instruction set compares.
  void (*order16)(const uint16_t*, size_t n, KeyRule<uint16_t>, int32_t* out);
  void (*order32)(const uint32_t*, size_t n, KeyRule<uint32_t>, int32_t* out);
  void (*order64)(const uint64_t*, size_t n, KeyRule<uint64_t>, int64_t* out);
  // Finds where rows of `width` keys are cut, 1 ≤ k ≤ width; lanes without a row take tile_rows(width) for k. `tile`
  // has room for tile_rows(width) · lanes keys.
  void (*cut_rows32)(const OrderedRows<int32_t>&, size_t width, const int32_t* k, int32_t* tile, CutHint<int32_t>*,
                     Cuts<int32_t>*);
  void (*cut_rows64)(const OrderedRows<int64_t>&, size_t width, const int64_t* k, int64_t* tile, CutHint<int64_t>*,
                     Cuts<int64_t>*);
  // Marks the first size[j] keys of row j in out[j], where that is not null: those that belong to the top k.
  void (*mark_rows32)(const OrderedRows<int32_t>&, const size_t* size, const Cuts<int32_t>&, uint8_t* const* out);
  void (*mark_rows64)(const OrderedRows<int64_t>&, const size_t* size, const Cuts<int64_t>&, uint8_t* const* out);

  // Copies elements of a type as they are, but zero where the key is below `least`. Neither side need be aligned; they
  // must not overlap. Keys of bool are its bytes.
  void (*clear_below)(DType, const void*, size_t n, uint64_t least, void* out);
};

#if defined(__aarch64__)
extern const Kernels kernels_neon;  // what every such processor has
#else
extern const Kernels kernels_baseline;
#endif
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
extern const Kernels kernels_avx512icl;
#endif

}  // namespace pqi::cpu
