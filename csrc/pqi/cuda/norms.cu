#include "norms.hpp"

#include <algorithm>

#include "each.hpp"
#include "histogram.hpp"
#include "power_sums.hpp"
#include "summary.hpp"

namespace pqi::cuda {
namespace {

// sums[group][exponent]; both scratch arrays have room for all groups.
void power_sums(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums,
                uint64_t* live) {
  count_live(queue, groups, live);
  if (groups.size() == 0) {
    queue.fill(sums, 0, groups.count() * exponents.size() * sizeof(PowerSum));
  } else if (uses_histogram(groups)) {
    sum_histograms(queue, groups, exponents, sums);
  } else if (groups.source().as_float) {
    sum_floats(queue, groups, exponents, sums);
  } else {
    sum_doubles(queue, groups, exponents, sums);
  }
}

// A list of numbers for a program: at hand while it is short, else in device memory.
struct List {
  static constexpr size_t at_hand = 64;

  uint64_t count;
  const double* far;
  double near[at_hand];

  PQI_DEVICE double operator[](uint64_t i) const { return far != nullptr ? far[i] : near[i]; }
};

class ListOnDevice {
 public:
  ListOnDevice(const Queue& queue, const std::vector<double>& values) : far_(queue, far_count(values)) {
    list_ = {values.size(), nullptr, {}};
    if (values.size() <= List::at_hand) {
      std::copy(values.begin(), values.end(), list_.near);
      return;
    }
    std::vector<uint64_t> words(values.size());
    std::transform(values.begin(), values.end(), words.begin(), [](double x) { return bits_as<uint64_t>(x); });
    upload(queue, words, reinterpret_cast<uint64_t*>(far_.get()));
    list_.far = far_.get();
  }

  const List& list() const { return list_; }

 private:
  static size_t far_count(const std::vector<double>& values) {
    return values.size() <= List::at_hand ? 0 : values.size();
  }

  Scratch<double> far_;
  List list_;
};

struct Means {
  List exponents;
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(uint64_t i) const {
    out[i] = mean_of(sums[i], double(live[i / exponents.count]), exponents[i % exponents.count]);
  }
};

struct Norms {
  double p, q;
  uint64_t groups;
  const PowerSum* sums;
  double* out;

  PQI_DEVICE void operator()(uint64_t g) const {
    out[g] = mean_of(sums[2 * g], 1.0, p);
    out[groups + g] = mean_of(sums[2 * g + 1], 1.0, q);
  }
};

struct Indices {
  double p, q;
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(uint64_t g) const {
    const auto d = double(live[g]);
    out[g] = index_of(sums[2 * g], sums[2 * g + 1], d, p, q, highest_index(d, p, q));
  }
};

struct Bounds {
  double p, q, eta;
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(uint64_t g) const {
    out[g] = retained_bound_of(sums[2 * g], sums[2 * g + 1], double(live[g]), p, q, eta);
  }
};

struct MeansIndicesBounds {
  double p, q, eta;
  uint64_t groups;
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(uint64_t g) const {
    const auto d = double(live[g]);
    const PowerSum *const sp = sums + 3 * g, *const sq = sp + 2;
    out[g] = mean_of(sp[1], d, 1.0);
    out[groups + g] = index_of(*sp, *sq, d, p, q, highest_index(d, p, q));
    out[2 * groups + g] = retained_bound_of(*sp, *sq, d, p, q, eta);
  }
};

struct Grid {
  List p, q, exponents;  // `exponents` holds all of both
  const PowerSum* sums;
  const uint64_t* live;
  double* out;

  PQI_DEVICE void operator()(uint64_t i) const {
    const uint64_t pairs = p.count * q.count, group = i / pairs;
    const double a = p[i % pairs / q.count], b = q[i % q.count], d = double(live[group]);
    const PowerSum* const mine = sums + group * exponents.count;
    out[i] = a < b ? index_of(mine[place(a)], mine[place(b)], d, a, b, highest_index(d, a, b)) : __builtin_nan("");
  }

