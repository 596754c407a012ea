#include "summary.hpp"

#include "each.hpp"
#include "key_reader.hpp"
#include "key_type.hpp"

namespace pqi::cuda {
namespace {

struct Store {
  uint64_t value;
  uint64_t* to;

  PQI_DEVICE void operator()(uint64_t i) const { to[i] = value; }
};

// A warp counts a stretch of a group; stretches add up.
template <class K, bool keys>
struct Count {
  static constexpr int threads = 256;
  static constexpr uint64_t stretch = 8192;

  Source source;
  uint64_t *largest, *zeros, *live;  // the first two for keys only

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t per_group = (source.size + stretch - 1) / stretch;
    const uint64_t task = block.index() * (threads / warp_size) + uint64_t(block.warp()), group = task / per_group;
    if (group >= source.count) return;
    const uint64_t begin = task % per_group * stretch;
    const uint64_t end = source.size - begin < stretch ? source.size : begin + stretch;
    uint64_t top = 0, zero = 0, alive = 0;
    if constexpr (keys) {
      constexpr int at_once = KeyReader<K>::at_once;
      KeyReader<K> reader(source, group);
      for (uint64_t i = begin + uint64_t(block.lane() * at_once); i < end; i += warp_size * at_once) {
        K read[at_once];
        const uint32_t live_bits = reader.read(i, read);
        alive += uint64_t(count_ones(live_bits));
        PQI_UNROLL for (int j = 0; j < at_once; ++j) {
          if ((live_bits >> j & 1) == 0) continue;
          top = top < read[j] ? read[j] : top;
          zero += read[j] == 0;
        }
      }
    } else {
      constexpr int at_once = 16;
      Cursor cursor(source, group);
      for (uint64_t i = begin + uint64_t(block.lane() * at_once); i < end; i += warp_size * at_once)
        for (int j = 0; j < at_once; j += 4) alive += live_of_four(cursor, i + uint64_t(j), end);
    }
    for (int delta = warp_size / 2; delta > 0; delta /= 2) {
      alive += block.shuffle_xor(alive, delta);
      if constexpr (!keys) continue;
      zero += block.shuffle_xor(zero, delta);
      const uint64_t other = block.shuffle_xor(top, delta);
      top = top < other ? other : top;
    }
    if (block.lane() != 0) return;
    block.add(live + group, alive);
    if constexpr (keys) {
      block.add(zeros + group, zero);
      block.max(largest + group, top);
    }
  }

 private:
  PQI_DEVICE static uint64_t live_of_four(Cursor& cursor, uint64_t i, uint64_t end) {
    if (i + 4 <= end) return uint64_t(count_ones(cursor.live_bits(i, 4)));
    uint64_t count = 0;
    for (; i < end; ++i) count += cursor.live(i);
    return count;
  }
};

struct Value {
  DType dtype;
  const uint64_t *largest, *live;
  double* out;

  PQI_DEVICE void operator()(uint64_t g) const {
    out[g] = live[g] > 0 ? key_value(dtype, largest[g]) : __builtin_nan("");
  }
};

template <class Program>
uint64_t blocks_for(const Groups& groups) {
  const uint64_t warps = groups.count() * ((groups.size() + Program::stretch - 1) / Program::stretch);
  constexpr uint64_t in_block = Program::threads / warp_size;
  return (warps + in_block - 1) / in_block;
}

}  // namespace

void count_live(const Queue& queue, const Groups& groups, uint64_t* live) {
  if (!groups.ragged() || groups.size() == 0) return for_each(queue, groups.count(), Store{groups.size(), live});
  queue.fill(live, 0, groups.count() * sizeof(uint64_t));
  using Program = Count<uint16_t, false>;
  queue.launch(blocks_for<Program>(groups), Program{groups.source(), nullptr, nullptr, live});
}

void extent(const Queue& queue, const Groups& groups, double* largest, uint64_t* zeros, uint64_t* live) {
  const Scratch<uint64_t> top(queue, groups.count());
  top.fill(0);
  queue.fill(zeros, 0, groups.count() * sizeof(uint64_t));
  queue.fill(live, 0, groups.count() * sizeof(uint64_t));
  if (groups.size() > 0)
    with_key_type(groups.source().dtype, [&](auto key) {
      using Program = Count<decltype(key), true>;
      queue.launch(blocks_for<Program>(groups), Program{groups.source(), top.get(), zeros, live});
    });
  for_each(queue, groups.count(), Value{groups.source().dtype, top.get(), live, largest});
}

}  // namespace pqi::cuda
