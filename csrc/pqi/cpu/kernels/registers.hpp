// Registers of this instruction set, and how they come from memory and go there. Included by kernels.cpp alone.
#pragma once

#include <cstring>

namespace pqi::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int register_bytes = 64;
#elif defined(__AVX2__)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif

// From and to any address, by one instruction: compilers copy an element of an array of registers in pieces, and a load
// of the whole then waits until these have left for the cache.
template <class Register>
inline __attribute__((always_inline)) Register load_register(const void* from) {
  Register whole;
  std::memcpy(&whole, from, sizeof whole);
  return whole;
}
template <class Register>
inline __attribute__((always_inline)) void store_register(Register whole, void* to) {
  std::memcpy(to, &whole, sizeof whole);
}

}  // namespace
}  // namespace pqi::cpu
