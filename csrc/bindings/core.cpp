// Module pqi._core: Python objects in, numpy arrays out. Nothing is computed and no argument's value is judged here
// (that is _check.py's); what is checked is what memory safety needs.
#include "../pqi/cpu/gini.hpp"
#include "../pqi/cpu/group_loop.hpp"
#include "../pqi/cpu/histogram.hpp"
#include "../pqi/cpu/isa.hpp"
#include "../pqi/cpu/norms.hpp"
#include "../pqi/cpu/parallel.hpp"
#include "../pqi/cpu/summary.hpp"
#include "../pqi/cpu/topk.hpp"
#include "../pqi/cpu/workspace.hpp"
#include "accumulators.hpp"
#include "arguments.hpp"
#include "new_mask.hpp"
#include "view_class.hpp"
#include "whole.hpp"

namespace pqi {
namespace {

Doubles index_grid(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const std::vector<double>& p,
                   const std::vector<double>& q) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles out({groups.count(), p.size(), q.size()});
  double* values = out.mutable_data();
  py::gil_scoped_release unlocked;
  cpu::index_grid(groups, p, q, values);
  return out;
}

Doubles index(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, double p, double q) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles out(groups.count());
  double* values = out.mutable_data();
  py::gil_scoped_release unlocked;
  cpu::index(groups, p, q, values);
  return out;
}

Doubles retained_bound(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, double p, double q,
                       double eta) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles out(groups.count());
  double* values = out.mutable_data();
  py::gil_scoped_release unlocked;
  cpu::retained_bound(groups, p, q, eta, values);
  return out;
}

py::tuple mean_index_bound(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, double p, double q,
                           double eta) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles means(groups.count()), indices(groups.count()), bounds(groups.count());
  double *mean = means.mutable_data(), *index = indices.mutable_data(), *bound = bounds.mutable_data();
  {
    py::gil_scoped_release unlocked;
    cpu::mean_index_bound(groups, p, q, eta, mean, index, bound);
  }
  return py::make_tuple(means, indices, bounds);
}

Doubles power_means(const Arrays& arrays, const Arrays& masks, const Grouping& grouping,
                    const std::vector<double>& exponents) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles out({groups.count(), exponents.size()});
  double* values = out.mutable_data();
  py::gil_scoped_release unlocked;
  cpu::power_means(groups, exponents, values);
  return out;
}

py::tuple norms(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, double p, double q) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles norm_p(groups.count()), norm_q(groups.count());
  double *first = norm_p.mutable_data(), *second = norm_q.mutable_data();
  {
    py::gil_scoped_release unlocked;
    cpu::norms(groups, p, q, first, second);
  }
  return py::make_tuple(norm_p, norm_q);
}

Doubles gini(const Arrays& arrays, const Arrays& masks, const Grouping& grouping) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles out(groups.count());
  double* values = out.mutable_data();
  py::gil_scoped_release unlocked;
  cpu::gini(groups, values);
  return out;
}

py::tuple extent(const Arrays& arrays, const Arrays& masks, const Grouping& grouping) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  Doubles largest(groups.count());
  Integers zeros(groups.count()), live(groups.count());
  double* values = largest.mutable_data();
  uint64_t *zero = zeros.mutable_data(), *alive = live.mutable_data();
  {
    py::gil_scoped_release unlocked;
    cpu::extent(groups, values, zero, alive);
  }
  return py::make_tuple(largest, zeros, live);
}

Integers count_live(const Arrays& arrays, const Arrays& masks, const Grouping& grouping) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  std::vector<uint64_t> live;
  {
    py::gil_scoped_release unlocked;
    live = cpu::count_live(groups);
  }
  return Integers(live.size(), live.data());
}

// How many to select of how many live entries: `k` has one count for all groups or one for each, `live` one for each or
// is None where nothing is masked. Copies, which nobody changes once they were checked.
class Counts {
 public:
  Counts(const GivenIntegers& k, const std::optional<GivenIntegers>& live, const cpu::Groups& groups) : k_(copy(k)) {
    if (live) live_ = copy(*live);
    if ((k_.size() != 1 && k_.size() != groups.count()) || (live && live_.size() != groups.count()))
      throw py::value_error("k must hold one count or one per group, and live one per group");
    const bool same = k_.size() == 1 && !live && groups.offsets() == nullptr;
    for (size_t g = 0; g < (same ? std::min(groups.count(), size_t(1)) : groups.count()); ++g) {
      const uint64_t size = groups.size(g), alive = live ? live_[g] : size;
      if (this->k()[g] > alive || alive > size) throw py::value_error("counts must satisfy k <= live <= size");
    }
  }

