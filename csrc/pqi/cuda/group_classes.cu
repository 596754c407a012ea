#include "group_classes.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "each.hpp"

namespace pqi::cuda {
namespace {

struct Put {
  uint64_t count, inner, all;
  const uint64_t *numbers, *from;
  uint64_t* to;

  PQI_DEVICE void operator()(uint64_t i) const {
    const uint64_t group = i / inner % count, row = i / inner / count;
    to[(row * all + numbers[group]) * inner + i % inner] = from[i];
  }
};

struct Take {
  const uint64_t *numbers, *from;
  uint64_t* to;

  PQI_DEVICE void operator()(uint64_t i) const { to[i] = from[numbers[i]]; }
};

// Sizes of a class differ by less than two; short segments make one, which is a warp's work anyhow.
int class_of(uint64_t size) { return std::max(int(std::bit_width(size)), 6); }

}  // namespace

GroupClasses::GroupClasses(const Queue& queue, const std::vector<View>& arrays, const std::vector<View>& masks,
                           const Grouping& grouping) {
  const Groups all(queue, arrays, masks, grouping.axes);
  count_ = grouping.offsets != nullptr ? grouping.offsets->size() - 1 : all.count();
  if (grouping.offsets == nullptr && grouping.chosen == nullptr) {
    classes_.push_back({all, nullptr});
    return;
  }
  std::vector<uint64_t> order;
  if (grouping.chosen != nullptr) {
    order = *grouping.chosen;
  } else {
    order.resize(count_);
    std::iota(order.begin(), order.end(), uint64_t(0));
  }
  if (order.empty()) return;
  if (grouping.offsets == nullptr) {
    stretches_.push_back({0, order.size(), all.size()});
  } else {
    const std::vector<uint64_t>& offsets = *grouping.offsets;
    const auto size = [&](uint64_t g) { return offsets[g + 1] - offsets[g]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](uint64_t a, uint64_t b) { return class_of(size(a)) < class_of(size(b)); });
    for (size_t i = 0; i < order.size(); ++i) {
      if (i == 0 || class_of(size(order[i])) != class_of(size(order[i - 1]))) stretches_.push_back({i, 0, 0});
      ++stretches_.back().count;
      stretches_.back().size = std::max(stretches_.back().size, size(order[i]));
    }
    offsets_ = std::make_unique<Scratch<uint64_t>>(queue, offsets.size());
    upload(queue, offsets, offsets_->get());
  }
  order_ = std::make_unique<Scratch<uint64_t>>(queue, order.size());
  upload(queue, order, order_->get());
  for (const Stretch& stretch : stretches_) classes_.push_back(part(all, stretch));
}

GroupClass GroupClasses::part(const Groups& all, const Stretch& stretch) const {
  const uint64_t* const numbers = order_->get() + stretch.first;
  if (offsets_ == nullptr) return {all.chosen(numbers, stretch.count), numbers};
  return {all.segments(offsets_->get(), numbers, stretch.count, stretch.size), numbers};
}

std::vector<GroupClass> GroupClasses::of(const Queue& queue, const std::vector<View>& arrays,
                                         const Grouping& grouping) const {
  const Groups all(queue, arrays, {}, grouping.axes);
  if (order_ == nullptr) return std::vector<GroupClass>(classes_.size(), {all, nullptr});
  std::vector<GroupClass> same;
  for (const Stretch& stretch : stretches_) same.push_back(part(all, stretch));
  return same;
}

void put(const Queue& queue, const GroupClass& part, size_t rows, size_t inner, size_t all, const uint64_t* from,
         uint64_t* to) {
  const uint64_t count = part.groups.count();
  for_each(queue, rows * count * inner, Put{count, inner, all, part.numbers, from, to});
}

void take(const Queue& queue, const GroupClass& part, const uint64_t* from, uint64_t* to) {
  for_each(queue, part.groups.count(), Take{part.numbers, from, to});
}

}  // namespace pqi::cuda
