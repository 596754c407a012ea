// Masks that are handed to the caller. The memory of large ones is a block of the workspace, which takes it back when
// the last array that refers to it goes: fresh pages cost as much as the selection itself.
#pragma once

#include <pybind11/numpy.h>

#include <memory>
#include <vector>

#include "../pqi/cpu/workspace.hpp"

namespace pqi {

namespace py = pybind11;

inline constexpr size_t smallest_own_mask = size_t(1) << 20;  // bytes; the C library keeps smaller blocks itself

// Uninitialised, in C order.
inline py::array_t<bool> new_mask(const std::vector<py::ssize_t>& shape) {
  size_t size = 1;
  for (py::ssize_t extent : shape)
    if (__builtin_mul_overflow(size, size_t(extent), &size)) size = 0;  // numpy says what is wrong
  if (size < smallest_own_mask) return py::array_t<bool>(shape);
  using Block = cpu::Buffer<unsigned char>;
  auto block = std::make_unique<Block>(size);
  const py::capsule owner(block.get(), [](void* held) { delete static_cast<Block*>(held); });
  const unsigned char* const memory = block.release()->data();
  return py::array_t<bool>(shape, reinterpret_cast<const bool*>(memory), owner);
}

}  // namespace pqi