  Wanted k() const { return {k_.size() == 1 ? nullptr : k_.data(), k_.empty() ? 0 : k_.front()}; }
  const uint64_t* live() const { return live_.empty() ? nullptr : live_.data(); }

 private:
  static cpu::Buffer<uint64_t> copy(const GivenIntegers& given) { return {given.data(), given.data() + given.size()}; }

  cpu::Buffer<uint64_t> k_, live_;
};

void topk_mask(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const GivenIntegers& k,
               const std::optional<GivenIntegers>& live, const Arrays& out) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  const Counts counts(k, live, groups);
  if (out.size() != arrays.size()) throw py::value_error("out must match the arrays one to one");
  for (size_t i = 0; i < out.size(); ++i)
    if (!same_shape(out[i]->view, arrays[i]->view) || out[i]->view.dtype != DType::boolean || !out[i]->writable)
      throw py::value_error("out must be writable, bool and have its array's shape");
  const cpu::Groups results = groups_of(out, {}, grouping);
  py::gil_scoped_release unlocked;
  cpu::topk_mask(groups, counts.k(), counts.live(), results);
}

Doubles topk_threshold(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const GivenIntegers& k,
                       const std::optional<GivenIntegers>& live) {
  const cpu::Groups groups = groups_of(arrays, masks, grouping);
  const Counts counts(k, live, groups);
  Doubles out(groups.count());
  double* values = out.mutable_data();
  py::gil_scoped_release unlocked;
  cpu::topk_threshold(groups, counts.k(), counts.live(), values);
  return out;
}

Doubles retained_bound_from_index(const GivenDoubles& index, const GivenDoubles& d, double p, double q, double eta) {
  if (index.size() != d.size()) throw py::value_error("index and d must have one length");
  Doubles out(index.size());
  double* values = out.mutable_data();
  for (py::ssize_t i = 0; i < index.size(); ++i) values[i] = retained_bound_of(index.data()[i], d.data()[i], p, q, eta);
  return out;
}

// A histogram as Python holds it: its type's number and its counts.
py::tuple histogram(const Arrays& arrays, const Arrays& masks) {
  const cpu::Groups groups = groups_of(arrays, masks, Grouping());
  if (!groups.homogeneous() || !is_narrow(groups.dtype()))
    throw py::type_error("x must be of a one- or two-byte type, the same in all pooled arrays");
  cpu::Histogram found;
  {
    py::gil_scoped_release unlocked;
    found = cpu::histogram_of(groups, 0);
  }
  return py::make_tuple(int(found.dtype), Integers(found.counts.size(), found.counts.data()));
}

Doubles histogram_power_means(int dtype, const GivenIntegers& counts, const std::vector<double>& exponents) {
  Doubles out(exponents.size());
  cpu::power_means(histogram_from(dtype, counts), exponents, out.mutable_data());
  return out;
}

Doubles histogram_index_grid(int dtype, const GivenIntegers& counts, const std::vector<double>& p,
                             const std::vector<double>& q) {
  Doubles out({p.size(), q.size()});
  cpu::index_grid(histogram_from(dtype, counts), p, q, out.mutable_data());
  return out;
}

double histogram_retained_bound(int dtype, const GivenIntegers& counts, double p, double q, double eta) {
  return cpu::retained_bound(histogram_from(dtype, counts), p, q, eta);
}

double histogram_gini(int dtype, const GivenIntegers& counts) { return cpu::gini(histogram_from(dtype, counts)); }

py::tuple histogram_extent(int dtype, const GivenIntegers& counts) {
  const cpu::Histogram given = histogram_from(dtype, counts);
  double largest;
  uint64_t zeros;
  cpu::extent(given, &largest, &zeros);
  return py::make_tuple(largest, zeros, given.live());
}

double histogram_topk_threshold(int dtype, const GivenIntegers& counts, uint64_t k) {
  return cpu::topk_threshold(histogram_from(dtype, counts), k);
}

py::tuple histogram_above(int dtype, const GivenIntegers& counts, double magnitude) {
  const cpu::Above found = cpu::count_above(histogram_from(dtype, counts), magnitude);
  return py::make_tuple(found.above, found.equal);
}

uint64_t read_pass(const ArrayView& array) {
  const cpu::Groups groups({array.view}, {}, nullptr);
  if (!groups.contiguous()) throw py::value_error("array must be contiguous");
  py::gil_scoped_release unlocked;
  return cpu::read_pass(groups);
}

