// The part of module pqi._core that holds what adds up over chunks, shards and ranks.
#pragma once

#include <algorithm>
#include <string>

#include "../pqi/cpu/histogram.hpp"
#include "arguments.hpp"

namespace pqi {

inline cpu::Histogram histogram_from(int dtype, const GivenIntegers& counts) {
  if (dtype < 0 || dtype >= dtype_count || !is_narrow(DType(dtype)) || counts.size() != 65536)
    throw py::value_error("a histogram has 65,536 counts of a one- or two-byte type");
  const size_t codes = codes_of(DType(dtype));
  if (std::any_of(counts.data() + codes, counts.data() + counts.size(), [](uint64_t count) { return count != 0; }))
    throw py::value_error("a histogram of this type has counts of its first " + std::to_string(codes) + " codes alone");
  return {DType(dtype), {counts.data(), counts.data() + counts.size()}};
}

void bind_accumulators(py::module_& m);

}  // namespace pqi
