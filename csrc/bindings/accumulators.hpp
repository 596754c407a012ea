// The part of module pqi._core that holds what adds up over chunks, shards and ranks.
#pragma once

#include "arguments.hpp"

namespace pqi {

void bind_accumulators(py::module_& m);

}  // namespace pqi
