// Arguments of the core's functions as the C++ side takes them; what is checked is what memory safety needs.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <variant>
#include <vector>

#include "../pqi/cpu/source.hpp"
#include "array_arguments.hpp"

namespace pqi {

namespace py = pybind11;

using Offsets = py::array_t<int64_t, py::array::c_style>;
// How elements make groups: all together (None), along axes, or in segments between offsets.
using Grouping = std::variant<std::monostate, Offsets, std::vector<int>>;
using Doubles = py::array_t<double>;
using Integers = py::array_t<uint64_t>;
using GivenDoubles = py::array_t<double, py::array::c_style>;
using GivenIntegers = py::array_t<uint64_t, py::array::c_style>;

// A copy, since the caller might change its own.
inline cpu::Offsets checked(const Offsets& given, size_t size) {
  if (given.ndim() != 1 || given.size() < 1) throw py::value_error("offsets must be a vector of at least one number");
  const int64_t* offset = given.data();
  cpu::Offsets offsets(offset, offset + given.size());
  for (size_t i = 1; i < offsets.size(); ++i)
    if (offsets[i] < offsets[i - 1]) throw py::value_error("offsets must not decrease");
  if (offsets.back() > size) throw py::value_error("offsets must be within x");
  return offsets;
}

inline cpu::Groups groups_of(const Arrays& arrays, const Arrays& masks, const Grouping& grouping) {
  const auto* axes = std::get_if<std::vector<int>>(&grouping);
  const auto* offsets = std::get_if<Offsets>(&grouping);
  if (offsets != nullptr && (arrays.size() != 1 || arrays[0] == nullptr))
    throw py::value_error("offsets go with one array");
  const std::vector<View> data = views(arrays), live = views(masks);
  check(data, live, axes);
  if (offsets == nullptr) return cpu::Groups(data, live, axes);
  if (data[0].ndim != 1) throw py::value_error("offsets go with a vector");
  return cpu::Groups(data[0], live, checked(*offsets, data[0].size()));
}

}  // namespace pqi
