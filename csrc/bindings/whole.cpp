// Small calls: what pybind11 spends on converting arguments, and Python on checking them, is more than the work on a
// thousand elements. So one function of the C calling convention binds the arguments of a public function itself, takes
// those that need no judgement, and declines all others: the public function then goes its ordinary way, and raises
// what there is to raise. Nothing is decided here that is not decided there.
#include "whole.hpp"

#include <optional>
#include <string>
#include <vector>

#include "../pqi/cpu/gini.hpp"
#include "../pqi/cpu/norms.hpp"
#include "../pqi/cpu/topk.hpp"
#include "dlpack_view.hpp"
#include "new_mask.hpp"

namespace pqi {
namespace {

namespace py = pybind11;

constexpr size_t most_parameters = 8;
constexpr size_t lock_kept_below = size_t(1) << 12;  // elements: sooner done than the interpreter's lock is given back

class Unlocked {
 public:
  explicit Unlocked(size_t elements) : state_(elements < lock_kept_below ? nullptr : PyEval_SaveThread()) {}
  ~Unlocked() {
    if (state_ != nullptr) PyEval_RestoreThread(state_);
  }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* const state_;
};

// The arguments of a call: the array, then the measure's own numbers.
using Arguments = PyObject* const*;
// A result, or null (and no error set) where an argument needs judgement.
using Measure = py::object (*)(const View& x, Arguments arguments);

std::optional<double> number(PyObject* given) {
  if (PyFloat_CheckExact(given)) return PyFloat_AS_DOUBLE(given);
  if (!PyLong_CheckExact(given)) return std::nullopt;
  const double value = PyLong_AsDouble(given);
  if (value != -1.0 || PyErr_Occurred() == nullptr) return value;
  PyErr_Clear();
  return std::nullopt;
}

PyTypeObject* numpy_type(const char* name) {
  return reinterpret_cast<PyTypeObject*>(py::object(py::module_::import("numpy").attr(name)).release().ptr());
}

// numpy's float64 is a subtype of Python's float and is made as that makes its subtypes.
py::object scalar(double value) {
  static PyTypeObject* const type = numpy_type("float64");
  PyObject* const made = type->tp_alloc(type, 0);
  if (made == nullptr) throw py::error_already_set();
  reinterpret_cast<PyFloatObject*>(made)->ob_fval = value;
  return py::reinterpret_steal<py::object>(made);
}

struct Pair {
  double p, q;

  static std::optional<Pair> of(Arguments given) {
    const std::optional<double> p = number(given[1]), q = number(given[2]);
    if (!p || !q || !(0.0 < *p && *p < *q && *q <= widest_exponent)) return std::nullopt;
    return Pair{*p, *q};
  }
};

py::object index(const View& x, Arguments arguments) {
  const std::optional<Pair> pair = Pair::of(arguments);
  if (!pair) return {};
  double found;
  {
    const Unlocked unlocked(x.size());
    cpu::index(cpu::Groups({x}, {}, nullptr), pair->p, pair->q, &found);
  }
  return scalar(found);
}

py::object norms(const View& x, Arguments arguments) {
  const std::optional<Pair> pair = Pair::of(arguments);
  if (!pair) return {};
  double norm_p, norm_q;
  {
    const Unlocked unlocked(x.size());
    cpu::norms(cpu::Groups({x}, {}, nullptr), pair->p, pair->q, &norm_p, &norm_q);
  }
  return py::make_tuple(scalar(norm_p), scalar(norm_q));
}

py::object retained_bound(const View& x, Arguments arguments) {
  const std::optional<Pair> pair = Pair::of(arguments);
  const std::optional<double> eta = number(arguments[3]);
  if (!pair || !eta || !(0.0 <= *eta && *eta < infinity)) return {};
  double found;
  {
    const Unlocked unlocked(x.size());
    cpu::retained_bound(cpu::Groups({x}, {}, nullptr), pair->p, pair->q, *eta, &found);
  }
  return scalar(found);
}

py::object gini(const View& x, Arguments) {
  double found;
  {
    const Unlocked unlocked(x.size());
    cpu::gini(cpu::Groups({x}, {}, nullptr), &found);
  }
  return scalar(found);
}

std::optional<uint64_t> count(PyObject* given, size_t most) {
  if (!PyLong_CheckExact(given)) return std::nullopt;
  int overflow = 0;
  const long long k = PyLong_AsLongLongAndOverflow(given, &overflow);
  return overflow == 0 && 0 <= k && uint64_t(k) <= most ? std::optional(uint64_t(k)) : std::nullopt;
}

py::object topk_mask(const View& x, Arguments arguments) {
  const size_t size = x.size();
  const std::optional<uint64_t> k = count(arguments[1], size);
  if (!k) return {};
  py::array_t<bool> mask = new_mask(std::vector<py::ssize_t>(x.shape, x.shape + x.ndim));
  View out = x;
  out.data = reinterpret_cast<const char*>(mask.mutable_data());
  out.dtype = DType::boolean;
  for (int i = 0; i < out.ndim; ++i) out.strides[i] = mask.strides(i);
  {
    const Unlocked unlocked(size);
    cpu::topk_mask(cpu::Groups({x}, {}, nullptr), {nullptr, *k}, nullptr, cpu::Groups({out}, {}, nullptr));
  }
  return mask;
}

py::object topk_threshold(const View& x, Arguments arguments) {
  const size_t size = x.size();
  const std::optional<uint64_t> k = count(arguments[1], size);
  if (!k) return {};
  double found;
  {
    const Unlocked unlocked(size);
    cpu::topk_threshold(cpu::Groups({x}, {}, nullptr), {nullptr, *k}, nullptr, &found);
  }
  return scalar(found);
}

struct Named {
  const char* name;
  Measure measure;
  size_t numbers;
};
constexpr Named measures[] = {
    {"gini", gini, 0},           {"index", index, 2},
    {"norms", norms, 2},         {"retained_bound", retained_bound, 3},
    {"topk_mask", topk_mask, 1}, {"topk_threshold", topk_threshold, 1},
};

// A measure with the parameters of its public function: the array, the measure's own numbers, and what must keep its
// default for the array to be one whole vector.
struct Whole {
  Measure measure;
  size_t numbers, positional;
  std::vector<py::object> names, defaults;  // of all parameters; null where there is no default

