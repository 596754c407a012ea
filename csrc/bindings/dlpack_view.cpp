#include "dlpack_view.hpp"

#include <optional>
#include <string>

#include "dlpack.h"

namespace py = pybind11;

namespace pqi {
namespace {

std::optional<DType> dtype_of(char kind, py::ssize_t size) {
  switch (kind) {
    case 'f':
      if (size == 2) return DType::f16;
      if (size == 4) return DType::f32;
      if (size == 8) return DType::f64;
      return std::nullopt;
    case 'i':
      return size == 1 ? DType::i8 : size == 2 ? DType::i16 : size == 4 ? DType::i32 : DType::i64;
    case 'u':
      return size == 1 ? DType::u8 : size == 2 ? DType::u16 : size == 4 ? DType::u32 : DType::u64;
    case 'b':
      return DType::boolean;
    default:
      return std::nullopt;
  }
}

// ml_dtypes register their types with kinds of their own; the name tells them apart.
std::optional<DType> dtype_named(const std::string& name) {
  if (name == "bfloat16") return DType::bf16;
  if (name == "float8_e4m3fn") return DType::e4m3;
  if (name == "float8_e5m2") return DType::e5m2;
  return std::nullopt;
}

std::optional<DType> dtype_of(DLDataType type) {
  if (type.lanes != 1 || (type.bits != 8 && type.bits != 16 && type.bits != 32 && type.bits != 64)) return std::nullopt;
  const int size = type.bits / 8;
  switch (type.code) {
    case kDLFloat:
      return dtype_of('f', size);
    case kDLInt:
      return dtype_of('i', size);
    case kDLUInt:
      return dtype_of('u', size);
    case kDLBool:
      return DType::boolean;
    case kDLBfloat:
      return size == 2 ? std::optional(DType::bf16) : std::nullopt;
    case kDLFloat8_e4m3fn:
      return DType::e4m3;
    case kDLFloat8_e5m2:
      return DType::e5m2;
    default:
      return std::nullopt;
  }
}

[[noreturn]] void refuse_dtype(const std::string& name, const std::string& found) {
  throw py::type_error(
      name + " must hold real numbers (float64/32/16, bfloat16, float8 e4m3fn/e5m2, integers or bool), got " + found);
}

enum class Memory { host, cuda };

void check_device(const DLTensor& tensor, Memory memory, const std::string& name) {
  const int type = tensor.device.device_type;
  if (memory == Memory::cuda) {
    if (type != kDLCUDA && type != kDLCUDAManaged)
      throw py::type_error(name + " must lie in the memory of a CUDA device, got DLPack device type " +
                           std::to_string(type) + "; copy it to the device of the other arrays first");
  } else if (type != kDLCPU && type != kDLCUDAHost && type != kDLROCMHost) {
    throw py::type_error(name + " must lie in memory that the CPU can read, got DLPack device type " +
                         std::to_string(type) + "; copy it to the CPU first");
  }
}

// A GPU reads elements at multiples of their size only.
void check_alignment(const View& view, const std::string& name) {
  const auto width = int64_t(item_size(view.dtype));
  bool aligned = int64_t(reinterpret_cast<uintptr_t>(view.data)) % width == 0;
  for (int i = 0; i < view.ndim; ++i) aligned &= view.strides[i] % width == 0;
  if (!aligned) throw py::value_error(name + " must hold elements aligned to their size; pass a copy");
}

View view_of(const DLTensor& tensor, Memory memory, const std::string& name) {
  const std::optional<DType> dtype = dtype_of(tensor.dtype);
  if (!dtype)
    refuse_dtype(name, "DLPack type code " + std::to_string(tensor.dtype.code) + " with " +
                           std::to_string(tensor.dtype.bits) + " bits");
  check_device(tensor, memory, name);
  if (tensor.ndim > max_dims)
    throw py::value_error(name + " must have at most " + std::to_string(max_dims) + " dimensions, got " +
                          std::to_string(tensor.ndim));
  View view;
  view.dtype = *dtype;
  view.data = static_cast<const char*>(tensor.data) + tensor.byte_offset;
  int64_t stride = int64_t(item_size(*dtype));
  view.ndim = tensor.ndim;
  for (int i = tensor.ndim - 1; i >= 0; --i) {
    view.shape[i] = tensor.shape[i];
    view.strides[i] = tensor.strides != nullptr ? tensor.strides[i] * int64_t(item_size(*dtype)) : stride;
    stride *= tensor.shape[i];
  }
  if (memory == Memory::cuda) check_alignment(view, name);
  return view;
}

// Takes the capsule's tensor over; its deleter runs when the view's owner goes.
template <class Managed>
ArrayView adopt(py::capsule capsule, const char* used_name, Memory memory, const std::string& name) {
  auto* managed = static_cast<Managed*>(capsule.get_pointer());
  ArrayView result{view_of(managed->dl_tensor, memory, name), {}, true, managed->dl_tensor.device.device_id};
  capsule.set_name(used_name);
  result.owner = py::capsule(managed, [](void* pointer) {
    auto* owned = static_cast<Managed*>(pointer);
    if (owned->deleter != nullptr) owned->deleter(owned);
  });
  return result;
}

ArrayView view_in(Memory memory, const py::capsule& capsule, const std::string& name) {
  const std::string capsule_name = capsule.name() != nullptr ? capsule.name() : "";
  if (capsule_name == "dltensor_versioned") {
    const auto* managed = static_cast<const DLManagedTensorVersioned*>(capsule.get_pointer());
    if (managed->version.major != DLPACK_MAJOR_VERSION)
      throw py::type_error(name + " must speak DLPack 1.x, got " + std::to_string(managed->version.major) + "." +
                           std::to_string(managed->version.minor));
    const bool writable = (managed->flags & DLPACK_FLAG_BITMASK_READ_ONLY) == 0;
    ArrayView result = adopt<DLManagedTensorVersioned>(capsule, "used_dltensor_versioned", memory, name);
    result.writable = writable;
    return result;
  }
  if (capsule_name == "dltensor") return adopt<DLManagedTensor>(capsule, "used_dltensor", memory, name);
  throw py::type_error(name + ".__dlpack__() must return a DLPack capsule that nobody used yet, got '" + capsule_name +
                       "'");
}

}  // namespace

ArrayView view_of_numpy(const py::array& array, const std::string& name) {
  const py::dtype type = array.dtype();
  std::optional<DType> dtype = dtype_of(type.kind(), type.itemsize());
  if (!dtype) dtype = dtype_named(py::str(type.attr("name")));
  if (!dtype) refuse_dtype(name, "dtype " + std::string(py::str(type)));
  if (type.byteorder() == '>')
    throw py::type_error(name + " must be in native byte order, got dtype " + std::string(py::str(type)));
  ArrayView result{{}, array, array.writeable(), 0};
  View& view = result.view;
  view.data = static_cast<const char*>(array.data());
  view.dtype = *dtype;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) view.push(array.shape(i), array.strides(i));
  return result;
}

ArrayView view_of_exchange(const py::object& array, const std::string& name) {
  const py::object owner = py::type::of(array).attr("__dlpack_c_exchange_api__");
  const auto* table = static_cast<const DLPackExchangeAPI*>(PyCapsule_GetPointer(owner.ptr(), "dlpack_exchange_api"));
  if (table == nullptr) throw py::error_already_set();
  if (table->header.version.major != DLPACK_MAJOR_VERSION || table->dltensor_from_py_object_no_sync == nullptr)
    return view_of_dlpack(array.attr("__dlpack__")(), name);
  DLTensor tensor;
  if (table->dltensor_from_py_object_no_sync(array.ptr(), &tensor) != 0) throw py::error_already_set();
  return {view_of(tensor, Memory::host, name), array, true, 0};
}

ArrayView view_of_dlpack(const py::capsule& capsule, const std::string& name) {
  return view_in(Memory::host, capsule, name);
}

ArrayView view_of_cuda_dlpack(const py::capsule& capsule, const std::string& name) {
  return view_in(Memory::cuda, capsule, name);
}

}  // namespace pqi
