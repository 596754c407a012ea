// Module pqi._cuda: work for a stream of a CUDA device, results into memory of the caller's. What is checked is what
// memory safety needs. Compiled with PQI_EXECUTOR it is _blocks: the same functions on memory of the host, for tests.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <variant>

#include "../pqi/cuda/gini.hpp"
#include "../pqi/cuda/histogram.hpp"
#include "../pqi/cuda/norms.hpp"
#include "../pqi/cuda/summary.hpp"
#include "../pqi/cuda/topk.hpp"
#include "array_arguments.hpp"

namespace pqi {
namespace {

using Axes = std::optional<std::vector<int>>;
// One count for all groups, or one for each on the device.
using Given = std::variant<uint64_t, const ArrayView*>;

enum class Holds { numbers, counts, truth };

bool holds(const View& view, Holds what) {
  if (what == Holds::numbers) return view.dtype == DType::f64;
  if (what == Holds::truth) return view.dtype == DType::boolean;
  return view.dtype == DType::u64 || view.dtype == DType::i64;
}

// The memory of an array that a call reads or fills from end to end.
template <class T>
T* memory_of(const ArrayView& array, const char* name, size_t elements) {
  const View view = array.view.coalesced();
  constexpr Holds what = std::is_same_v<T, double> ? Holds::numbers : Holds::counts;
  if (!holds(view, what) || view.size() != elements || (elements > 0 && !view.contiguous()))
    throw py::value_error(std::string(name) + " must be contiguous and hold " + std::to_string(elements) +
                          (what == Holds::numbers ? " float64 numbers" : " 64-bit integers"));
  return reinterpret_cast<T*>(const_cast<char*>(view.data));
}

// A call's device: that of all its arrays.
class Device {
 public:
  Device& add(const ArrayView& array) {
    if (id_ >= 0 && array.device != id_)
      throw py::value_error("all arrays must lie on one CUDA device, got cuda:" + std::to_string(id_) +
                            " and cuda:" + std::to_string(array.device));
    id_ = array.device;
    return *this;
  }
  Device& add(const Arrays& arrays) {
    for (const ArrayView* array : arrays) {
      if (array == nullptr) throw py::type_error("arrays must hold views, got None");
      add(*array);
    }
    return *this;
  }
  Device& add(const Given& given) {
    if (const auto* array = std::get_if<const ArrayView*>(&given)) {
      if (*array == nullptr) throw py::type_error("k must be an integer or a view, got None");
      add(**array);
    }
    return *this;
  }
  int id() const { return id_; }

 private:
  int id_ = -1;
};

// Where a call's work goes, and its groups.
struct Call {
  cuda::Queue queue;
  cuda::Groups groups;

