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

using Doubles = py::array_t<double>;
using Integers = py::array_t<uint64_t>;
using GivenDoubles = py::array_t<double, py::array::c_style>;
using GivenIntegers = py::array_t<uint64_t, py::array::c_style>;

inline cpu::Groups groups_of(const Arrays& arrays, const Arrays& masks, const Grouping& grouping) {
  const auto* axes = std::get_if<std::vector<int>>(&grouping);
  const auto* offsets = std::get_if<Offsets>(&grouping);
  const std::vector<View> data = views(arrays), live = views(masks);
  check(data, live, axes);
  if (offsets == nullptr) return cpu::Groups(data, live, axes);
  return cpu::Groups(data[0], live, checked(*offsets, data));
}

}  // namespace pqi
