// Plain loops over fixed lanes that the compiler vectorises; compiled once per instruction set with PQI_KERNELS naming
// the exported table. Everything else here is internal to the object: an inline function shared with another object
// would let the linker pick the copy that this machine cannot run.
#include "kernels.hpp"

#include "kernels/clear.hpp"
#include "kernels/code_sums.hpp"
#include "kernels/convert.hpp"
#include "kernels/counts.hpp"
#include "kernels/cuts.hpp"
#include "kernels/general_sums.hpp"
#include "kernels/keys.hpp"
#include "kernels/lane_measures.hpp"
#include "kernels/live.hpp"
#include "kernels/ranks.hpp"
#include "kernels/special_sums.hpp"
#include "kernels/sums.hpp"
#include "kernels/vectors.hpp"

#ifndef PQI_KERNELS
#define PQI_KERNELS kernels_baseline
#define PQI_KERNELS_NAME "baseline"
#endif

namespace pqi::cpu {

const Kernels PQI_KERNELS = {
    PQI_KERNELS_NAME,
    to_number<float>,
    to_number<double>,
    to_bits<uint16_t>,
    to_bits<uint32_t>,
    to_bits<uint64_t>,
    clear_dead<uint16_t>,
    clear_dead<uint32_t>,
    clear_dead<uint64_t>,
    pick_live<uint16_t>,
    pick_live<uint32_t>,
    pick_live<uint64_t>,
    special_rows,
    special_double,
    general_float,
    general_double,
    powers,
    code_use,
    sum_codes,
    means,
    indices,
    bounds,
    highest_indices,
    largest_float,
    largest_double,
    extent<uint16_t>,
    extent<uint32_t>,
    extent<uint64_t>,
    rank_float_rows,
    rank_double_rows,
    rank_float_vector,
    rank_double_vector,
    rank_counts,
    count_true,
    read,
    classify<uint16_t>,
    classify<uint32_t>,
    classify<uint64_t>,
    count_above<uint16_t>,
    count_above<uint32_t>,
    count_above<uint64_t>,
    drop_dead,
    settle_ties,
    settle_largest<uint16_t>,
    settle_largest<uint32_t>,
    settle_largest<uint64_t>,
    to_order<uint16_t, int32_t>,
    to_order<uint32_t, int32_t>,
    to_order<uint64_t, int64_t>,
    cut_rows<int32_t>,
    cut_rows<int64_t>,
    mark_rows<int32_t>,
    mark_rows<int64_t>,
    clear_below,
};

}  // namespace pqi::cpu
