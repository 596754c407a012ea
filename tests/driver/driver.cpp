// driver [threads [small [large]]]: prints a line for every measure of every sample, whole, strided, masked, by rows
// and by columns: a hash of its results' bits. All is done on as many threads at once as asked for, which have to
// agree.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "../../csrc/pqi/cpu/gini.hpp"
#include "../../csrc/pqi/cpu/gini_sketch.hpp"
#include "../../csrc/pqi/cpu/group_loop.hpp"
#include "../../csrc/pqi/cpu/isa.hpp"
#include "../../csrc/pqi/cpu/norms.hpp"
#include "../../csrc/pqi/cpu/power_sums.hpp"
#include "../../csrc/pqi/cpu/summary.hpp"
#include "../../csrc/pqi/cpu/topk.hpp"
#include "samples.hpp"

using namespace pqi;

namespace {

// FNV-1a. Every NaN is one value: which of them an operation makes differs between processors.
struct Hash {
  uint64_t value = 0xcbf29ce484222325ull;

  void add(uint64_t word) {
    for (int i = 0; i < 8; ++i, word >>= 8) value = (value ^ (word & 0xff)) * 0x100000001b3ull;
  }
  void add(double x) { add(x == x ? bits_as<uint64_t>(x) : ~uint64_t(0)); }
};

// Which elements of a sample make groups.
struct Arrangement {
  View data, mask;  // mask.data null: all live
  std::vector<int> axes;
};

cpu::Groups groups_of(const Arrangement& how) {
  const std::vector<View> masks = how.mask.data == nullptr ? std::vector<View>{} : std::vector<View>{how.mask};
  return cpu::Groups({how.data}, masks, how.axes.empty() ? nullptr : &how.axes);
}

template <class F>
uint64_t hash_of(size_t values, F fill) {
  std::vector<double> out(values);
  fill(out.data());
  Hash hash;
  for (double x : out) hash.add(x);
  return hash.value;
}

uint64_t norms_of(const cpu::Groups& groups) {
  return hash_of(2 * groups.count(), [&](double* out) { cpu::norms(groups, 0.7, 2.0, out, out + groups.count()); });
}

uint64_t bounds_of(const cpu::Groups& groups) {
  const size_t n = groups.count();
  return hash_of(3 * n, [&](double* out) { cpu::mean_index_bound(groups, 0.6, 1.1, 0.01, out, out + n, out + 2 * n); });
}

uint64_t sketches_of(const cpu::Groups& groups) {
  std::vector<GiniInterval> found(groups.count());
  cpu::gini_within(groups, 1e-3, false, found.data());
  Hash hash;
  for (const GiniInterval& interval : found)
    for (double x : {interval.low, interval.value, interval.high}) hash.add(x);
  return hash.value;
}

uint64_t accumulated(const cpu::Groups& groups) {
  cpu::PowerSums sums({0.5, 1.0, 1.3, 2.0});
  sums.update(groups);
  return hash_of(4, [&](double* out) { sums.power_means(out); });
}

uint64_t extents_of(const cpu::Groups& groups) {
  std::vector<uint64_t> zeros(groups.count()), live(groups.count());
  Hash hash{hash_of(groups.count(), [&](double* out) { cpu::extent(groups, out, zeros.data(), live.data()); })};
  for (size_t g = 0; g < groups.count(); ++g) {
    hash.add(zeros[g]);
    hash.add(live[g]);
  }
  return hash.value;
}

uint64_t masks_of(const cpu::Groups& groups, const Arrangement& how, const std::vector<uint64_t>& k,
                  const std::vector<uint64_t>& live) {
  std::vector<char> kept(how.data.size(), 2);
  View mask;
  mask.data = kept.data();
  mask.dtype = DType::boolean;
  int64_t stride = int64_t(kept.size());
  for (int i = 0; i < how.data.ndim; ++i) mask.push(how.data.shape[i], stride /= how.data.shape[i]);
  cpu::topk_mask(groups, {k.data(), 0}, live.data(), groups_of({mask, {}, how.axes}));
  Hash hash;
  for (char byte : kept) hash.add(uint64_t(byte));
  return hash.value;
}

void measure(const Sample& sample, const std::string& name, const Arrangement& how, std::string& lines) {
  const cpu::Groups groups = groups_of(how);
  const std::vector<uint64_t> live = cpu::count_live(groups);
  const size_t count = groups.count();
  const auto print = [&](const char* what, uint64_t hash) {
    char line[160];
    std::snprintf(line, sizeof line, "%s %d, %s, %s: %016llx\n", sample.name.c_str(), int(sample.dtype), name.c_str(),
                  what, static_cast<unsigned long long>(hash));
    lines += line;
  };
  const std::vector<double> p = {0.1, 0.5, 0.7, 1.0}, q = {1.0, 1.3, 2.0, 3.0}, wide = {0.5, 5.0, 40.0};
  print("indices", hash_of(count * 16, [&](double* out) { cpu::index_grid(groups, p, q, out); }));
  print("power means", hash_of(count * 3, [&](double* out) { cpu::power_means(groups, wide, out); }));
  print("norms", norms_of(groups));
  print("Gini", hash_of(count, [&](double* out) { cpu::gini(groups, out); }));
  print("bounds", bounds_of(groups));
  print("extents", extents_of(groups));
  print("Gini within 1e-3", sketches_of(groups));
  if (count == 1) print("power sums", accumulated(groups));
  for (const uint64_t share : {100, 10, 2, 1}) {
    std::vector<uint64_t> k;
    for (uint64_t n : live) k.push_back(n / share);
    print("thresholds",
          hash_of(count, [&](double* out) { cpu::topk_threshold(groups, {k.data(), 0}, live.data(), out); }));
    print("masks", masks_of(groups, how, k, live));
  }
}

std::string everything(const std::vector<Sample>& all) {
  std::string lines;
  for (const Sample& sample : all) {
    const Sample live = mask_of(sample.size);
    measure(sample, "whole", {sample.view(), {}, {}}, lines);
    measure(sample, "every third, backwards", {sample.reversed(3), {}, {}}, lines);
    measure(sample, "masked", {sample.view(), live.view(), {}}, lines);
    for (const size_t width : {64, 500}) {
      measure(sample, "rows of " + std::to_string(width), {sample.view(width), {}, {1}}, lines);
      measure(sample, std::to_string(width) + " columns", {sample.view(width), {}, {0}}, lines);
    }
    measure(sample, "masked rows of 500", {sample.view(500), live.view(500), {1}}, lines);
  }
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, size_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  const std::vector<Sample> all = samples(argument(2, 20'000), argument(3, 1'100'000));
  std::vector<std::string> found(argument(1, 1));
  std::vector<std::thread> threads;
  for (std::string& lines : found) threads.emplace_back([&] { lines = everything(all); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& lines : found)
    if (lines != found.front()) {
      std::fputs("two threads do not agree\n", stderr);
      return 1;
    }
  std::fprintf(stderr, "%s\n", cpu::kernels().name);
  std::fputs(found.front().c_str(), stdout);
  return 0;
}
