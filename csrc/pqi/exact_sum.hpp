// Sums of non-negative numbers that are exact in any order, and rounded once.
#pragma once

#include "portable.hpp"

namespace pqi {

// A fixed-point number in digits of 32 bits from 2^lowest on, each in a word of 64 whose upper half waits for carries,
// so that terms are added without looking at each other. Holds what the magnitudes of one- and two-byte types, their
// squares and their float64 roots can add up to: 53 bits that begin at 2^-266 at least, 2^64 squares of 2^128 at most.
struct ExactSum {
  static constexpr int digits = 22, lowest = -320;

  uint64_t digit[digits] = {};

  // Adds value·2^exponent. 2^32 terms fit before carries must be taken.
  PQI_HD void add(uint64_t value, int exponent) {
    const int place = (exponent - lowest) / 32, shift = (exponent - lowest) % 32;
    const uint64_t low = value << shift, high = value >> 32 >> (32 - shift);
    digit[place] += low & 0xffffffff;
    digit[place + 1] += low >> 32;
    digit[place + 2] += high;
  }

  PQI_HD void add(uint128 value, int exponent) {
    add(uint64_t(value), exponent);
    add(uint64_t(value >> 64), exponent + 64);
  }

  PQI_HD void add(const ExactSum& other) {
    for (int i = 0; i < digits; ++i) digit[i] += other.digit[i];
    carry();
  }

  PQI_HD void carry() {
    for (int i = 0; i + 1 < digits; ++i) {
      digit[i + 1] += digit[i] >> 32;
      digit[i] &= 0xffffffff;
    }
  }

  // To the nearest double, ties to even; after carry().
  PQI_HD double value() const {
    int top = digits - 1;
    while (top > 2 && digit[top] == 0) --top;
    // 64 bits from the highest one on; of what lies below it only matters whether it is zero.
    int shift = 0;
    while (shift < 31 && digit[top] << shift < 0x80000000) ++shift;
    uint64_t head = (digit[top] << 32 | digit[top - 1]) << shift | digit[top - 2] >> (32 - shift);
    uint64_t rest = digit[top - 2] << shift & 0xffffffff;
    for (int i = 0; i < top - 2; ++i) rest |= digit[i];
    head |= rest != 0 ? 1 : 0;
    return double(head) * bits_as<double>(uint64_t(lowest + 32 * (top - 1) - shift + 1023) << 52);
  }
};

// A positive double from 2^-266 to 2^256 as digits·2^exponent.
struct Digits {
  uint64_t digits;
  int exponent;

  PQI_HD explicit Digits(double value)
      : digits((bits_as<uint64_t>(value) & 0xfffffffffffffull) | 0x10000000000000ull),
        exponent(int(bits_as<uint64_t>(value) >> 52) - 1023 - 52) {}
};

}  // namespace pqi
