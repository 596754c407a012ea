// What every definition needs to compile for the host and for a GPU alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define PQI_HD __host__ __device__ inline
#else
#define PQI_HD inline __attribute__((always_inline))
#endif

namespace pqi {

using uint128 = unsigned __int128;
using int128 = __int128;

// The bits of one type read as another of the same size.
template <class To, class From>
PQI_HD To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace pqi
