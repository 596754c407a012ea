// What Python sees of a view, in every module.
#pragma once

#include "dlpack_view.hpp"

namespace pqi {

inline pybind11::class_<ArrayView> define_view(pybind11::class_<ArrayView> view) {
  view.def_property_readonly("writable", [](const ArrayView& array) { return array.writable; });
  view.def_property_readonly("distinct", [](const ArrayView& array) { return array.view.distinct(); });
  view.def_property_readonly("addresses", [](const ArrayView& array) {
    int64_t low, high;
    array.view.reach(&low, &high);
    const auto data = reinterpret_cast<intptr_t>(array.view.data);
    return pybind11::make_tuple(data + low, data + high);
  });
  view.def_property_readonly("size", [](const ArrayView& array) { return array.view.size(); });
  view.def_property_readonly("shape", [](const ArrayView& array) {
    pybind11::tuple shape(array.view.ndim);
    for (int i = 0; i < array.view.ndim; ++i) shape[i] = pybind11::int_(array.view.shape[i]);
    return shape;
  });
  return view;
}

}  // namespace pqi