  bool bind(PyObject* const* given, size_t count, PyObject* keywords, PyObject** bound) const {
    if (count > positional) return false;
    for (size_t i = 0; i < names.size(); ++i) bound[i] = i < count ? given[i] : defaults[i].ptr();
    const size_t named = keywords == nullptr ? 0 : size_t(PyTuple_GET_SIZE(keywords));
    for (size_t j = 0; j < named; ++j) {
      size_t i = count;  // names are interned: the same object
      while (i < names.size() && names[i].ptr() != PyTuple_GET_ITEM(keywords, py::ssize_t(j))) ++i;
      if (i == names.size()) return false;
      bound[i] = given[count + j];
    }
    for (size_t i = 0; i < names.size(); ++i)
      if (bound[i] == nullptr || (i > numbers && bound[i] != defaults[i].ptr())) return false;
    return true;
  }
};

PyObject* call(PyObject* self, PyObject* const* arguments, py::ssize_t count, PyObject* keywords) {
  const Whole& whole = *static_cast<const Whole*>(PyCapsule_GetPointer(self, nullptr));
  PyObject* bound[most_parameters];
  if (whole.bind(arguments, size_t(count), keywords, bound)) {
    try {
      static const PyTypeObject* const ndarray = numpy_type("ndarray");
      static const std::string name = "x";
      if (Py_TYPE(bound[0]) != ndarray) Py_RETURN_NONE;
      const ArrayView x = view_of_numpy(py::reinterpret_borrow<py::array>(bound[0]), name);
      if (py::object found = whole.measure(x.view, bound)) return found.release().ptr();
    } catch (const std::exception&) {  // the ordinary way meets it again, and says so
    }
  }
  Py_RETURN_NONE;
}

PyMethodDef definition = {"whole", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call)),
                          METH_FASTCALL | METH_KEYWORDS, nullptr};

py::object whole(const std::string& measure, size_t positional, const py::tuple& names, const py::tuple& defaults) {
  if (names.size() > most_parameters || defaults.size() > names.size() || positional > names.size())
    throw py::value_error("names must be few, with a default for the last ones");
  for (const Named& known : measures) {
    if (measure != known.name) continue;
    auto* made = new Whole{known.measure, known.numbers, positional, {}, {}};
    const py::capsule owner(made, [](void* pointer) { delete static_cast<Whole*>(pointer); });
    for (const auto& name : names) made->names.push_back(py::reinterpret_borrow<py::object>(name));
    made->defaults.resize(names.size() - defaults.size());
    for (const auto& value : defaults) made->defaults.push_back(py::reinterpret_borrow<py::object>(value));
    return py::reinterpret_steal<py::object>(PyCFunction_New(&definition, owner.ptr()));
  }
  throw py::value_error("measure must be one that whole arrays have, got '" + measure + "'");
}

}  // namespace

void bind_whole(py::module_& m) {
  m.def("whole", &whole, py::arg("measure"), py::arg("positional"), py::arg("names"), py::arg("defaults"));
}

}  // namespace pqi
