// Fixed data of every element type, made from integers alone so that every machine has the same.
#pragma once

#include <string>
#include <vector>

#include "../../csrc/pqi/view.hpp"

struct Sample {
  std::string name;
  pqi::DType dtype;
  size_t size;
  std::vector<char> bytes;

  // The elements as rows of `width` (the rest is left out), or as one vector where it is 0.
  pqi::View view(size_t width = 0) const;
  // Every `step`-th element, backwards.
  pqi::View reversed(size_t step) const;
};

// `small` elements of each type and distribution, `large` of some.
std::vector<Sample> samples(size_t small, size_t large);

// Live entries: two of three.
Sample mask_of(size_t size);
