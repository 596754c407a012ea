// Functions of pqi._cuda whose results the host goes on with: counts of codes, sketches and their intervals.
#include "../pqi/cuda/gini_sketch.hpp"
#include "../pqi/cuda/histogram.hpp"
#include "cuda_arguments.hpp"

namespace pqi {
namespace {

// Returns the type's number, as _core.histogram does.
int histogram(const Arrays& arrays, const Arrays& masks, const ArrayView& out, uintptr_t stream) {
  const Request request = Request(arrays, masks, {}).with(out);
  TypeJoin types;
  for (const View& array : request.arrays) types.add(array.dtype, array.size());
  if (!types.homogeneous || !is_narrow(types.common()))
    throw py::type_error("x must be of a one- or two-byte type, the same in all pooled arrays");
  auto* counts = memory_of<uint64_t>(out, "out", histogram_codes);
  py::gil_scoped_release unlocked;
  const cuda::Queue queue(request.device.id(), stream);
  const cuda::Groups groups(queue, request.arrays, request.masks, nullptr);
  cuda::count_codes(queue, groups, 0, counts);
  return int(types.common());
}

void check_bits(int bits) {
  if (bits < fewest_sketch_bits || bits > most_sketch_bits)
    throw py::value_error("bits must be those of a sketch, got " + std::to_string(bits));
}

// Returns whether any interval is a sketch's, so that another one might be narrower.
bool gini_intervals(const Arrays& arrays, const Arrays& masks, const Grouping& grouping, const Chosen& chosen, int bits,
                    bool unbiased, const ArrayView& out, uintptr_t stream) {
  if (bits != 0) check_bits(bits);
  const Request request = Request(arrays, masks, grouping, chosen).with(out);
  auto* values = memory_of<double>(out, "out", cuda::interval_rows * request.groups);
  py::gil_scoped_release unlocked;
  const Call call(request, stream);
  bool sketched = false;
  call.each(cuda::interval_rows, 1, values, [&](const cuda::Groups& groups, double* results) {
    sketched |= bits != 0 && groups.count() > 0 && cuda::can_sketch(groups);
    cuda::gini_intervals(call.queue, groups, bits, unbiased, results);
  });
  return sketched;
}

// How many rows a sketch of these arrays may have; none of a type that is counted instead.
std::optional<size_t> sketch_rows(const Arrays& arrays, int bits) {
  check_bits(bits);
  TypeJoin types;
  size_t elements = 0;
  for (const View& array : views(arrays)) {
    types.add(array.dtype, array.size());
    elements += array.size();
  }
  if (types.homogeneous && is_narrow(types.common())) return std::nullopt;
  return cuda::sketch_rows(types.common(), elements, bits);
}

void gini_sketch(const Arrays& arrays, const Arrays& masks, int bits, const ArrayView& head, const ArrayView& rows,
                 uintptr_t stream) {
  const Request request = Request(arrays, masks, {}).with(head).with(rows);
  if (!sketch_rows(arrays, bits)) throw py::type_error("x must not be of a one- or two-byte type: histogram counts it");
  auto* numbers = memory_of<uint64_t>(head, "head", cuda::sketch_head_words);
  auto* buckets = memory_of<uint64_t>(rows, "rows", *sketch_rows(arrays, bits) * cuda::sketch_row_words);
  py::gil_scoped_release unlocked;
  const cuda::Queue queue(request.device.id(), stream);
  const cuda::Groups groups(queue, request.arrays, request.masks, nullptr);
  cuda::gini_sketch(queue, groups, bits, numbers, buckets);
}

}  // namespace

void bind_cuda_accumulators(py::module_& m) {
  const auto arrays = py::arg("arrays"), masks = py::arg("masks"), bits = py::arg("bits"), stream = py::arg("stream");
  m.def("histogram", &histogram, arrays, masks, py::arg("out"), stream);
  m.def("gini_intervals", &gini_intervals, arrays, masks, py::arg("grouping"), py::arg("chosen"), bits,
        py::arg("unbiased"), py::arg("out"), stream);
  m.def("sketch_rows", &sketch_rows, arrays, bits);
  m.def("gini_sketch", &gini_sketch, arrays, masks, bits, py::arg("head"), py::arg("rows"), stream);
}

}  // namespace pqi
