// Runs block programs on the CPU: the Block of block.hpp without a GPU, for tests.
//
// The threads of a block are fibers of one operating-system thread. Which of them runs next is drawn at random, and a
// fiber runs until it waits for others, so code between two barriers runs in any order but never interleaved. Blocks
// run one after another, in random order too. Shared memory is filled with a pattern before each block. A barrier that
// not all threads concerned reach, or reach at different places, is an error that names the places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

namespace pqi::cuda {

inline constexpr int warp_size = 32;

namespace executor {

inline constexpr unsigned char poison = 0xa5;

// The machine that programs find; the seed decides every order.
struct Settings {
  uint64_t seed = 1;
  int processors = 3;
  size_t shared_limit = 163 * 1024;
  size_t memory_limit = ~size_t(0);  // of scratch memory, all in all
};
Settings& settings();
// Scratch memory that was taken and not given back.
size_t allocated();

// Runs body(thread, its block's number) for all threads of all blocks; throws std::runtime_error on a misused barrier.
void run(uint64_t blocks, int threads, size_t shared_bytes, const std::function<void()>& body);

// Of the thread that is running.
int thread();
int threads();
uint64_t block();
uint64_t blocks();
unsigned char* shared_memory(size_t bytes);
void wait_for_block(int place);
void wait_for_lanes(int width, int place);
// Gives a value to the other lanes of the segment and waits for theirs; `given` then is what lane i of it gave.
void exchange(uint64_t value, int width, int place);
uint64_t given(int lane);

}  // namespace executor

class Block {
 public:
  int thread() const { return executor::thread(); }
  int threads() const { return executor::threads(); }
  int lane() const { return thread() % warp_size; }
  int warp() const { return thread() / warp_size; }
  uint64_t index() const { return executor::block(); }
  uint64_t count() const { return executor::blocks(); }

  template <class T>
  T* shared(size_t bytes = 0) const {
    return reinterpret_cast<T*>(executor::shared_memory(bytes));
  }

  void sync(int place = __builtin_LINE()) const { executor::wait_for_block(place); }
  void sync_lanes(int width = warp_size, int place = __builtin_LINE()) const { executor::wait_for_lanes(width, place); }

  template <class T>
  T shuffle_down(T value, int delta, int width = warp_size, int place = __builtin_LINE()) const {
    const int mine = thread() % width;
    return exchange(value, mine + delta < width ? mine + delta : mine, width, place);
  }
  template <class T>
  T shuffle_xor(T value, int mask, int width = warp_size, int place = __builtin_LINE()) const {
    return exchange(value, (thread() ^ mask) % width, width, place);
  }
  template <class T>
  T broadcast(T value, int lane, int width = warp_size, int place = __builtin_LINE()) const {
    return exchange(value, lane, width, place);
  }
  uint32_t ballot(bool value, int width = warp_size, int place = __builtin_LINE()) const {
    executor::exchange(value, width, place);
    uint32_t bits = 0;
    for (int i = 0; i < width; ++i) bits |= uint32_t(executor::given(i)) << i;
    return bits;
  }

  uint32_t match(uint32_t value, int place = __builtin_LINE()) const {
    executor::exchange(value, warp_size, place);
    uint32_t same = 0;
    for (int i = 0; i < warp_size; ++i) same |= uint32_t(executor::given(i) == value) << i;
    return same;
  }

  template <class T>
  T add(T* to, std::type_identity_t<T> value) const {
    const T before = *to;
    *to = T(before + value);
    return before;
  }
  uint64_t max(uint64_t* to, uint64_t value) const {
    const uint64_t before = *to;
    *to = before < value ? value : before;
    return before;
  }
  uint64_t min(uint64_t* to, uint64_t value) const {
    const uint64_t before = *to;
    *to = value < before ? value : before;
    return before;
  }
  uint64_t peek(const uint64_t* from) const { return *from; }

 private:
  template <class T>
  T exchange(T value, int from, int width, int place) const {
    static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable_v<T>);
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    executor::exchange(bits, width, place);
    bits = executor::given(from);
    T result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
  }
};

inline int count_ones(uint32_t x) { return __builtin_popcount(x); }

}  // namespace pqi::cuda
