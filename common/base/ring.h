// Ring: the last so many values; a new one takes the oldest one's place.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "common/base/check.h"

namespace holdfast {

template <typename T>
class Ring {
 public:
  // All memory is taken now.
  explicit Ring(std::size_t capacity) : capacity_(capacity) {
    HOLDFAST_CHECK(capacity != 0);
    values_.reserve(capacity);
  }

  void push(T value) {
    if (values_.size() < capacity_) {
      values_.push_back(std::move(value));
      return;
    }
    values_[oldest_] = std::move(value);
    oldest_ = (oldest_ + 1) % capacity_;
  }

  std::size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  // 0 is the oldest.
  T& operator[](std::size_t index) { return values_[(oldest_ + index) % values_.size()]; }
  const T& operator[](std::size_t index) const {
    return values_[(oldest_ + index) % values_.size()];
  }
  T& back() { return (*this)[size() - 1]; }
  const T& back() const { return (*this)[size() - 1]; }

 private:
  std::size_t capacity_;
  std::size_t oldest_ = 0;
  std::vector<T> values_;
};

}  // namespace holdfast
