// Elementwise work on plain operands of which some repeat, by NumPy's rules: run by run of the result.
#pragma once
#include <algorithm>
#include <array>
#include <type_traits>

#include "functionStep.h"
#include "shape.h"

namespace xcorr {

class Runs {
 public:
  static constexpr size_t kMost = 3;  // operands
  using Places = std::array<int64_t, kMost>;

  Runs(const std::vector<int64_t>& shape, const std::vector<std::vector<int64_t>>& operands) : shape_(shape) {
    std::vector<std::vector<int64_t>*> lists;
    for (size_t k = 0; k < operands.size(); ++k) {
      strides_[k] = BroadcastStrides(operands[k], shape);
      lists.push_back(&strides_[k]);
    }
    JoinAxes(&shape_, lists);
    if (shape_.empty()) return;
    inner_ = shape_.back();
    for (size_t k = 0; k < operands.size(); ++k) steps_[k] = strides_[k].back();
    for (size_t a = 0; a + 1 < shape_.size(); ++a) rows_ *= shape_[a];
  }

  // From one element of a run to the next, per operand: 1, or 0 if it repeats.
  const Places& steps() const { return steps_; }

  // Runs body(first element of the result, first element of each operand, count).
  template <typename F>
  void Each(Team& team, const F& body) const {
    if (inner_ == 0) return;
    // Long runs are cut, short ones go by the dozen.
    const int64_t pieces = (inner_ + kGrain - 1) / kGrain, perTask = std::max<int64_t>(1, kGrain / inner_);
    team.Run((rows_ + perTask - 1) / perTask * pieces, [&](int64_t task, int) {
      const int64_t begin = task % pieces * kGrain, first = task / pieces * perTask;
      for (int64_t row = first; row < std::min(rows_, first + perTask); ++row) {
        Places from = {};
        for (size_t k = 0; k < kMost; ++k) from[k] = begin * steps_[k];
        int64_t rest = row;
        for (size_t a = shape_.size(); a-- > 1;) {
          const int64_t at = rest % shape_[a - 1];
          rest /= shape_[a - 1];
          for (size_t k = 0; k < kMost && !strides_[k].empty(); ++k) from[k] += at * strides_[k][a - 1];
        }
        body(row * inner_ + begin, from, std::min(kGrain, inner_ - begin));
      }
    });
  }

 private:
  std::vector<int64_t> shape_;
  std::array<std::vector<int64_t>, kMost> strides_;
  Places steps_ = {};
  int64_t inner_ = 1, rows_ = 1;
};

// Calls f with the steps as constants, so that its loop is one that the compiler knows.
template <typename F>
void WithSteps(int64_t a, int64_t b, const F& f) {
  using Zero = std::integral_constant<int64_t, 0>;
  using One = std::integral_constant<int64_t, 1>;
  if (a && b) f(One(), One());
  else if (a) f(One(), Zero());
  else if (b) f(Zero(), One());
  else f(Zero(), Zero());
}

// y[i] = f(a[i * stepA], b[i * stepB]) for steps of 0 or 1.
template <typename T, typename Y, typename F>
void ForPairs(const T* a, int64_t stepA, const T* b, int64_t stepB, Y* y, int64_t count, const F& f) {
  const T firstA = *a, firstB = *b;
  WithSteps(stepA, stepB, [&](auto fullA, auto fullB) {
    for (int64_t i = 0; i < count; ++i) y[i] = f(fullA() ? a[i] : firstA, fullB() ? b[i] : firstB);
  });
}

}  // namespace xcorr
