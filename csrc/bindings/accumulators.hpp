// The part of module pqi._core that holds what adds up over chunks, shards and ranks.
#pragma once

#include <string>

#include "../pqi/cpu/histogram.hpp"
#include "arguments.hpp"

namespace pqi {

inline cpu::Histogram histogram_from(int dtype, const GivenIntegers& counts) {
  if (dtype < 0 || dtype >= dtype_count || !is_narrow(DType(dtype)) || counts.size() != 65536)
    throw py::value_error("a histogram has 65,536 counts of a one- or two-byte type");
  cpu::Histogram given{DType(dtype), {counts.data(), counts.data() + counts.size()}};
  if (!given.holds_own_codes())
    throw py::value_error("a histogram of this type has counts of its first " + std::to_string(codes_of(given.dtype)) +
                          " codes alone");
  return given;
}

void bind_accumulators(py::module_& m);

}  // namespace pqi
