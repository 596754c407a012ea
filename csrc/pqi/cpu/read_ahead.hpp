// Asks for memory that a loop is going to read.
#pragma once

namespace pqi::cpu {

// A line that is wanted soon, for the first-level cache, and one that is wanted later, for the second: memory takes
// longer to answer than a loop can wait for with the few lines that the former has under way at a time.
inline __attribute__((always_inline)) void read_ahead(const void* soon, const void* later) {
  __builtin_prefetch(soon, 0, 3);
  __builtin_prefetch(later, 0, 2);
}

// What follows `at` in one stream. Loops with scattered counters or long chains of operations leave the hardware's own
// reading ahead behind.
inline __attribute__((always_inline)) void read_ahead(const void* at) {
  read_ahead(static_cast<const char*>(at) + 2048, static_cast<const char*>(at) + 8192);
}

}  // namespace pqi::cpu
