// Module pqi._cuda: work for a stream of a CUDA device, results into memory of the caller's. What is checked is what
// memory safety needs. Compiled with PQI_EXECUTOR it is _blocks: the same functions on memory of the host, for tests.
#include "../pqi/cuda/gini.hpp"
#include "../pqi/cuda/norms.hpp"
#include "../pqi/cuda/summary.hpp"
#include "../pqi/cuda/topk.hpp"
#include "cuda_arguments.hpp"
#include "view_class.hpp"

namespace pqi {
namespace {

void index_grid(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const std::vector<double>& p,
                const std::vector<double>& q, const ArrayView& out, uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(out);
  auto* values = memory_of<double>(out, "out", request.groups * p.size() * q.size());
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  call.each(1, p.size() * q.size(), values,
            [&](const cuda::Groups& groups, double* results) { cuda::index_grid(call.queue, groups, p, q, results); });
}

void power_means(const Arrays& arrays, const Arrays& masks, const Grouping& grouping,
                 const std::vector<double>& exponents, const ArrayView& out, uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(out);
  auto* values = memory_of<double>(out, "out", request.groups * exponents.size());
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  call.each(1, exponents.size(), values, [&](const cuda::Groups& groups, double* results) {
    cuda::power_means(call.queue, groups, exponents, results);
  });
}

using PairOfExponents = void (*)(const cuda::Queue&, const cuda::Groups&, double, double, double*);
using PairAndEta = void (*)(const cuda::Queue&, const cuda::Groups&, double, double, double, double*);

// `rows` results for each group.
template <PairOfExponents function, size_t rows>
void of_pair(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, double p, double q,
             const ArrayView& out, uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(out);
  auto* values = memory_of<double>(out, "out", rows * request.groups);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  call.each(rows, 1, values,
            [&](const cuda::Groups& groups, double* results) { function(call.queue, groups, p, q, results); });
}

template <PairAndEta function, size_t rows>
void of_pair_and_eta(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, double p, double q,
                     double eta, const ArrayView& out, uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(out);
  auto* values = memory_of<double>(out, "out", rows * request.groups);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  call.each(rows, 1, values,
            [&](const cuda::Groups& groups, double* results) { function(call.queue, groups, p, q, eta, results); });
}

void gini(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const ArrayView& out, uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(out);
  auto* values = memory_of<double>(out, "out", request.groups);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  call.each(1, 1, values,
            [&](const cuda::Groups& groups, double* results) { cuda::gini(call.queue, groups, results); });
}

void extent(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const ArrayView& largest,
            const ArrayView& counts, uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(largest).with(counts);
  auto* values = memory_of<double>(largest, "largest", request.groups);
  auto* numbers = memory_of<uint64_t>(counts, "counts", 2 * request.groups);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  for (const cuda::GroupClass& part : call.groups.classes()) {
    const cuda::Results<double> top(call.queue, part, 1, 1, request.groups, values);
    const cuda::Results<uint64_t> both(call.queue, part, 2, 1, request.groups, numbers);
    cuda::extent(call.queue, part.groups, top.get(), both.get(), both.get() + part.groups.count());
    top.put();
    both.put();
  }
}

void count_live(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const ArrayView& out,
                uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(out);
  auto* numbers = memory_of<uint64_t>(out, "out", request.groups);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  call.each(1, 1, numbers,
            [&](const cuda::Groups& groups, uint64_t* results) { cuda::count_live(call.queue, groups, results); });
}

// How many to select of a class's groups.
class Share {
 public:
  Share(const cuda::Queue& queue, const Wanted& wanted, const cuda::GroupClass& part) : wanted(wanted) {
    if (wanted.each == nullptr || part.numbers == nullptr) return;
    taken_ = std::make_unique<cuda::Scratch<uint64_t>>(queue, part.groups.count());
    cuda::take(queue, part, wanted.each, taken_->get());
    this->wanted.each = taken_->get();
  }

  Wanted wanted;

