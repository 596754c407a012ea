// The lanes of chunks, as reduction.hpp defines them: sums of the exponents ½, 1, 2 in registers. Included by
// special_sums.hpp alone.
#pragma once

#include "held.hpp"
#include "row_pairs.hpp"
#include "wide_lanes.hpp"

namespace pqi::cpu {
namespace {

// How elements lie in memory and what number they are.
struct Doubles {
  using Stored = double;
  using Number = double;
  static PQI_HD double number(double x) { return x; }
};
struct Floats {
  using Stored = float;
  using Number = float;
  static PQI_HD float number(float x) { return x; }
};
struct Halves {
  using Stored = uint16_t;
  using Number = float;
  static PQI_HD float number(uint16_t x) { return half_to_float(x); }
};
struct Bfloats {
  using Stored = uint16_t;
  using Number = float;
  static PQI_HD float number(uint16_t x) { return bfloat_to_float(x); }
};

// Elements times a power of two; those with a zero in `live` count as zeros (null: none).
template <class Elements>
struct Chunk {
  const typename Elements::Stored* x;
  const uint8_t* live;
  size_t n;
  typename Elements::Number factor;
};

// The lanes of up to `lanes` chunks before they are folded: sums of the exponents ½, 1, 2 and what float roots left
// aside.
template <class T>
struct Unfolded {
  double sum[3][lanes][lanes];
  T low[lanes][lanes];
};

// n numbers in registers.
template <class T, int n>
struct RegisterArray {
  typedef T Register __attribute__((vector_size(8 * vector_lanes)));
  static constexpr int width = int(sizeof(Register) / sizeof(T)), count = n / width;

  Register part[count];

  // Takes a zero that compilers do not know: of several registers of a constant they make a string instruction, which
  // loads then wait for.
  PQI_HD void clear(T zero) {
    for (int i = 0; i < count; ++i) part[i] = count <= 2 ? Register{} : Register{} + zero;
  }
  PQI_HD void load(const T* from) {
    for (int i = 0; i < count; ++i) part[i] = load_register<Register>(from + i * width);
  }
  PQI_HD void store(T* to) const {
#pragma GCC unroll 16
    for (int i = 0; i < count; ++i) store_register(part[i], to + i * width);
  }
  PQI_HD void add(const T* terms) {
    for (int i = 0; i < count; ++i) part[i] += load_register<Register>(terms + i * width);
  }
};

// Whether a pair's roots are begun before the pair ahead of it is added up; otherwise operations that wait for them
// fill what a processor looks ahead with. With the registers of AVX-512 quotients are added a pair later, too; with
// those of AVX2 it takes all of them for a part of the lanes at a time, and elements that do not live would be cleared
// for each.
#if defined(__AVX512F__)
template <bool>
constexpr bool begins_early = true;
constexpr bool adds_later = true;
constexpr int begun_lanes = lanes;
#elif defined(__AVX2__)
template <bool masked>
constexpr bool begins_early = !masked;
constexpr bool adds_later = false;
constexpr int begun_lanes = lanes / 2;
#else
template <bool>
constexpr bool begins_early = false;
constexpr bool adds_later = false;
constexpr int begun_lanes = lanes;
#endif

// `width` lanes of two rows of numbers whose roots are under way.
template <class T, int width>
struct BegunPair {
  RegisterArray<T, 2 * width> numbers, roots;

  PQI_HD void begin(const T number[2 * width]) {
    T found[2 * width];
#pragma omp simd
    for (int j = 0; j < 2 * width; ++j) found[j] = root(number[j]);
    numbers.load(number);
    roots.load(found);
  }
  // Keeps the compiler from beginning them later than here.
  PQI_HD void hold() {
#ifdef __AVX2__
    for (int i = 0; i < roots.count; ++i) settle(roots.part[i]);
#endif
  }
};

// `width` lanes of one chunk.
template <unsigned which, class T, int width>
class ChunkLanes {
 public:
  PQI_HD explicit ChunkLanes(double zero) {
    half_.clear(zero);
    one_.clear(zero);
    two_.clear(zero);
    low_.clear(T(zero));
    if constexpr (adds_later) rounding_.clear(T(zero));
    if constexpr (adds_later) correction_.clear(T(zero));
  }

  // root_at(j) is the root of number[j].
  template <class RootAt>
  PQI_HD void add(const T number[2 * width], RootAt root_at) {
    T low[width], rounding[width], correction[width];
    double roots[width], numbers[width], squares[width];
#pragma omp simd
    for (int j = 0; j < width; ++j) {
      const T a = number[j], b = number[j + width];
      const double wide_a = double(a), wide_b = double(b);
      if constexpr (which & sum_half) {
        const RootPair<T> both = root_pair(a, b, root_at(j), root_at(j + width));
        roots[j] = double(both.sum);
        if constexpr (adds_later) rounding[j] = both.rounding;
        if constexpr (adds_later) correction[j] = both.correction;
        if constexpr (!adds_later) low[j] = both.rounding + both.correction;  // low() keeps GCC from vectorising
      }
      if constexpr (which & sum_one) numbers[j] = wide_a + wide_b;
      if constexpr (which & sum_two) squares[j] = wide_a * wide_a + wide_b * wide_b;
    }
    if constexpr (which & sum_half) half_.add(roots);
    if constexpr ((which & sum_half) && adds_later) {
      add_latest();
      rounding_.load(rounding);
      correction_.load(correction);
    } else if constexpr (which & sum_half) {
      low_.add(low);
    }
    if constexpr (which & sum_one) one_.add(numbers);
    if constexpr (which & sum_two) two_.add(squares);
  }