  Call(const Device& device, uintptr_t stream, const Arrays& arrays, const Arrays& masks, const Axes& axes)
      : queue(device.id(), stream), groups(queue, views(arrays), views(masks), axes ? &*axes : nullptr) {}
};

Device device_of(const Arrays& arrays, const Arrays& masks, const Axes& axes) {
  check(views(arrays), views(masks), axes ? &*axes : nullptr);
  return Device().add(arrays).add(masks);
}

size_t count_groups(const Arrays& arrays, const Axes& axes) {
  size_t count = 1;
  if (!axes) return count;
  const View& array = arrays[0]->view;
  for (int i = 0; i < array.ndim; ++i) {
    bool kept = true;
    for (const int axis : *axes) kept &= axis != i;
    if (kept) count *= size_t(array.shape[i]);
  }
  return count;
}

void index_grid(const Arrays& arrays, const Arrays& masks, const Axes& axes, const std::vector<double>& p,
                const std::vector<double>& q, const ArrayView& out, uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(out);
  auto* values = memory_of<double>(out, "out", count_groups(arrays, axes) * p.size() * q.size());
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  cuda::index_grid(call.queue, call.groups, p, q, values);
}

void power_means(const Arrays& arrays, const Arrays& masks, const Axes& axes, const std::vector<double>& exponents,
                 const ArrayView& out, uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(out);
  auto* values = memory_of<double>(out, "out", count_groups(arrays, axes) * exponents.size());
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  cuda::power_means(call.queue, call.groups, exponents, values);
}

using PairOfExponents = void (*)(const cuda::Queue&, const cuda::Groups&, double, double, double*);
using PairAndEta = void (*)(const cuda::Queue&, const cuda::Groups&, double, double, double, double*);

// `values` results a group.
template <PairOfExponents function, size_t values>
void of_pair(const Arrays& arrays, const Arrays& masks, const Axes& axes, double p, double q, const ArrayView& out,
             uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(out);
  auto* results = memory_of<double>(out, "out", values * count_groups(arrays, axes));
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  function(call.queue, call.groups, p, q, results);
}

template <PairAndEta function, size_t values>
void of_pair_and_eta(const Arrays& arrays, const Arrays& masks, const Axes& axes, double p, double q, double eta,
                     const ArrayView& out, uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(out);
  auto* results = memory_of<double>(out, "out", values * count_groups(arrays, axes));
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  function(call.queue, call.groups, p, q, eta, results);
}

void gini(const Arrays& arrays, const Arrays& masks, const Axes& axes, const ArrayView& out, uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(out);
  auto* values = memory_of<double>(out, "out", count_groups(arrays, axes));
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  cuda::gini(call.queue, call.groups, values);
}

void extent(const Arrays& arrays, const Arrays& masks, const Axes& axes, const ArrayView& largest,
            const ArrayView& counts, uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(largest).add(counts);
  const size_t groups = count_groups(arrays, axes);
  auto* values = memory_of<double>(largest, "largest", groups);
  auto* numbers = memory_of<uint64_t>(counts, "counts", 2 * groups);
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  cuda::extent(call.queue, call.groups, values, numbers, numbers + groups);
}

void count_live(const Arrays& arrays, const Arrays& masks, const Axes& axes, const ArrayView& out, uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(out);
  auto* numbers = memory_of<uint64_t>(out, "out", count_groups(arrays, axes));
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  cuda::count_live(call.queue, call.groups, numbers);
}

cuda::Wanted wanted_of(const Given& k, size_t groups) {
  if (const auto* number = std::get_if<uint64_t>(&k)) return {nullptr, *number};
  return {memory_of<uint64_t>(*std::get<const ArrayView*>(k), "k", groups), 0};
}

void topk_mask(const Arrays& arrays, const Arrays& masks, const Axes& axes, const Given& k, const Arrays& out,
               uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(k).add(out);
  if (out.size() != arrays.size()) throw py::value_error("out must match the arrays one to one");
  for (size_t i = 0; i < out.size(); ++i)
    if (!same_shape(out[i]->view, arrays[i]->view) || !holds(out[i]->view, Holds::truth) || !out[i]->writable)
      throw py::value_error("out must be writable, bool and have its array's shape");
  const cuda::Wanted wanted = wanted_of(k, count_groups(arrays, axes));
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  const cuda::Groups results(call.queue, views(out), {}, axes ? &*axes : nullptr);
  cuda::topk_mask(call.queue, call.groups, wanted, results);
}

void topk_threshold(const Arrays& arrays, const Arrays& masks, const Axes& axes, const Given& k, const ArrayView& out,
                    uintptr_t stream) {
  const Device device = device_of(arrays, masks, axes).add(k).add(out);
  const size_t groups = count_groups(arrays, axes);
  auto* values = memory_of<double>(out, "out", groups);
  const cuda::Wanted wanted = wanted_of(k, groups);
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, axes);
  cuda::topk_threshold(call.queue, call.groups, wanted, values);
}

// Returns the type's number, as _core.histogram does.
int histogram(const Arrays& arrays, const Arrays& masks, const ArrayView& out, uintptr_t stream) {
  const Device device = device_of(arrays, masks, std::nullopt).add(out);
  TypeJoin types;
  for (const ArrayView* array : arrays) types.add(array->view.dtype, array->view.size());
  if (!types.homogeneous || !is_narrow(types.common()))
    throw py::type_error("x must be of a one- or two-byte type, the same in all pooled arrays");
  auto* counts = memory_of<uint64_t>(out, "out", histogram_codes);
  py::gil_scoped_release unlocked;
  const Call call(device, stream, arrays, masks, std::nullopt);
  cuda::count_codes(call.queue, call.groups, 0, counts);
  return int(types.common());
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
  view.def_property_readonly("shape", [](const ArrayView& array) {
    py::tuple shape(array.view.ndim);
    for (int i = 0; i < array.view.ndim; ++i) shape[i] = py::int_(array.view.shape[i]);
    return shape;
  });
  view.def_readonly("device", &ArrayView::device);
  return view;
}

void define_functions(py::module_& m) {
  const auto arrays = py::arg("arrays"), masks = py::arg("masks"), axes = py::arg("axes"), out = py::arg("out"),
             stream = py::arg("stream"), p = py::arg("p"), q = py::arg("q"), k = py::arg("k"), eta = py::arg("eta");
  m.def("index_grid", &index_grid, arrays, masks, axes, p, q, out, stream);
  m.def("power_means", &power_means, arrays, masks, axes, py::arg("exponents"), out, stream);
  m.def("index", &of_pair<cuda::index, 1>, arrays, masks, axes, p, q, out, stream);
  m.def("norms", &of_pair<cuda::norms, 2>, arrays, masks, axes, p, q, out, stream);
  m.def("retained_bound", &of_pair_and_eta<cuda::retained_bound, 1>, arrays, masks, axes, p, q, eta, out, stream);
  m.def("mean_index_bound", &of_pair_and_eta<cuda::mean_index_bound, 3>, arrays, masks, axes, p, q, eta, out, stream);
  m.def("gini", &gini, arrays, masks, axes, out, stream);
  m.def("extent", &extent, arrays, masks, axes, py::arg("largest"), py::arg("counts"), stream);
  m.def("count_live", &count_live, arrays, masks, axes, out, stream);
  m.def("topk_mask", &topk_mask, arrays, masks, axes, k, out, stream);
  m.def("topk_threshold", &topk_threshold, arrays, masks, axes, k, out, stream);
  m.def("histogram", &histogram, arrays, masks, out, stream);
  m.def("retained_bound_from_index", &retained_bound_from_index, py::arg("index"), py::arg("d"), p, q, eta, out,
        stream);
  m.def("device_count", &cuda::device_count);
  m.def("device_names", &cuda::device_names);
  m.def("architectures", &cuda::architectures);
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
      [](uint64_t seed, int processors, size_t shared_limit) {
        cuda::executor::settings() = {seed, processors, shared_limit};
      },
      py::arg("seed"), py::arg("processors"), py::arg("shared_limit"));
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
