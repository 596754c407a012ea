#include "sum_all.hpp"

namespace pqi::cuda {

void sum_floats(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums) {
  sum_all<float>(queue, groups, exponents, sums);
}

}  // namespace pqi::cuda