void clear_below(const ArrayView& array, uint64_t least, const ArrayView& out) {
  const View from = array.view.coalesced(), to = out.view.coalesced();
  if (!from.contiguous() || !to.contiguous() || !out.writable) throw py::value_error("x and out must be contiguous");
  const size_t bytes = from.size() * item_size(from.dtype);
  if (to.size() * item_size(to.dtype) != bytes) throw py::value_error("out must have as many bytes as x");
  if (from.data < to.data + bytes && to.data < from.data + bytes) throw py::value_error("x and out must not overlap");
  py::gil_scoped_release unlocked;
  cpu::kernels().clear_below(from.dtype, from.data, from.size(), least, const_cast<char*>(to.data));
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.attr("__version__") = PQI_VERSION;
  m.doc() = "Kernels of pqi on the CPU. Private: use the functions of pqi.";
  define_view(py::class_<ArrayView>(m, "View", "An array's memory, shape, strides and element type."))
      .def_static("of_numpy", &view_of_numpy, py::arg("array"), py::arg("name"))
      .def_static("of_dlpack", &view_of_dlpack, py::arg("capsule"), py::arg("name"))
      .def_static("of_exchange", &view_of_exchange, py::arg("array"), py::arg("name"));
  bind_accumulators(m);
  bind_whole(m);
  const auto arrays = py::arg("arrays"), masks = py::arg("masks"), grouping = py::arg("grouping");
  m.def("index_grid", &index_grid, arrays, masks, grouping, py::arg("p"), py::arg("q"));
  m.def("power_means", &power_means, arrays, masks, grouping, py::arg("exponents"));
  const auto p = py::arg("p"), q = py::arg("q"), eta = py::arg("eta");
  m.def("index", &index, arrays, masks, grouping, p, q);
  m.def("retained_bound", &retained_bound, arrays, masks, grouping, p, q, eta);
  m.def("mean_index_bound", &mean_index_bound, arrays, masks, grouping, p, q, eta);
  m.def("norms", &norms, arrays, masks, grouping, py::arg("p"), py::arg("q"));
  m.def("gini", &gini, arrays, masks, grouping);
  m.def("extent", &extent, arrays, masks, grouping);
  m.def("count_live", &count_live, arrays, masks, grouping);
  m.def("topk_mask", &topk_mask, arrays, masks, grouping, py::arg("k").noconvert(), py::arg("live").noconvert(),
        py::arg("out"));
  m.def("topk_threshold", &topk_threshold, arrays, masks, grouping, py::arg("k").noconvert(),
        py::arg("live").noconvert());
  m.def("retained_bound_from_index", &retained_bound_from_index, py::arg("index").noconvert(), py::arg("d").noconvert(),
        p, q, eta);
  const auto dtype = py::arg("dtype"), counts = py::arg("counts").noconvert();
  m.def("histogram", &histogram, arrays, masks);
  m.def("histogram_power_means", &histogram_power_means, dtype, counts, py::arg("exponents"));
  m.def("histogram_index_grid", &histogram_index_grid, dtype, counts, py::arg("p"), py::arg("q"));
  m.def("histogram_retained_bound", &histogram_retained_bound, dtype, counts, p, q, eta);
  m.def("histogram_gini", &histogram_gini, dtype, counts);
  m.def("histogram_extent", &histogram_extent, dtype, counts);
  m.def("histogram_topk_threshold", &histogram_topk_threshold, dtype, counts, py::arg("k"));
  m.def("histogram_above", &histogram_above, dtype, counts, py::arg("magnitude"));
  m.def("clear_below", &clear_below, py::arg("array"), py::arg("least"), py::arg("out"));
  m.def("read_pass", &read_pass, py::arg("array"));
  m.def("isa", [] { return std::string(cpu::kernels().name); });
  m.def("isas_compiled", &cpu::compiled_isas);
  m.def("isas_usable", &cpu::usable_isas);
  m.def("use_isa", &cpu::use_isa, py::arg("name"));
  m.def("num_threads", &cpu::num_threads);
  m.def("set_num_threads", &cpu::set_num_threads, py::arg("threads"));
  m.def("new_mask", &new_mask, py::arg("shape"));
  m.attr("SMALLEST_OWN_MASK") = smallest_own_mask;
  m.def("workspace_bytes", &cpu::workspace_bytes);
  m.def("workspace_limit", &cpu::workspace_limit);
  m.def("set_workspace_limit", &cpu::set_workspace_limit, py::arg("limit"));
  m.def("release_workspace", &cpu::release_workspace);
}

}  // namespace pqi
