// Lists of arrays and masks as every module takes them; what is checked is what memory safety needs.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <variant>
#include <vector>

#include "dlpack_view.hpp"

namespace pqi {

namespace py = pybind11;

using Arrays = std::vector<const ArrayView*>;
using Offsets = py::array_t<int64_t, py::array::c_style>;
// How elements make groups: all together (None), along axes, or in segments between offsets.
using Grouping = std::variant<std::monostate, Offsets, std::vector<int>>;

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

inline void check(const std::vector<View>& arrays, const std::vector<View>& masks, const std::vector<int>* axes) {
  if (axes != nullptr && arrays.size() != 1) throw py::value_error("axes go with one array");
  if (!masks.empty() && masks.size() != arrays.size()) throw py::value_error("masks must match the arrays one to one");
  for (size_t i = 0; i < masks.size(); ++i)
    if (!same_shape(masks[i], arrays[i]) || masks[i].dtype != DType::boolean)
      throw py::value_error("masks must be bool and have their arrays' shapes");
  if (axes != nullptr)
    for (int axis : *axes)
      if (axis < 0 || axis >= arrays[0].ndim) throw py::value_error("axes must be within the array's dimensions");
}

// A copy, since the caller might change its own.
inline std::vector<uint64_t> checked(const Offsets& given, const std::vector<View>& arrays) {
  if (arrays.size() != 1 || arrays[0].ndim != 1) throw py::value_error("offsets go with one array, a vector");
  if (given.ndim() != 1 || given.size() < 1) throw py::value_error("offsets must be a vector of at least one number");
  const int64_t* offset = given.data();
  std::vector<uint64_t> offsets(offset, offset + given.size());
  for (size_t i = 1; i < offsets.size(); ++i)
    if (offsets[i] < offsets[i - 1]) throw py::value_error("offsets must not decrease");
  if (offsets.back() > arrays[0].size()) throw py::value_error("offsets must be within x");
  return offsets;
}

}  // namespace pqi
