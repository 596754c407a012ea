// Arguments of the functions of pqi._cuda; what is checked is what memory safety needs.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "../pqi/cuda/group_classes.hpp"
#include "array_arguments.hpp"

namespace pqi {

// One count for all groups, or one for each on the device.
using Given = std::variant<uint64_t, const ArrayView*>;
// The groups that are asked for; all of them where nothing is given.
using Chosen = std::optional<std::vector<uint64_t>>;

enum class Holds { numbers, counts, truth };

inline bool holds(const View& view, Holds what) {
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

// A call's arrays and groups, checked; a copy, so that it needs no interpreter.
struct Request {
  Device device;
  std::vector<View> arrays, masks;
  std::optional<std::vector<int>> axes;
  std::optional<std::vector<uint64_t>> offsets;
  Chosen chosen;
  size_t groups = 1;

  Request(const Arrays& given, const Arrays& live, const Grouping& grouping, const Chosen& some = std::nullopt)
      : arrays(views(given)), masks(views(live)), chosen(some) {
    if (const auto* found = std::get_if<std::vector<int>>(&grouping)) axes = *found;
    check(arrays, masks, axes ? &*axes : nullptr);
    if (const auto* found = std::get_if<Offsets>(&grouping)) {
      offsets = checked(*found, arrays);
      groups = offsets->size() - 1;
    } else if (axes) {
      const View kept = arrays[0].dimensions([&](int i) {
        bool found = true;
        for (const int axis : *axes) found &= axis != i;
        return found;
      });
      groups = kept.size();
    }
    for (const uint64_t group : chosen.value_or(std::vector<uint64_t>()))
      if (group >= groups) throw py::value_error("chosen must be numbers of groups");
    device.add(given).add(live);
  }

  template <class Array>
  Request& with(const Array& other) {
    device.add(other);
    return *this;
  }
  cuda::Grouping grouping() const {
    return {axes ? &*axes : nullptr, offsets ? &*offsets : nullptr, chosen ? &*chosen : nullptr};
  }
};

// Where a call's work goes, and its groups.
struct Call {
  cuda::Queue queue;
  cuda::GroupClasses groups;

  Call(const Request& request, uintptr_t stream)
      : queue(request.device.id(), stream), groups(queue, request.arrays, request.masks, request.grouping()) {}

  // f(groups of a class, memory for their results [row][group][inner]); they are put into out[row][group][inner].
  template <class T, class F>
  void each(size_t rows, size_t inner, T* out, F f) const {
    for (const cuda::GroupClass& part : groups.classes()) {
      const cuda::Results<T> results(queue, part, rows, inner, groups.count(), out);
      f(part.groups, results.get());
      results.put();
    }
  }
};

void bind_cuda_accumulators(py::module_& m);

}  // namespace pqi
