#include "power_sums.hpp"

#include <algorithm>

#include "chunk_summer.hpp"
#include "isa.hpp"
#include "parallel.hpp"

namespace pqi::cpu {
namespace {

void merge_all(std::vector<PowerSum>& to, const std::vector<PowerSum>& more, const std::vector<double>& exponents) {
  for (size_t e = 0; e < exponents.size(); ++e) to[e].merge(more[e], exponents[e]);
}

}  // namespace

PowerSums::PowerSums(const std::vector<double>& exponents) {
  state_.exponents = exponents;
  state_.closed.resize(exponents.size());
  state_.open.resize(exponents.size());
}

void PowerSums::update(const Groups& groups) {
  if (groups.size(0) == 0) return;
  if (groups.number_stream() != Stream::float32) state_.as_float = false;
  state_.as_float ? take<float>(groups) : take<double>(groups);
}

template <class T>
void PowerSums::take(const Groups& groups) {
  const size_t size = groups.size(0);
  Reader reader(groups, kernels());
  std::vector<double>& waiting = state_.waiting;
  if (!state_.pivot) state_.pivot = pivot_binade<T>(reader, size);
  size_t begin = 0;
  if (!waiting.empty()) {
    begin = std::min(chunk_size - waiting.size(), size);
    put_aside<T>(reader, 0, begin);
    if (waiting.size() == chunk_size) {
      sum_waiting<T>(state_.open);
      waiting.clear();
      if (++state_.open_chunks == block_chunks) close_block();
    }
  }
  sum_chunks<T>(groups, begin, (size - begin) / chunk_size);
  const size_t rest = (size - begin) % chunk_size;
  if (rest > 0) put_aside<T>(reader, size - rest, rest);
}

template <class T>
void PowerSums::put_aside(Reader& reader, size_t begin, size_t n) {
  const T* const x = reader.read<T>(begin, n);
  state_.waiting.insert(state_.waiting.end(), x, x + n);
  state_.live += reader.count_live(begin, begin + n);
}

// Blocks side by side, the first one going on where the open one stands; merged in order.
template <class T>
void PowerSums::sum_chunks(const Groups& groups, size_t begin, size_t chunks) {
  if (chunks == 0) return;
  const Plan plan(state_.exponents, sizeof(T) == 4);
  const size_t phase = state_.open_chunks, blocks = (phase + chunks + block_chunks - 1) / block_chunks;
  const int threads = threads_for(blocks), pivot = state_.pivot.value_or(0);
  std::vector<Reader> readers;
  std::vector<ChunkSummer> summers;
  for (int t = 0; t < threads; ++t) {
    readers.emplace_back(groups, kernels());
    summers.emplace_back(kernels(), plan);
  }
  std::vector<std::vector<PowerSum>> partial(blocks, std::vector<PowerSum>(state_.exponents.size()));
  std::vector<uint64_t> live(blocks);
  partial[0] = state_.open;
  const auto place = [&](size_t block) {
    return begin + (std::clamp(block * block_chunks, phase, phase + chunks) - phase) * chunk_size;
  };
  parallel_for(blocks, threads, [&](size_t block, int thread) {
    live[block] =
        sum_block<T>(readers[thread], summers[thread], place(block), place(block + 1), pivot, partial[block].data());
  });
  for (size_t block = 0; block < blocks; ++block) {
    state_.live += live[block];
    state_.open.swap(partial[block]);
    state_.open_chunks = std::min(phase + chunks - block * block_chunks, block_chunks);
    if (state_.open_chunks == block_chunks) close_block();
  }
}

template <class T>
void PowerSums::sum_waiting(std::vector<PowerSum>& block) const {
  const Plan plan(state_.exponents, sizeof(T) == 4);
  const std::vector<T> chunk(state_.waiting.begin(), state_.waiting.end());
  ChunkSummer(kernels(), plan).add(chunk.data(), chunk.size(), state_.pivot.value_or(0), block.data());
}

void PowerSums::close_block() {
  merge_all(state_.closed, state_.open, state_.exponents);
  std::fill(state_.open.begin(), state_.open.end(), PowerSum{});
  state_.open_chunks = 0;
}

std::vector<PowerSum> PowerSums::sums() const {
  std::vector<PowerSum> total = state_.closed, block = state_.open;
  if (!state_.waiting.empty()) state_.as_float ? sum_waiting<float>(block) : sum_waiting<double>(block);
  merge_all(total, block, state_.exponents);
  return total;
}

void PowerSums::merge(const PowerSums& other) {
  State merged = PowerSums(state_.exponents).state_;
  merged.closed = sums();
  merge_all(merged.closed, other.sums(), state_.exponents);
  merged.live = state_.live + other.state_.live;
  merged.pivot = state_.pivot ? state_.pivot : other.state_.pivot;
  merged.as_float = state_.as_float && other.state_.as_float;
  state_ = std::move(merged);
}

void PowerSums::power_means(double* out) const {
  const std::vector<PowerSum> total = sums();
  for (size_t e = 0; e < total.size(); ++e) out[e] = mean_of(total[e], double(state_.live), state_.exponents[e]);
}

const PowerSum& PowerSums::sum_of(const std::vector<PowerSum>& sums, double r) const {
  const auto& exponents = state_.exponents;
  return sums[size_t(std::find(exponents.begin(), exponents.end() - 1, r) - exponents.begin())];
}

double PowerSums::norm(double r) const { return mean_of(sum_of(sums(), r), 1.0, r); }

double PowerSums::index(double p, double q) const {
  const std::vector<PowerSum> total = sums();
  const double d = double(state_.live);
  return index_of(sum_of(total, p), sum_of(total, q), d, p, q, highest_index(d, p, q));
}

double PowerSums::retained_bound(double p, double q, double eta) const {
  const std::vector<PowerSum> total = sums();
  return retained_bound_of(sum_of(total, p), sum_of(total, q), double(state_.live), p, q, eta);
}

}  // namespace pqi::cpu
