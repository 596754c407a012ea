// The unsigned type that holds a type's keys.
#pragma once

#include "../magnitude_key.hpp"

namespace pqi::cuda {

// Calls f with a value of it.
template <class F>
void with_key_type(DType t, F f) {
  switch (item_size(t)) {
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    default:
      return f(uint16_t{});
  }
}

}  // namespace pqi::cuda