  PQI_HD void add(const BegunPair<T, width>& pair) {
    T number[2 * width], found[2 * width];
    pair.numbers.store(number);
    pair.roots.store(found);
    add(number, [&](int j) __attribute__((always_inline)) { return found[j]; });
  }

  // As lanes `first` and on of the i-th chunk.
  PQI_HD void store(size_t i, int first, Unfolded<T>& out) {
    if constexpr ((which & sum_half) && adds_later) add_latest();
    if constexpr (which & sum_half) half_.store(out.sum[0][i] + first);
    if constexpr (which & sum_half) low_.store(out.low[i] + first);
    if constexpr (which & sum_one) one_.store(out.sum[1][i] + first);
    if constexpr (which & sum_two) two_.store(out.sum[2][i] + first);
  }

 private:
  PQI_HD void add_latest() {
    for (int i = 0; i < low_.count; ++i) low_.part[i] += rounding_.part[i] + correction_.part[i];
  }

  RegisterArray<double, width> half_, one_, two_;
  RegisterArray<T, width> low_, rounding_, correction_;  // the last two of the latest pair, if added later
};

// Chunks' pairs as numbers, `width` lanes of each at a time.
template <bool masked, int width, class Elements>
class ChunkReader {
 public:
  using Stored = typename Elements::Stored;
  using T = typename Elements::Number;

  PQI_HD explicit ChunkReader(PairRoom<Stored>& room) : pairs(room) {}

  PQI_HD void open(const Chunk<Elements>& chunk) {
    pairs.open(chunk.x, chunk.live, chunk.n);
    factor_ = chunk.factor;
    zero = bits_as<double>(uint64_t(chunk.n) >> 63);
    first_ = 0;
  }
  // The same chunk's next lanes.
  PQI_HD void reopen() {
    pairs.rewind();
    first_ += width;
  }
  // The first of the lanes that are being read.
  PQI_HD int first() const { return width < lanes ? first_ : 0; }

  PQI_HD void read(T number[2 * width]) const {
    const Stored* const elements = pairs.elements() + first();
    constexpr int stretch = width < lanes ? width : 2 * lanes;  // both rows at once: halves are split and put together
    for (int from = 0, to = 0; to < 2 * width; from += lanes, to += stretch)
#pragma omp simd
      for (int j = 0; j < stretch; ++j) number[to + j] = magnitude(Elements::number(elements[from + j])) * factor_;
  }
  PQI_HD void begin(BegunPair<T, width>& pair) const {
    T number[2 * width];
    if (first() == 0) pairs.ask_ahead();
    read(number);
    pair.begin(number);
  }
  PQI_HD void begin_next(BegunPair<T, width>& pair) {
    pairs.advance();
    begin(pair);
    pair.hold();
  }

  RowPairs<masked, Stored> pairs;
  double zero = 0;  // which compilers do not know

 private:
  T factor_ = 0;
  int first_ = 0;
};

// As add_chunks, roots begun early.
template <unsigned which, int width, class Reader, class T, class ChunkAt>
inline __attribute__((always_inline)) void add_begun(Reader& reader, size_t count, Unfolded<T>& out, ChunkAt chunk_at) {
  BegunPair<T, width> pair, next;
  reader.open(chunk_at(0));
  reader.begin(pair);
  for (size_t i = 0; i < count;) {
    ChunkLanes<which, T, width> chunk(reader.zero);
    while (!reader.pairs.last()) {
      reader.begin_next(next);
      chunk.add(pair);
      if (reader.pairs.last()) {
        pair = next;
        break;
      }
      reader.begin_next(pair);
      chunk.add(next);
    }
    const size_t here = i;
    const int first = reader.first();
    const bool whole = first + width == lanes, more = !whole || i + 1 < count;
    i += whole;
    if (!whole) reader.reopen();
    if (whole && more) reader.open(chunk_at(i));
    if (more) reader.begin(next);  // held in its place it would cost short rows 2 %
    chunk.add(pair);
    if (more) pair = next;
    chunk.store(here, first, out);
  }
}

// Adds up `count` chunks, at least one. chunk_at(i), the i-th one, is called once each, in order.
template <unsigned which, bool masked, class Elements, class T = typename Elements::Number, class ChunkAt>
inline __attribute__((always_inline)) void add_chunks(size_t count, Unfolded<T>& out, ChunkAt chunk_at) {
  constexpr bool early = (which & sum_half) != 0 && begins_early<masked>;
  constexpr int width = early ? begun_lanes : lanes;
  PairRoom<typename Elements::Stored> room;
  ChunkReader<masked, width, Elements> reader(room);
  if constexpr (early) return add_begun<which, width>(reader, count, out, chunk_at);
  for (size_t i = 0; i < count; ++i) {
    reader.open(chunk_at(i));
    ChunkLanes<which, T, width> chunk(reader.zero);
    for (;; reader.pairs.advance()) {
      T number[2 * lanes];
      reader.read(number);
      chunk.add(number, [&](int j) __attribute__((always_inline)) { return root(number[j]); });
      if (reader.pairs.last()) break;
    }
    chunk.store(i, 0, out);
  }
}

}  // namespace
}  // namespace pqi::cpu
