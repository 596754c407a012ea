#include "sum_all.hpp"

namespace pqi::cuda {

void sum_doubles(const Queue& queue, const Groups& groups, const std::vector<double>& exponents, PowerSum* sums) {
  sum_all<double>(queue, groups, exponents, sums);
}

}  // namespace pqi::cuda
