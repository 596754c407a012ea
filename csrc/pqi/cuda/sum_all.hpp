// The power sums of groups: plans of as many exponents as a launch holds, and blocks merged into groups. Included by
// sum_floats.cu and sum_doubles.cu, one file an element type so that neither takes long to compile.
#pragma once

#include <algorithm>
#include <vector>

#include "power_sums.hpp"
#include "sum_blocks.hpp"

namespace pqi::cuda {

// sums[group][place] of each exponent from the blocks' sums, in their order: a warp fetches, its first lane adds.
struct MergeBlocks {
  static constexpr int threads = 128, values = threads / warp_size;
  static constexpr size_t shared_bytes = threads * sizeof(PowerSum);

  Plan plan;
  uint64_t groups, blocks, exponents;
  const PowerSum* parts;
  PowerSum* sums;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t count = uint64_t(plan.count), value = block.index() * values + uint64_t(block.warp());
    if (value >= groups * count) return;  // all of the warp
    const uint64_t group = value / count, e = value % count;
    const PowerSum* const mine = parts + group * blocks * count + e;
    PowerSum* const fetched = block.shared<PowerSum>() + block.warp() * warp_size;
    PowerSum sum, next;
    uint64_t at = uint64_t(block.lane());
    if (at < blocks) next = mine[at * count];
    for (uint64_t begin = 0; begin < blocks; begin += warp_size) {
      fetched[block.lane()] = next;
      block.sync_lanes();
      at += warp_size;
      if (at < blocks) next = mine[at * count];
      const uint64_t rest = blocks - begin, n = block.lane() > 0 ? 0 : rest < warp_size ? rest : warp_size;
      for (uint64_t b = 0; b < n; ++b) {
        if (begin + b == 0) {
          sum = fetched[0];
        } else {
          sum.merge(fetched[b], plan.r[e]);
        }
      }
      block.sync_lanes();
    }
    if (block.lane() == 0) sums[group * exponents + plan.place[e]] = sum;
  }
};

// A call's groups and where their sums go.
template <class T>
class Summer {
 public:
  Summer(const Queue& queue, const Groups& groups, size_t exponents, PowerSum* sums)
      : queue_(queue), groups_(groups), exponents_(exponents), sums_(sums), first_(queue, groups.count()) {
    if (groups.size() > chunk_size) find_pivots<T>(queue, groups, first_);
  }

  // How many exponents beside ½, 1, 2 one launch has shared memory for.
  int room() const {
    using Program = SumBlocks<T, Beside::guarded, false>;
    const size_t each = Program::General::bytes(Program::threads), rest = Program::chunk_sum_bytes(most_exponents);
    return int(std::clamp((queue_.shared_limit() - rest) / each, size_t(1), size_t(most_exponents)));
  }

  void sum(const Plan& plan, Beside beside) const {
    if (beside == Beside::guarded) return with_plain<Beside::guarded>(plan);
    if constexpr (sizeof(T) == 4)
      if (beside == Beside::quick) return with_plain<Beside::quick>(plan);
    if (!groups_.plain()) return launch<Beside::nothing, false>(plan);
    constexpr unsigned half = 1u << int(PowerKind::half), one = 1u << int(PowerKind::one),
                       two = 1u << int(PowerKind::two);
    if (plan.which == (half | one)) return launch<Beside::nothing, true, half | one>(plan);
    if (plan.which == (one | two)) return launch<Beside::nothing, true, one | two>(plan);
    launch<Beside::nothing, true>(plan);
  }

 private:
  template <Beside beside>
  void with_plain(const Plan& plan) const {
    groups_.plain() ? launch<beside, true>(plan) : launch<beside, false>(plan);
  }

  template <Beside beside, bool plain, unsigned which = 0>
  void launch(const Plan& plan) const {
    using Program = SumBlocks<T, beside, plain, which>;
    const uint64_t blocks = (groups_.size() + block_size - 1) / block_size;
    const uint64_t values = groups_.count() * uint64_t(plan.count);
    const Scratch<PowerSum> parts(queue_, blocks > 1 ? values * blocks : 0);
    const Program program{groups_.source(), plan, first_.get(), exponents_, blocks > 1 ? parts.get() : sums_};
    queue_.launch(Program::blocks(groups_.source()), program, Program::shared_bytes(plan));
    if (blocks == 1) return;
    queue_.launch((values + MergeBlocks::values - 1) / MergeBlocks::values,
                  MergeBlocks{plan, groups_.count(), blocks, exponents_, parts.get(), sums_},
                  MergeBlocks::shared_bytes);
  }

  const Queue& queue_;
  const Groups& groups_;
  const size_t exponents_;
  PowerSum* const sums_;
  const Scratch<uint64_t> first_;
};

template <class T>
Beside company_of(double r) {
  if (power_kind(r) != PowerKind::general) return Beside::nothing;
  return sizeof(T) == 4 && r <= widest_float_exponent ? Beside::quick : Beside::guarded;
}

template <class T>
void sum_all(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums) {
  const Summer<T> summer(queue, groups, exponents.size(), sums);
  Plan plan;
  for (const double r : exponents)
    if (power_kind(r) != PowerKind::general) plan.which |= 1u << int(power_kind(r));
  Beside beside = Beside::nothing;
  const auto flush = [&] {
    if (plan.count > 0) summer.sum(plan, beside);
    plan.special = plan.count = 0;
    beside = Beside::nothing;
  };
  for (const Beside kind : {Beside::nothing, Beside::quick, Beside::guarded}) {
    for (size_t e = 0; e < exponents.size(); ++e) {
      if (company_of<T>(exponents[e]) != kind) continue;
      const bool full = plan.count == most_exponents || plan.count - plan.special == summer.room();
      if (full || (beside != Beside::nothing && beside != kind)) flush();
      beside = kind;
      plan.special += kind == Beside::nothing;
      plan.r[plan.count] = exponents[e];
      plan.place[plan.count++] = uint32_t(e);
    }
  }
  flush();
}

}  // namespace pqi::cuda
