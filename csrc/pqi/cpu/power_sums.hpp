// Power sums of a vector that arrives in parts.
#pragma once

#include <optional>

#include "source.hpp"

namespace pqi::cpu {

// One sum for each exponent, on the chunk grid of the parts' concatenation: what does not fill a chunk waits for the
// next part, what does not fill a block stays open. So the bits are those of one vector, whatever it was cut into, as
// long as all parts travel as float32 or all as float64.
class PowerSums {
 public:
  // All there is to it; `waiting` holds fewer than chunk_size elements.
  struct State {
    std::vector<double> exponents;
    std::vector<PowerSum> closed, open;  // of whole blocks, and of the chunks of the last one
    std::vector<double> waiting;
    uint64_t live = 0;
    size_t open_chunks = 0;
    std::optional<int> pivot;
    bool as_float = true;
  };

  explicit PowerSums(const std::vector<double>& exponents);
  explicit PowerSums(State state) : state_(std::move(state)) {}

  // Takes the elements of a single group as the next part.
  void update(const Groups& groups);
  // Adds the sums of another vector with the same exponents; a later part begins a block of its own.
  void merge(const PowerSums& other);

  const State& state() const { return state_; }
  // The sums over everything so far, in the exponents' order.
  std::vector<PowerSum> sums() const;

  void power_means(double* out) const;
  double norm(double r) const;             // r must be one of the exponents,
  double index(double p, double q) const;  // as must p and q
  double retained_bound(double p, double q, double eta) const;

 private:
  template <class T>
  void take(const Groups& groups);
  template <class T>
  void put_aside(Reader& reader, size_t begin, size_t n);
  template <class T>
  void sum_chunks(const Groups& groups, size_t begin, size_t chunks);
  template <class T>
  void sum_waiting(std::vector<PowerSum>& block) const;
  void close_block();
  const PowerSum& sum_of(const std::vector<PowerSum>& sums, double r) const;

  State state_;
};

}  // namespace pqi::cpu
