// reduceMean and reduceSum of plain tensors, over any axes. Sums are in double.
#include <algorithm>

#include "functionStep.h"

namespace xcorr {
namespace {

// Places of the elements that one result is made of: from its base, `offsets` runs of `run` neighbours each.
struct Reduction {
  std::vector<int64_t> bases, offsets;
  int64_t run = 1;
};

// All offsets that indices along these axes can make, the last axis fastest.
std::vector<int64_t> OffsetsOf(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides, const std::vector<size_t>& axes) {
  std::vector<int64_t> offsets = {0};
  for (size_t axis : axes) {
    std::vector<int64_t> longer;
    for (int64_t offset : offsets) {
      for (int64_t i = 0; i < shape[axis]; ++i) longer.push_back(offset + i * strides[axis]);
    }
    offsets = std::move(longer);
  }
  return offsets;
}

Reduction Plan(const std::vector<int64_t>& shape, const std::vector<int64_t>& axes) {
  Reduction r;
  std::vector<bool> reduced(shape.size(), false);
  for (int64_t axis : axes) reduced[static_cast<size_t>(axis)] = true;
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  size_t tail = shape.size();
  while (tail > 0 && reduced[tail - 1]) r.run *= shape[--tail];
  std::vector<size_t> kept, others;
  for (size_t axis = 0; axis < tail; ++axis) (reduced[axis] ? others : kept).push_back(axis);
  r.bases = OffsetsOf(shape, strides, kept);
  r.offsets = OffsetsOf(shape, strides, others);
  return r;
}

std::unique_ptr<Step> MakeReduce(const Problem& p, bool mean) {
  RequireFloat32(p);
  RequirePlain(p);
  const TensorDesc& x = p.inputs[0];
  if (x.Elements() == 0) throw Declined("an empty set");
  const Reduction r = Plan(x.shape, p.attributes.Ints("axes"));
  const int64_t rows = static_cast<int64_t>(r.bases.size()), count = x.Elements() / rows;
  return MakeFunction("runs", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    // Results of many numbers are tasks of their own; small ones go by the dozen.
    const int64_t perTask = std::max<int64_t>(1, kGrain / count);
    team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
      for (int64_t row = task * perTask; row < std::min(rows, (task + 1) * perTask); ++row) {
        double sum = 0;
        for (int64_t offset : r.offsets) {
          const float* in = In(inputs, 0) + r.bases[static_cast<size_t>(row)] + offset;
          for (int64_t i = 0; i < r.run; ++i) sum += static_cast<double>(in[i]);
        }
        Out(outputs)[row] = static_cast<float>(mean ? sum / static_cast<double>(count) : sum);
      }
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_reduceMean(const Problem& p) { return MakeReduce(p, true); }
std::unique_ptr<Step> Make_reduceSum(const Problem& p) { return MakeReduce(p, false); }

}  // namespace xcorr
