// Arguments of the core's functions as the C++ side takes them; what is checked is what memory safety needs.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "../pqi/cpu/source.hpp"
#include "dlpack_view.hpp"

namespace pqi {

namespace py = pybind11;

using Arrays = std::vector<const ArrayView*>;
using Axes = std::optional<std::vector<int>>;
using Doubles = py::array_t<double>;
using Integers = py::array_t<uint64_t>;
using GivenDoubles = py::array_t<double, py::array::c_style>;
using GivenIntegers = py::array_t<uint64_t, py::array::c_style>;

inline bool same_shape(const View& a, const View& b) {
  if (a.ndim != b.ndim) return false;
  for (int i = 0; i < a.ndim; ++i)
    if (a.shape[i] != b.shape[i]) return false;
  return true;
}

inline std::vector<View> views(const Arrays& arrays) {
  std::vector<View> out;
  out.reserve(arrays.size());
  for (const ArrayView* array : arrays) {
    if (array == nullptr) throw py::type_error("arrays must hold views, got None");
    out.push_back(array->view);
  }
  return out;
}

inline cpu::Groups groups_of(const Arrays& arrays, const Arrays& masks, const Axes& axes) {
  if (axes && arrays.size() != 1) throw py::value_error("axes go with one array");
  if (!masks.empty() && masks.size() != arrays.size()) throw py::value_error("masks must match the arrays one to one");
  for (size_t i = 0; i < masks.size(); ++i)
    if (!same_shape(masks[i]->view, arrays[i]->view) || masks[i]->view.dtype != DType::boolean)
      throw py::value_error("masks must be bool and have their arrays' shapes");
  if (axes)
    for (int axis : *axes)
      if (axis < 0 || axis >= arrays[0]->view.ndim) throw py::value_error("axes must be within the array's dimensions");
  return cpu::Groups(views(arrays), views(masks), axes ? &*axes : nullptr);
}

}  // namespace pqi
