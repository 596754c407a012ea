#include "accumulators.hpp"

#include "../pqi/cpu/gini_sketch.hpp"
#include "../pqi/cpu/power_sums.hpp"

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

cpu::GiniSketch histogram_sketch(int dtype, const GivenIntegers& counts) {
  return cpu::sketch_of(histogram_from(dtype, counts));
}

cpu::GiniSketch merged(cpu::GiniSketch sketch, const cpu::GiniSketch& other) {
  if (sketch.grid.dtype != other.grid.dtype) throw py::type_error("sketches must be of one key type");
  sketch.merge(other);
  return sketch;
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

cpu::PowerSums power_sums(const std::vector<double>& exponents) {
  if (exponents.empty()) throw py::value_error("exponents must hold at least one");
  return cpu::PowerSums(exponents);
}

// What is given stays as it is, so that callers on several threads cannot spoil one another's sums.
cpu::PowerSums updated(cpu::PowerSums sums, const Arrays& arrays, const Arrays& masks) {
  const cpu::Groups groups = groups_of(arrays, masks, {});
  py::gil_scoped_release unlocked;
  sums.update(groups);
  return sums;
}

cpu::PowerSums merged(cpu::PowerSums sums, const cpu::PowerSums& other) {
  if (sums.state().exponents != other.state().exponents) throw py::value_error("exponents must be the same");
  sums.merge(other);
  return sums;
}

// Exponents; a row (upper and lower part, for closed and open blocks) an exponent; its scales; the waiting elements;
// and numbers (live, chunks of the open block, pivot and whether there is one, whether float32).
py::tuple sums_state(const cpu::PowerSums& sums) {
  const auto& state = sums.state();
  const size_t n = state.exponents.size();
  Doubles totals({n, size_t(4)});
  py::array_t<int64_t> scales({n, size_t(2)}), head(5);
  for (size_t e = 0; e < n; ++e) {
    const PowerSum &closed = state.closed[e], &open = state.open[e];
    double* const total = totals.mutable_data(py::ssize_t(e), 0);
    total[0] = closed.total.hi, total[1] = closed.total.lo, total[2] = open.total.hi, total[3] = open.total.lo;
    scales.mutable_at(e, 0) = closed.scale;
    scales.mutable_at(e, 1) = open.scale;
  }
  const int64_t numbers[] = {int64_t(state.live), int64_t(state.open_chunks), state.pivot.value_or(0),
                             state.pivot.has_value(), state.as_float};
  std::copy(std::begin(numbers), std::end(numbers), head.mutable_data());
  return py::make_tuple(Doubles(n, state.exponents.data()), totals, scales,
                        Doubles(state.waiting.size(), state.waiting.data()), head);
}

using GivenNumbers = py::array_t<int64_t, py::array::c_style>;

cpu::PowerSums sums_from(const GivenDoubles& exponents, const GivenDoubles& totals, const GivenNumbers& scales,
                         const GivenDoubles& waiting, const GivenNumbers& head) {
  const py::ssize_t n = exponents.size();
  const bool fits = n > 0 && totals.size() == 4 * n && scales.size() == 2 * n && head.size() == 5 &&
                    waiting.size() < py::ssize_t(chunk_size);
  if (!fits || head.data()[1] < 0 || head.data()[1] >= int64_t(block_chunks) || std::abs(head.data()[2]) > 1100)
    throw py::value_error("a state of power sums must come from power sums");
  cpu::PowerSums::State state;
  state.exponents.assign(exponents.data(), exponents.data() + n);
  for (py::ssize_t e = 0; e < n; ++e) {
    const double* const total = totals.data() + 4 * e;
    state.closed.push_back({{total[0], total[1]}, scales.data()[2 * e]});
    state.open.push_back({{total[2], total[3]}, scales.data()[2 * e + 1]});
  }
  state.waiting.assign(waiting.data(), waiting.data() + waiting.size());
  state.live = uint64_t(head.data()[0]);
  state.open_chunks = size_t(head.data()[1]);
  if (head.data()[3] != 0) state.pivot = int(head.data()[2]);
  state.as_float = head.data()[4] != 0;
  return cpu::PowerSums(std::move(state));
}

Doubles means_of(const cpu::PowerSums& sums) {
  Doubles out(sums.state().exponents.size());
  sums.power_means(out.mutable_data());
  return out;
}

}  // namespace

void bind_accumulators(py::module_& m) {
  const auto arrays = py::arg("arrays"), masks = py::arg("masks"), grouping = py::arg("grouping");
  m.def("gini_within", &gini_within, arrays, masks, grouping, py::arg("tol"), py::arg("unbiased"));
  m.def("gini_sketch", &gini_sketch, arrays, masks, py::arg("tol"));
  m.def("histogram_sketch", &histogram_sketch, py::arg("dtype"), py::arg("counts"));
  m.def("sketch_bits", &sketch_bits, py::arg("tol"));
  m.def("interval_bits", &interval_bits, py::arg("tol"));
  m.def("finer_sketch_bits", &finer_sketch_bits, py::arg("width"), py::arg("bits"), py::arg("tol"));
  py::class_<cpu::GiniSketch>(m, "GiniSketch", "Counts and sums of buckets of magnitudes.")
      .def_static("of_state", &sketch_from, py::arg("head").noconvert(), py::arg("rows").noconvert())
      .def("state", &sketch_state)
      .def("merged", py::overload_cast<cpu::GiniSketch, const cpu::GiniSketch&>(&merged), py::arg("other"))
      .def_readonly("live", &cpu::GiniSketch::live)
      .def_readonly("zeros", &cpu::GiniSketch::zeros)
      .def_property_readonly("max", &cpu::GiniSketch::max)
      .def_property_readonly("mean", &cpu::GiniSketch::mean)
      .def("gini", [](const cpu::GiniSketch& sketch) { return interval_tuple(sketch.gini()); });
  py::class_<cpu::PowerSums>(m, "PowerSums", "Power sums of a vector that arrives in parts.")
      .def(py::init(&power_sums), py::arg("exponents"))
      .def_static("of_state", &sums_from, py::arg("exponents").noconvert(), py::arg("totals").noconvert(),
                  py::arg("scales").noconvert(), py::arg("waiting").noconvert(), py::arg("head").noconvert())
      .def("state", &sums_state)
      .def("updated", &updated, arrays, masks)
      .def("merged", py::overload_cast<cpu::PowerSums, const cpu::PowerSums&>(&merged), py::arg("other"))
      .def_property_readonly("live", [](const cpu::PowerSums& sums) { return sums.state().live; })
      .def_property_readonly("exponents", [](const cpu::PowerSums& sums) { return sums.state().exponents; })
      .def("power_means", &means_of)
      .def("norm", &cpu::PowerSums::norm, py::arg("r"))
      .def("index", &cpu::PowerSums::index, py::arg("p"), py::arg("q"))
      .def("retained_bound", &cpu::PowerSums::retained_bound, py::arg("p"), py::arg("q"), py::arg("eta"));
}

}  // namespace pqi
