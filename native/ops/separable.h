// Ops that go over rows and columns of images one axis after the other (kernels/separable.h).
#pragma once
#include "op.h"

namespace xcorr {

// What the places of an output axis are made of: of place o, taps begin[o] .. begin[o + 1] - 1.
struct AxisTaps {
  std::vector<int64_t> begin = {0};
  std::vector<int64_t> places;  // of the input
  std::vector<float> weights;
  int64_t most = 0;             // taps of a place
  bool same = true;             // all places have as many

  void Add(int64_t place, double weight) {
    places.push_back(place);
    weights.push_back(static_cast<float>(weight));
  }
  // The taps that have been added are those of the next place.
  void EndPlace() {
    const int64_t count = static_cast<int64_t>(places.size()) - begin.back();
    same = same && (most == 0 || most == count);
    most = std::max(most, count);
    begin.push_back(static_cast<int64_t>(places.size()));
  }
};

// The last two axes are rows and columns; those before stay as they are. Sums of what the taps say or, if `maximum`, the largest.
std::unique_ptr<Step> MakeSeparable(const Problem& problem, const char* algorithm, const AxisTaps& rows, const AxisTaps& columns, bool maximum);

}  // namespace xcorr
