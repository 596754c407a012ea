// A chunk by pairs of its rows of 16 elements. Included by other kernels alone.
#pragma once

#include "../read_ahead.hpp"
#include "live.hpp"

namespace pqi::cpu {
namespace {

// Where a pair is padded, and where its elements that do not live are cleared. Apart from RowPairs, whose members stay
// in registers then.
template <class T>
struct PairRoom {
  alignas(64) T padded[2 * lanes];
  alignas(64) T cleared[2 * lanes];
  uint8_t padded_live[2 * lanes];
};

// Every two rows of a chunk in turn, the last ones padded with zeros; one pair for an empty chunk. Where it is masked,
// elements that do not live are zeros too.
template <bool masked, class T>
class RowPairs {
 public:
  PQI_HD explicit RowPairs(PairRoom<T>& room) : room_(room) {}

  // Moves to a chunk's first pair.
  PQI_HD void open(const T* x, const uint8_t* live, size_t n) {
    const size_t whole = n / pair, rest = n % pair;
    padded_ = rest > 0 || n == 0;
    count_ = whole + padded_;
    begin_ = whole > 0 ? x : room_.padded;
    begin_live_ = whole > 0 ? live : room_.padded_live;
    rewind();
    if (padded_ == 0) return;
    const T* const last = x + whole * pair;
#pragma omp simd
    for (size_t j = 0; j < pair; ++j) room_.padded[j] = j < rest ? last[j] : T(0);
    for (size_t j = 0; masked && j < pair; ++j) room_.padded_live[j] = j < rest ? live[whole * pair + j] : 0;
  }

  // Moves to the first pair again.
  PQI_HD void rewind() {
    left_ = count_;
    at_ = begin_;
    live_ = begin_live_;
  }

  // The elements of both rows, until the next call.
  PQI_HD const T* elements() const {
    if constexpr (!masked) return at_;
    for (size_t j = 0; j < pair; j += LiveRegister<T>::width)
      LiveRegister<T>(live_ + j).clear(at_ + j, room_.cleared + j);
    return room_.cleared;
  }

  // Asks for what comes after the pair where it lies.
  PQI_HD void ask_ahead() const {
    constexpr size_t line = 64 / sizeof(T);
    for (size_t j = 0; j < pair; j += line) read_ahead(at_ + j);
  }

  PQI_HD bool last() const { return left_ == 1; }

  PQI_HD void advance() {
    --left_;
    at_ = left_ == padded_ ? room_.padded : at_ + pair;
    if constexpr (masked) live_ = left_ == padded_ ? room_.padded_live : live_ + pair;
  }

 private:
  static constexpr size_t pair = 2 * lanes;

  PairRoom<T>& room_;
  const T *begin_ = nullptr, *at_ = nullptr;
  const uint8_t *begin_live_ = nullptr, *live_ = nullptr;
  size_t count_ = 0, left_ = 0;  // pairs, and those from this one on
  size_t padded_ = 0;            // of them padded, 0 or 1
};

}  // namespace
}  // namespace pqi::cpu
