// Values in registers, and in their place among other instructions, where a compiler would rather have them elsewhere.
// Included by kernels.cpp alone.
#pragma once

namespace pqi::cpu {
namespace {

#ifdef __AVX2__

// Keeps the compiler from making a constant anew in every turn of a loop.
template <class Register>
inline __attribute__((always_inline)) Register pinned(Register constant) {
  asm("" : "+v"(constant));
  return constant;
}

// Keeps the compiler from computing it later than what is read and written next.
template <class Register>
inline __attribute__((always_inline)) void settle(Register& settled) {
  asm volatile("" : "+v"(settled) : : "memory");
}

#endif

}  // namespace
}  // namespace pqi::cpu
