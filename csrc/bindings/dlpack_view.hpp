// Arrays of other libraries as views: numpy's through its C interface, everybody else's through DLPack.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "../pqi/view.hpp"

namespace pqi {

// A view and what keeps its memory alive.
struct ArrayView {
  View view;
  pybind11::object owner;
  bool writable = false;
  int device = 0;  // of CUDA memory: which one
};

// `name` is the argument that an error message speaks of. Any numpy array whose dtype is one of ours, ml_dtypes'
// included, in native byte order.
ArrayView view_of_numpy(const pybind11::array& array, const std::string& name);

// An array whose type has `__dlpack_c_exchange_api__`: no capsule is made and nothing is allocated, so a tensor costs a
// tenth of what its `__dlpack__` does. The view keeps the array alive, not its storage alone.
ArrayView view_of_exchange(const pybind11::object& array, const std::string& name);

// A DLPack capsule of either protocol, on a device whose memory the CPU can read. Consumes the capsule.
ArrayView view_of_dlpack(const pybind11::capsule& capsule, const std::string& name);

// The same for the memory of a CUDA device, elements aligned to their size.
ArrayView view_of_cuda_dlpack(const pybind11::capsule& capsule, const std::string& name);

}  // namespace pqi