 private:
  PQI_DEVICE uint64_t place(double r) const {
    uint64_t i = 0;
    while (exponents[i] != r) ++i;
    return i;
  }
};

struct BoundsOfIndices {
  const double *index, *d;
  double p, q, eta;
  double* out;

  PQI_DEVICE void operator()(uint64_t i) const { out[i] = retained_bound_of(index[i], d[i], p, q, eta); }
};

// The power sums of neighbouring groups, and their live entries.
struct Sums {
  uint64_t first, count;  // which of the call's groups
  Scratch<PowerSum> sums;
  Scratch<uint64_t> live;

  Sums(const Queue& queue, const Groups& groups, uint64_t first, const std::vector<double>& exponents)
      : first(first),
        count(groups.count()),
        sums(queue, groups.count() * exponents.size()),
        live(queue, groups.count()) {
    power_sums(queue, groups, exponents, sums.get(), live.get());
  }
};

// Calls f(sums) for batches of groups whose sums fit what scratch memory may take at once.
template <class F>
void for_each_batch(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, F f) {
  const uint64_t each = exponents.size() * sizeof(PowerSum) + 2 * sizeof(uint64_t);
  const uint64_t batch = std::max(uint64_t(1), uint64_t(Queue::batch_bytes()) / each);
  if (groups.count() <= batch) return f(Sums(queue, groups, 0, exponents));
  for (uint64_t first = 0; first < groups.count(); first += batch)
    f(Sums(queue, groups.stretch(first, std::min(batch, groups.count() - first)), first, exponents));
}

}  // namespace

void power_means(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, double* out) {
  const ListOnDevice list(queue, exponents);
  for_each_batch(queue, groups, exponents, [&](const Sums& found) {
    for_each(queue, found.count * exponents.size(),
             Means{list.list(), found.sums.get(), found.live.get(), out + found.first * exponents.size()});
  });
}

void norms(const Queue& queue, const Groups& groups, double p, double q, double* out) {
  for_each_batch(queue, groups, {p, q}, [&](const Sums& found) {
    for_each(queue, found.count, Norms{p, q, groups.count(), found.sums.get(), out + found.first});
  });
}

void index(const Queue& queue, const Groups& groups, double p, double q, double* out) {
  for_each_batch(queue, groups, {p, q}, [&](const Sums& found) {
    for_each(queue, found.count, Indices{p, q, found.sums.get(), found.live.get(), out + found.first});
  });
}

void retained_bound(const Queue& queue, const Groups& groups, double p, double q, double eta, double* out) {
  for_each_batch(queue, groups, {p, q}, [&](const Sums& found) {
    for_each(queue, found.count, Bounds{p, q, eta, found.sums.get(), found.live.get(), out + found.first});
  });
}

void mean_index_bound(const Queue& queue, const Groups& groups, double p, double q, double eta, double* out) {
  for_each_batch(queue, groups, {p, 1.0, q}, [&](const Sums& found) {
    for_each(queue, found.count,
             MeansIndicesBounds{p, q, eta, groups.count(), found.sums.get(), found.live.get(), out + found.first});
  });
}

void index_grid(const Queue& queue, const Groups& groups, const std::vector<double>& p, const std::vector<double>& q,
                double* out) {
  std::vector<double> exponents(p);
  exponents.insert(exponents.end(), q.begin(), q.end());
  std::sort(exponents.begin(), exponents.end());
  exponents.erase(std::unique(exponents.begin(), exponents.end()), exponents.end());
  const ListOnDevice rows(queue, p), columns(queue, q), all(queue, exponents);
  const uint64_t pairs = p.size() * q.size();
  for_each_batch(queue, groups, exponents, [&](const Sums& found) {
    for_each(
        queue, found.count * pairs,
        Grid{rows.list(), columns.list(), all.list(), found.sums.get(), found.live.get(), out + found.first * pairs});
  });
}

void retained_bound_from_index(const Queue& queue, const double* index, const double* d, uint64_t n, double p, double q,
                               double eta, double* out) {
  for_each(queue, n, BoundsOfIndices{index, d, p, q, eta, out});
}

}  // namespace pqi::cuda
