// The part of module pqi._core that answers the commonest call, one whole numpy array and numbers, in a single step.
#pragma once

#include <pybind11/pybind11.h>

namespace pqi {

void bind_whole(pybind11::module_& m);

}  // namespace pqi
