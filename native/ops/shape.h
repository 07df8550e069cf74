// Shapes and strides of plain tensors.
#pragma once
#include <cstdint>
#include <vector>

namespace xcorr {

inline std::vector<int64_t> Strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> s(shape.size(), 1);
  for (size_t a = shape.size(); a-- > 1;) s[a - 1] = s[a] * shape[a];
  return s;
}

// A tensor as [outer][length][inner] around one of its axes.
struct AroundAxis {
  AroundAxis(const std::vector<int64_t>& shape, size_t axis) : length(shape[axis]) {
    for (size_t a = 0; a < axis; ++a) outer *= shape[a];
    for (size_t a = axis + 1; a < shape.size(); ++a) inner *= shape[a];
  }
  int64_t outer = 1, length, inner = 1;
};

// Strides of an operand in a result that it broadcasts to: 0 where it repeats.
inline std::vector<int64_t> BroadcastStrides(const std::vector<int64_t>& operand, const std::vector<int64_t>& shape) {
  const std::vector<int64_t> own = Strides(operand);
  std::vector<int64_t> s(shape.size(), 0);
  const size_t before = shape.size() - operand.size();
  for (size_t a = 0; a < operand.size(); ++a) s[before + a] = operand[a] == 1 ? 0 : own[a];
  return s;
}

// Takes out axes of size 1, and makes one of neighbours along which all lists of strides go on as if they were one: runs become as long as they can be.
inline void JoinAxes(std::vector<int64_t>* shape, const std::vector<std::vector<int64_t>*>& lists) {
  size_t kept = 0;
  for (size_t a = 0; a < shape->size(); ++a) {
    const int64_t size = (*shape)[a];
    if (size == 1) continue;
    bool joins = kept > 0;
    for (const std::vector<int64_t>* list : lists) joins = joins && (*list)[kept - 1] == (*list)[a] * size;
    if (!joins) ++kept;
    (*shape)[kept - 1] = joins ? (*shape)[kept - 1] * size : size;
    for (std::vector<int64_t>* list : lists) (*list)[kept - 1] = (*list)[a];
  }
  shape->resize(kept);
  for (std::vector<int64_t>* list : lists) list->resize(kept);
}

}  // namespace xcorr