 private:
  std::unique_ptr<cuda::Scratch<uint64_t>> taken_;
};

Wanted wanted_of(const Given& k, size_t groups) {
  if (const auto* number = std::get_if<uint64_t>(&k)) return {nullptr, *number};
  return {memory_of<uint64_t>(*std::get<const ArrayView*>(k), "k", groups), 0};
}

void topk_mask(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const Given& k, const Arrays& out,
               uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(k).with(out);
  if (out.size() != arrays.size()) throw py::value_error("out must match the arrays one to one");
  for (size_t i = 0; i < out.size(); ++i)
    if (!same_shape(out[i]->view, arrays[i]->view) || !holds(out[i]->view, Holds::truth) || !out[i]->writable)
      throw py::value_error("out must be writable, bool and have its array's shape");
  const Wanted wanted = wanted_of(k, request.groups);
  const std::vector<View> results = views(out);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  if (request.offsets) cuda::clear(call.queue, cuda::Groups(call.queue, results, {}, nullptr));
  const std::vector<cuda::GroupClass> parts = call.groups.of(call.queue, results, request.grouping());
  for (size_t i = 0; i < parts.size(); ++i) {
    const cuda::GroupClass& part = call.groups.classes()[i];
    const Share share(call.queue, wanted, part);
    cuda::topk_mask(call.queue, part.groups, share.wanted, parts[i].groups);
  }
}

void topk_threshold(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const Given& k,
                    const ArrayView& out, uintptr_t stream) {
  const Request request = Request(arrays, masks, grouping).with(k).with(out);
  auto* values = memory_of<double>(out, "out", request.groups);
  const Wanted wanted = wanted_of(k, request.groups);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  for (const cuda::GroupClass& part : call.groups.classes()) {
    const Share share(call.queue, wanted, part);
    const cuda::Results<double> results(call.queue, part, 1, 1, request.groups, values);
    cuda::topk_threshold(call.queue, part.groups, share.wanted, results.get());
    results.put();
  }
}

void retained_bound_from_index(const ArrayView& index, const ArrayView& d, double p, double q, double eta,
                               const ArrayView& out, uintptr_t stream) {
  const Device device = Device().add(index).add(d).add(out);
  const size_t n = index.view.size();
  const double* indices = memory_of<double>(index, "index", n);
  const double* lengths = memory_of<double>(d, "d", n);
  auto* values = memory_of<double>(out, "out", n);
  py::gil_scoped_release unlocked;
  const cuda::Queue queue(device.id(), stream);
  cuda::retained_bound_from_index(queue, indices, lengths, n, p, q, eta, values);
}

py::class_<ArrayView> define_view(py::module_& m) {
  py::class_<ArrayView> view(m, "View", "An array's memory, shape, strides and element type.", py::module_local());
  return define_view(view).def_readonly("device", &ArrayView::device);
}

void define_functions(py::module_& m) {
  const auto arrays = py::arg("arrays"), masks = py::arg("masks"), grouping = py::arg("grouping"), out = py::arg("out"),
             stream = py::arg("stream"), p = py::arg("p"), q = py::arg("q"), k = py::arg("k"), eta = py::arg("eta");
  m.def("index_grid", &index_grid, arrays, masks, grouping, p, q, out, stream);
  m.def("power_means", &power_means, arrays, masks, grouping, py::arg("exponents"), out, stream);
  m.def("index", &of_pair<cuda::index, 1>, arrays, masks, grouping, p, q, out, stream);
  m.def("norms", &of_pair<cuda::norms, 2>, arrays, masks, grouping, p, q, out, stream);
  m.def("retained_bound", &of_pair_and_eta<cuda::retained_bound, 1>, arrays, masks, grouping, p, q, eta, out, stream);
  m.def("mean_index_bound", &of_pair_and_eta<cuda::mean_index_bound, 3>, arrays, masks, grouping, p, q, eta, out,
        stream);
  m.def("gini", &gini, arrays, masks, grouping, out, stream);
  m.def("extent", &extent, arrays, masks, grouping, py::arg("largest"), py::arg("counts"), stream);
  m.def("count_live", &count_live, arrays, masks, grouping, out, stream);
  m.def("topk_mask", &topk_mask, arrays, masks, grouping, k, out, stream);
  m.def("topk_threshold", &topk_threshold, arrays, masks, grouping, k, out, stream);
  m.def("retained_bound_from_index", &retained_bound_from_index, py::arg("index"), py::arg("d"), p, q, eta, out,
        stream);
  bind_cuda_accumulators(m);
  m.def("device_count", &cuda::device_count);
  m.def("device_names", &cuda::device_names);
  m.def("architectures", &cuda::architectures);
  m.def("why_no_device", &cuda::why_no_device);
  m.def("workspace_bytes", &cuda::scratch_kept);
  m.def("release_workspace", &cuda::release_scratch);
}

void define_errors() {
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const cuda::OutOfMemory& e) {
      PyErr_SetString(PyExc_MemoryError, e.what());
    }
  });
}

}  // namespace

#if defined(PQI_EXECUTOR)

PYBIND11_MODULE(_blocks, m) {
  m.doc() = "The block programs of pqi._cuda on the CPU, for tests.";
  define_view(m)
      .def_static("of_numpy", &view_of_numpy, py::arg("array"), py::arg("name"))
      .def_static("of_dlpack", &view_of_dlpack, py::arg("capsule"), py::arg("name"));
  define_functions(m);
  define_errors();
  m.def(
      "set_machine",
      [](uint64_t seed, int processors, size_t shared_limit, size_t memory_limit) {
        cuda::executor::settings() = {seed, processors, shared_limit, memory_limit};
      },
      py::arg("seed"), py::arg("processors"), py::arg("shared_limit"), py::arg("memory_limit") = ~size_t(0));
  m.def("allocated", &cuda::executor::allocated);
}

#else

PYBIND11_MODULE(_cuda, m, py::mod_gil_not_used()) {
  m.doc() = "Kernels of pqi on CUDA devices. Private: use the functions of pqi.";
  define_view(m).def_static("of_dlpack", &view_of_cuda_dlpack, py::arg("capsule"), py::arg("name"));
  define_functions(m);
  define_errors();
}

#endif

}  // namespace pqi
