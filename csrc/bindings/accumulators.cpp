#include "accumulators.hpp"

#include "../pqi/cpu/gini_sketch.hpp"

namespace pqi {
namespace {

py::tuple interval_tuple(GiniInterval found) { return py::make_tuple(found.value, found.low, found.high); }

// Values, lower and upper ends, one for each group.
py::tuple gini_within(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, double tol, bool unbiased) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  std::vector<GiniInterval> found(groups.count());
  {
    py::gil_scoped_release unlocked;
    cpu::gini_within(groups, tol, unbiased, found.data());
  }
  Doubles value(found.size()), low(found.size()), high(found.size());
  for (size_t g = 0; g < found.size(); ++g) {
    value.mutable_data()[g] = found[g].value;
    low.mutable_data()[g] = found[g].low;
    high.mutable_data()[g] = found[g].high;
  }
  return py::make_tuple(value, low, high);
}

cpu::GiniSketch gini_sketch(const Arrays& arrays, const Arrays& masks, double tol) {
  const cpu::Groups groups = groups_of(arrays, masks, {});
  py::gil_scoped_release unlocked;
  return cpu::sketch_of(groups, 0, tol);
}

cpu::GiniSketch merged(const cpu::GiniSketch& a, const cpu::GiniSketch& b) {
  if (a.grid.dtype != b.grid.dtype) throw py::type_error("sketches must be of one key type");
  cpu::GiniSketch sum = a;
  sum.merge(b);
  return sum;
}

// Numbers (key type, bits, live, zeros, largest key), and a row (index, count, lower and upper half of the lows) a
// bucket.
py::tuple sketch_state(const cpu::GiniSketch& sketch) {
  Integers head(5), rows({sketch.buckets.size(), size_t(4)});
  uint64_t* at = head.mutable_data();
  for (uint64_t number : {uint64_t(sketch.grid.dtype == DType::f64), uint64_t(sketch.grid.bits), sketch.live,
                          sketch.zeros, sketch.largest})
    *at++ = number;
  at = rows.mutable_data();
  for (const SketchBucket& bucket : sketch.buckets)
    for (uint64_t number : {bucket.index, bucket.count, uint64_t(bucket.lows), uint64_t(bucket.lows >> 64)})
      *at++ = number;
  return py::make_tuple(head, rows);
}

cpu::GiniSketch sketch_from(const GivenIntegers& head, const GivenIntegers& rows) {
  if (head.size() != 5 || rows.ndim() != 2 || rows.shape(1) != 4)
    throw py::value_error("a sketch's state has five numbers and four for each bucket");
  const uint64_t *from = head.data(), *row = rows.data();
  const bool known = from[1] >= fewest_sketch_bits && (from[1] <= most_sketch_bits || from[1] == narrow_sketch_bits);
  if (from[0] > 1 || !known) throw py::value_error("a sketch's state must come from a sketch");
  cpu::GiniSketch sketch;
  sketch.grid = {from[0] == 1 ? DType::f64 : DType::f32, int(from[1])};
  sketch.live = from[2];
  sketch.zeros = from[3];
  sketch.largest = from[4];
  for (py::ssize_t i = 0; i < rows.shape(0); ++i, row += 4)
    sketch.buckets.push_back({row[0], row[1], uint128(row[3]) << 64 | row[2]});
  return sketch;
}

}  // namespace

void bind_accumulators(py::module_& m) {
  const auto arrays = py::arg("arrays"), masks = py::arg("masks"), grouping = py::arg("grouping");
  m.def("gini_within", &gini_within, arrays, masks, grouping, py::arg("tol"), py::arg("unbiased"));
  m.def("gini_sketch", &gini_sketch, arrays, masks, py::arg("tol"));
  py::class_<cpu::GiniSketch>(m, "GiniSketch", "Counts and sums of buckets of magnitudes.")
      .def_static("of_state", &sketch_from, py::arg("head").noconvert(), py::arg("rows").noconvert())
      .def("state", &sketch_state)
      .def("merged", &merged, py::arg("other"))
      .def_readonly("live", &cpu::GiniSketch::live)
      .def_readonly("zeros", &cpu::GiniSketch::zeros)
      .def_property_readonly("max", &cpu::GiniSketch::max)
      .def_property_readonly("mean", &cpu::GiniSketch::mean)
      .def("gini", [](const cpu::GiniSketch& sketch) { return interval_tuple(sketch.gini()); });
}

}  // namespace pqi
