// The groups of a call in classes of about one size, which programs take as groups of the same size: segments differ,
// and the elements that a shorter one lacks are dead (see source.hpp). Other groups are one class.
#pragma once

#include <memory>
#include <vector>

#include "source.hpp"

namespace pqi::cuda {

// How elements make groups: along axes (null: all together) or, of one vector, between offsets; and which of those
// groups are asked for (null: all).
struct Grouping {
  const std::vector<int>* axes = nullptr;
  const std::vector<uint64_t>*offsets = nullptr, *chosen = nullptr;
};

// Groups of one class and their numbers among all of the call's, on the device; null: these are all of them, in order.
struct GroupClass {
  Groups groups;
  const uint64_t* numbers;
};

class GroupClasses {
 public:
  // Offsets and numbers must have been checked.
  GroupClasses(const Queue& queue, const std::vector<View>& arrays, const std::vector<View>& masks,
               const Grouping& grouping);

  size_t count() const { return count_; }  // groups of the call, whichever were chosen
  const std::vector<GroupClass>& classes() const { return classes_; }
  // The same classes of other arrays of the same shapes.
  std::vector<GroupClass> of(const Queue& queue, const std::vector<View>& arrays, const Grouping& grouping) const;

 private:
  struct Stretch {
    size_t first, count;  // of `order_`
    uint64_t size;
  };
  GroupClass part(const Groups& all, const Stretch& stretch) const;

  size_t count_;
  std::vector<Stretch> stretches_;
  std::unique_ptr<Scratch<uint64_t>> order_, offsets_;
  std::vector<GroupClass> classes_;
};

// Puts 64-bit words of a class, from[row][group][inner], in their groups' places among `all`.
void put(const Queue& queue, const GroupClass& part, size_t rows, size_t inner, size_t all, const uint64_t* from,
         uint64_t* to);
// to[i] = from[number of the class's group i]
void take(const Queue& queue, const GroupClass& part, const uint64_t* from, uint64_t* to);

// Memory for a class's results out[row][group][inner]: the call's own where the class is all of it.
template <class T>
class Results {
 public:
  static_assert(sizeof(T) == sizeof(uint64_t));

  Results(const Queue& queue, const GroupClass& part, size_t rows, size_t inner, size_t all, T* out)
      : queue_(queue), part_(part), rows_(rows), inner_(inner), all_(all), out_(out) {
    if (part.numbers != nullptr) own_ = std::make_unique<Scratch<T>>(queue, rows * part.groups.count() * inner);
  }

  T* get() const { return own_ ? own_->get() : out_; }
  // Once they are there.
  void put() const {
    if (own_)
      cuda::put(queue_, part_, rows_, inner_, all_, reinterpret_cast<const uint64_t*>(own_->get()),
                reinterpret_cast<uint64_t*>(out_));
  }

 private:
  const Queue& queue_;
  const GroupClass& part_;
  const size_t rows_, inner_, all_;
  T* const out_;
  std::unique_ptr<Scratch<T>> own_;
};

}  // namespace pqi::cuda
